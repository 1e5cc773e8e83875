module cgoheap.test/driver

go 1.21
