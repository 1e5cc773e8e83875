module cgoheap.example/mappings/internal

go 1.21
