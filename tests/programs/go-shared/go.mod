module cgoheap/tests/shared

go 1.21
