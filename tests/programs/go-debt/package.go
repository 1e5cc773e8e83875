//go:build withpackage

package main

import _ "cgoheap.example/cgo_bridge"

func init() { hasPackage = true }
