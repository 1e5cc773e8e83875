//go:build bridge

package main

import (
	"net/http"

	"cgoheap.example/cgo_bridge"
)

// With -tags bridge the service has C memory on its own port, beside
// /debug/pprof/heap. (A service that uses http.DefaultServeMux needs the import alone.)
func init() {
	addDebug = func(mux *http.ServeMux) {
		for _, name := range []string{"cgoheap", "allheap", "memory"} {
			mux.Handle("/debug/pprof/"+name, cgo_bridge.Handler())
		}
	}
}
