module cgoheap.test/memlimit

go 1.21

require (
	cgoheap.test/steps v0.0.0
	cgoheap.example/cgo_bridge v0.0.0
)

replace (
	cgoheap.test/steps => ../go-steps
	cgoheap.example/cgo_bridge => ../../../cgo_bridge
)
