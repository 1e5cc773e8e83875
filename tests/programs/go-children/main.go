// A Go program that says whether the library in it serves.
package main

// static int one(void) { return 1; }
import "C"

import (
	"fmt"
	"os"
)

func main() {
	C.one()
	_, err := os.Stat(os.Getenv("CGOHEAP_SOCKET"))
	fmt.Println(err == nil)
}
