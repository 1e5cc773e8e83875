//go:build long

package gosym

const longTests = true
