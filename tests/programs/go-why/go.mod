module cgoheap.test/why

go 1.21

require cgoheap.test/steps v0.0.0

replace cgoheap.test/steps => ../go-steps
