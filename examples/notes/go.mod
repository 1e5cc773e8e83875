module example.org/notes

go 1.21

require (
	cgoheap.example/cgo_bridge v0.0.0
	github.com/DataDog/zstd v1.5.7
	github.com/mattn/go-sqlite3 v1.14.28
)

replace cgoheap.example/cgo_bridge => ../../cgo_bridge
