//go:build !long

package e2e

// longTests: make test-long, which tries each Go release in each way.
const longTests = false
