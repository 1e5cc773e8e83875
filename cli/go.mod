module cgoheap.example/cli

go 1.24.0

require (
	cgoheap.example/cgo_bridge v0.0.0
	github.com/google/pprof v0.0.0-20250820193118-f64d9cf942d6
	github.com/ianlancetaylor/demangle v0.0.0-20250417193237-f615e6bd150b
	github.com/prometheus/client_model v0.6.1
	github.com/prometheus/common v0.62.0
	golang.org/x/sys v0.37.0
	golang.org/x/term v0.36.0
)

require (
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	google.golang.org/protobuf v1.36.1 // indirect
)

replace cgoheap.example/cgo_bridge => ../cgo_bridge
