module cgoheap.test/callers

go 1.21

require (
	cgoheap.test/driver v0.0.0
	cgoheap.test/steps v0.0.0
)

replace (
	cgoheap.test/driver => ./driver
	cgoheap.test/steps => ../go-steps
)
