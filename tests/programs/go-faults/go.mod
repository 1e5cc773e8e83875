module cgoheap.test/faults

go 1.21
