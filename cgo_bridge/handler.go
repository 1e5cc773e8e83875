package cgo_bridge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"runtime"
	"strconv"
	"time"
)

var served = []ProfileKind{ProfileC, ProfileAll, ProfileMemory}

// Handler serves the profiles on a mux of the program. The last part of the path
// says which one, .../cgoheap, .../allheap or .../memory, whatever comes before it:
//
//	mux.Handle("GET /debug/pprof/cgoheap", cgo_bridge.Handler())
//
// (Leave GET out if the module says go 1.21. The mux of Go 1.22 is the first to know
// methods, and refuses the pattern without one beside GET /debug/pprof/, which
// net/http/pprof registers there.)
//
// Parameters are those of the library's own pages (debug, seconds, older, symbols
// and frames for cgoheap; seconds and frames for allheap), and gc=1, as in Go's heap
// profile, for allheap and memory. Only GET and HEAD are allowed: nothing can be
// changed through it. Without the library it answers 404 and says how to start the
// program with it.
func Handler() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	kind := ProfileKind(path.Base(r.URL.Path))
	if !isServed(kind) {
		refuse(w, http.StatusNotFound, fmt.Sprintf("no profile %q here: there are cgoheap, "+
			"allheap and memory", kind))
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "use GET")
		return
	}
	query := r.URL.Query()
	if problem := tooLong(r, query.Get("seconds")); problem != "" {
		refuse(w, http.StatusBadRequest, problem)
		return
	}
	if kind != ProfileC && query.Has("gc") {
		if on, err := strconv.ParseBool(query.Get("gc")); err != nil || !on &&
			query.Get("gc") != "0" {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("invalid gc=%q: expected 1 or 0",
				query.Get("gc")))
			return
		} else if on && Loaded() {
			runtime.GC()
		}
		query.Del("gc")
	}
	answer, err := request(r.Context(), r.Method, "/debug/pprof/"+string(kind), query)
	if err != nil {
		refuse(w, statusOf(err), err.Error())
		return
	}
	defer answer.Body.Close()
	forward(w, answer)
}

func isServed(kind ProfileKind) bool {
	for _, k := range served {
		if k == kind {
			return true
		}
	}
	return false
}

// tooLong returns an error text if the server would give up before the profile is due, as
// net/http/pprof does.
func tooLong(r *http.Request, seconds string) string {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	n, err := strconv.ParseFloat(seconds, 64)
	if !ok || err != nil || server.WriteTimeout == 0 || n < server.WriteTimeout.Seconds() {
		return ""
	}
	return fmt.Sprintf("seconds=%s is not within the server's WriteTimeout of %s", seconds,
		server.WriteTimeout.Round(time.Millisecond))
}

// statusOf is the HTTP status for an error that is not an answer of the library.
func statusOf(err error) int {
	var version *VersionError
	var refused *RequestError
	if errors.As(err, &refused) {
		return refused.Status
	}
	if errors.Is(err, ErrNotPreloaded) || errors.As(err, &version) {
		return http.StatusNotFound
	}
	return http.StatusServiceUnavailable
}

func refuse(w http.ResponseWriter, status int, line string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Go-Pprof", "1") // go tool pprof then shows the line
	w.WriteHeader(status)
	fmt.Fprintln(w, line)
}

func forward(w http.ResponseWriter, answer *http.Response) {
	h := w.Header()
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Disposition", "Allow",
		"Retry-After"} {
		if value := answer.Header.Get(name); value != "" {
			h.Set(name, value)
		}
	}
	h.Set("X-Content-Type-Options", "nosniff")
	if answer.StatusCode != http.StatusOK {
		h.Set("X-Go-Pprof", "1")
	}
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, answer.Body)
}
