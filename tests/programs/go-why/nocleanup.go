//go:build !go1.24

package main

const hasCleanups = false

func cleaned(int) {}
