// Command cgoheap runs programs under libcgoheap.so, finds the processes that
// have it loaded, and shows what their C code holds.
//
// It is one static binary, so that it can be copied into any container.  All it
// knows of a process comes from /proc and from the library's socket.  It attaches
// to nothing.  On request it changes whether the library samples, and what free
// memory the C allocator keeps; it changes nothing else.
package main

import (
	"os"

	"cgoheap.example/cli/internal/verbs"
)

func main() {
	os.Exit(verbs.Run(os.Args[1:]))
}
