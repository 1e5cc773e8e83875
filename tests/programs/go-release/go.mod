module cgoheap.test/release

go 1.15
