module cgoheap.test/packages

go 1.21
