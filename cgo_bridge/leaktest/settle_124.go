//go:build go1.24

package leaktest

import "runtime"

// cleanupSentinel is closed once a cleanup has run: they have goroutines of their own.
func cleanupSentinel() <-chan struct{} {
	done := make(chan struct{})
	runtime.AddCleanup(&sentinel{}, func(done chan struct{}) { close(done) }, done)
	return done
}
