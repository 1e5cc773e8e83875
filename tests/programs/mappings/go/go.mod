module cgoheap.example/mappings

go 1.21
