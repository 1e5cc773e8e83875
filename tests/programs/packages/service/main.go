// Command service holds 32 MiB of C memory until its input ends.
package main

/*
#include <stdlib.h>
#include <string.h>

static void *hold(size_t bytes)
{
	void *block = malloc(bytes);
	return block ? memset(block, 1, bytes) : NULL;
}
*/
import "C"

import (
	"fmt"
	"io"
	"os"
	"unsafe"
)

var held [32]unsafe.Pointer

func holdAll() {
	for i := range held {
		held[i] = C.hold(1 << 20)
	}
}

func main() {
	holdAll()
	fmt.Println("holding")
	io.Copy(io.Discard, os.Stdin)
}
