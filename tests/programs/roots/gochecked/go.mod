module gochecked

go 1.21
