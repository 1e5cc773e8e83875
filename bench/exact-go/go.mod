module exact

go 1.21
