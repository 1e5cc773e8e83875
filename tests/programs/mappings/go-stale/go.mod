module cgoheap.example/mappings/stale

go 1.21
