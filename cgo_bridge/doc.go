// Package cgo_bridge puts the C side of a program's memory beside Go's own
// profiles. Its other half is libcgoheap.so, which is preloaded into the program
// (cgoheap run -- ./service, or LD_PRELOAD). Without the library, the package
// answers [ErrNotPreloaded] and costs nothing.
//
//	import (
//		_ "net/http/pprof"
//		_ "cgoheap.example/cgo_bridge"
//	)
//
// The import alone registers three profiles on [net/http.DefaultServeMux]:
//
//	/debug/pprof/cgoheap   C memory, by stacks from the C leaf to the goroutine's root
//	/debug/pprof/allheap   the same and Go's heap in one profile, told apart by the label "origin"
//	/debug/pprof/memory    the whole RSS, with Go's live objects and C's below their owners
//
// so that
//
//	go tool pprof http://service:6060/debug/pprof/cgoheap
//
// works on the port that is already scraped. The patterns have the method GET if
// the mux knows methods (main modules of go 1.22 and later). Such a pattern
// conflicts with two others that a program may register: itself, and a HEAD pattern
// with a wildcard or a trailing slash that covers it (HEAD /), which would conflict
// with the program's own GET patterns too. An import never panics: if a page's
// pattern is taken, the page is missing, and one line on stderr says so. [Handler]
// serves the profiles on another mux. [Account], [Status], [Sampling] and [Profile]
// give the same to the program itself.
//
// With the import, the library's account of the RSS has Go's own figures
// (runtime/metrics) instead of what it can read of the runtime's variables: live
// objects, dead ones, free and released memory, stacks, metadata; exactly, and in
// a stripped binary too. The library asks for them when it is asked itself, and
// once a second if its recorder is on. A goroutine answers within some
// microseconds. The library never calls Go.
//
// Everything is safe for use by several goroutines. Nothing here blocks a thread:
// requests go over a socket pair within the process.
//
// The package needs Go 1.21 and the standard library. It compiles on every platform
// and with CGO_ENABLED=0, where no library can be preloaded.
package cgo_bridge
