// Command release writes 200 MiB of Go heap, then gives it back to the kernel.
// It is one that Go 1.15 builds, and takes its turns as package steps does.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
)

var kept []byte

func main() {
	stdin := bufio.NewReader(os.Stdin)
	ready := func() {
		fmt.Println("ready")
		if _, err := stdin.ReadString('\n'); err != nil {
			os.Exit(0)
		}
	}
	ready()
	kept = make([]byte, 200<<20)
	for i := 0; i < len(kept); i += 4096 {
		kept[i] = 1
	}
	ready()
	kept = nil
	debug.FreeOSMemory()
	ready()
}
