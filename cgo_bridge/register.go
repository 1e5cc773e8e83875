package cgo_bridge

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func init() { register(http.DefaultServeMux, os.Stderr) }

// register puts the profiles on a mux. Imports run first, and if the program then
// registers a conflicting pattern, that panics. So the patterns conflict with next to
// nothing; doc.go says with what. If a pattern was there before, one line says so, and
// that page is missing.
func register(mux *http.ServeMux, complaints io.Writer) {
	method := ""
	if readsMethods() {
		method = "GET "
	}
	var first any
	for _, kind := range served {
		if problem := handle(mux, method+pathOf(kind)); first == nil {
			first = problem
		}
	}
	if first != nil {
		fmt.Fprintf(complaints, "cgo_bridge: http.DefaultServeMux does not take all of its "+
			"pages (%v): "+
			"serve cgo_bridge.Handler() at a path that is free\n",
			strings.ReplaceAll(fmt.Sprint(first), "\n", " "))
	}
}

func pathOf(kind ProfileKind) string { return "/debug/pprof/" + string(kind) }

// handle returns what the mux panics with.
func handle(mux *http.ServeMux, pattern string) (problem any) {
	defer func() { problem = recover() }()
	mux.Handle(pattern, Handler())
	return nil
}

// readsMethods says whether a pattern may begin with a method: Go's mux since 1.22,
// unless GODEBUG=httpmuxgo121=1, which is the default of a main module that says
// go 1.21 or less. To the older mux GET would be part of a host.
func readsMethods() bool {
	mux := http.NewServeMux()
	mux.Handle("GET /", Handler())
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		return false
	}
	_, pattern := mux.Handler(r)
	return pattern != ""
}
