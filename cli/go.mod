module cgoheap/cli

go 1.24.0

require (
	cgoheap/cgo_bridge v0.0.0
	github.com/google/pprof v0.0.0-20250820193118-f64d9cf942d6
	github.com/ianlancetaylor/demangle v0.0.0-20250417193237-f615e6bd150b
	golang.org/x/sys v0.37.0
	golang.org/x/term v0.36.0
)

replace cgoheap/cgo_bridge => ../cgo_bridge
