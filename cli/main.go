// Command cgoheap runs programs under libcgoheap.so, finds the processes that
// have it loaded, and shows what their C code holds.
//
// It is one static binary, so that it can be copied into any container.  All it
// knows of a process comes from /proc and from the shim's socket; it attaches
// to nothing and changes nothing but, on request, whether the shim samples and
// what free memory the C allocator keeps.
package main

import (
	"os"

	"cgoheap/cli/internal/verbs"
)

func main() {
	os.Exit(verbs.Run(os.Args[1:]))
}
