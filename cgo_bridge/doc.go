// Package cgo_bridge puts the C side of a program's memory beside Go's own
// profiles. It is the other half of libcgoheap.so, which is preloaded into the
// program (cgoheap run -- ./service, or LD_PRELOAD); without that it answers
// that it is not there, and costs nothing.
//
//	import (
//		_ "net/http/pprof"
//		_ "cgoheap/cgo_bridge"
//	)
//
// The import alone registers three profiles on [net/http.DefaultServeMux]:
//
//	/debug/pprof/cgoheap   C memory, by stacks that go from the C leaf to the goroutine's root
//	/debug/pprof/allheap   the same and Go's heap in one profile; label "origin" tells them apart
//	/debug/pprof/memory    the whole RSS, with Go's live objects and C's below their owners
//
// so that
//
//	go tool pprof http://service:6060/debug/pprof/cgoheap
//
// works on the port that is scraped already. The patterns have the method GET where
// the mux knows methods (main modules of go 1.22 and later). Of what else a program can
// register, such a pattern conflicts with two things: itself, and a HEAD pattern with a
// wildcard or a trailing slash that covers it (HEAD /), which no GET pattern of the
// program could stand beside either. An import never panics: where a page's place is
// taken already it is missing, and one line on stderr says so. [Handler] serves them on another
// mux. [Account], [Status], [Sampling] and [Profile] are the same for the program
// itself.
//
// With the import, the library's account of the RSS has Go's own figures
// (runtime/metrics) instead of what it can read of the runtime's variables: live
// objects, dead ones, free and released memory, stacks, metadata, exactly, also in
// a stripped binary. It asks for them when somebody asks it, and once a second for
// its recorder where that is on; a goroutine answers in some microseconds.
// The library never calls Go.
//
// Everything is safe for use by several goroutines. Nothing here blocks a thread:
// requests go over a socket pair within the process.
//
// The package, every name in it, needs Go 1.21 and the standard library. It compiles on every
// platform and with CGO_ENABLED=0; there, no library can be preloaded.
package cgo_bridge
