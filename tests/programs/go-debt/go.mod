module cgoheap.test/debt

go 1.21

require (
	cgoheap.example/cgo_bridge v0.0.0
	cgoheap.test/steps v0.0.0
)

replace (
	cgoheap.example/cgo_bridge => ../../../cgo_bridge
	cgoheap.test/steps => ../go-steps
)
