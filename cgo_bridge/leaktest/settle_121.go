//go:build !go1.24

package leaktest

// cleanupSentinel: there are no cleanups in this release of Go.
func cleanupSentinel() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}
