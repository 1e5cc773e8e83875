module frees

go 1.21
