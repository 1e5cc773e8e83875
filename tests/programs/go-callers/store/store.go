// Package store is a part of the program.
package store

import "cgoheap.test/driver"

//go:noinline
func Load(n int) { driver.Open(n) }
