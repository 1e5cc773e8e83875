//go:build !go1.24

package main

func cleaned(n, bytes int) { panic("Go 1.24 has cleanups") }
