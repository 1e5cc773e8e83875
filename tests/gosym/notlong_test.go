//go:build !long

package gosym

// longTests: make test-long, which tries each variant by each release.
const longTests = false
