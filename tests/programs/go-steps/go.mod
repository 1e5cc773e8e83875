module cgoheap.test/steps

go 1.21
