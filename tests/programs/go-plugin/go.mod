module cgoheap/tests/plugin

go 1.21
