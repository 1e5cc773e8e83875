module cgoheap/cgo_bridge

go 1.21
