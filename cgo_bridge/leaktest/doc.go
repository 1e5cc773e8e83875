// Package leaktest fails a test that leaves C memory behind, and shows the stacks that
// allocated it, with their Go lines.
//
//	func TestStore(t *testing.T) {
//		leaktest.Check(t)
//		...
//	}
//
//	go test -exec 'cgoheap run --sample-bytes 1 --' ./...
//
// [Check] compares C memory in use before and after the test, by stack: blocks of malloc and
// mappings of C code. At the library's sample interval of 1 the figures are exact. Garbage is
// collected first, and finalizers and cleanups are awaited, so that C memory that Go objects own
// counts as freed. What another goroutine frees a moment later is waited for.
//
// Each Check sets a label on its test's goroutine (runtime/pprof), which the goroutines that it
// starts inherit and the library records with each block. So tests that run in parallel are told
// apart. A test that calls [pprof.Do] with a context of its own replaces the label; so does a
// goroutine that was started elsewhere, and a thread of C has none. What they allocate counts
// for a test that is not parallel. For parallel tests it cannot be said whose it is: a line of
// the log says how much, and [Main] reports it when all tests have ended.
//
// Nothing is known in a process without the preloaded library: the test is then skipped, or
// fails if CGOHEAP_REQUIRED=1 is set.
package leaktest
