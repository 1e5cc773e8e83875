module cgoheap/tests/gosym

go 1.18
