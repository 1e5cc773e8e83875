module cgoheap.test/soak

go 1.21
