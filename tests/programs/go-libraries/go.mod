module cgoheap.test/libraries

go 1.21

require (
	cgoheap.test/stacks v0.0.0
	cgoheap.test/steps v0.0.0
)

replace (
	cgoheap.test/stacks => ../go-stacks
	cgoheap.test/steps => ../go-steps
)
