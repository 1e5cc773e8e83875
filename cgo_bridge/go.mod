module cgoheap.example/cgo_bridge

go 1.21
