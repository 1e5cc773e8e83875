module cgoheap.test/leaks

go 1.21

require cgoheap/cgo_bridge v0.0.0

replace cgoheap/cgo_bridge => ../../../cgo_bridge
