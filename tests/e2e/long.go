//go:build long

package e2e

const longTests = true
