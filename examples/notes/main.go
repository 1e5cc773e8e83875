// Notes is a small web service over SQLite and zstd, with three leaks of C
// memory that happen in practice. Go's heap profile shows none of them;
// PROFILE.md says what cgoheap's should show.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var leaks struct{ fixed bool }

// addDebug adds what a build has more to look into: bridge.go.
var addDebug = func(mux *http.ServeMux) {}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen `address`; port 0 takes a free one")
	db := flag.String("db", "", "database `file` (default: a temporary one)")
	flag.BoolVar(&leaks.fixed, "fixed", false, "run without the leaks")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("notes: ")
	if err := run(*addr, *db); err != nil {
		log.Fatal(err)
	}
}

func run(addr, db string) error {
	if db == "" {
		dir, err := os.MkdirTemp("", "notes-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		db = filepath.Join(dir, "notes.db")
	}
	s, err := openStore(db)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", db, err)
	}
	defer s.db.Close()
	auditSetFrees(leaks.fixed)

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	fmt.Printf("listening on http://%s (pid %d)\n", listener.Addr(), os.Getpid())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *store) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.serveIndex)
	mux.HandleFunc("/notes", s.serveNotes)
	mux.HandleFunc("/notes/search", s.serveSearch)
	mux.HandleFunc("/blobs/", s.serveBlobs)
	mux.HandleFunc("/audit", s.serveAudit)
	mux.HandleFunc("/truth", s.serveTruth)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter,
		r *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	addDebug(mux)
	return mux
}

var page = template.Must(template.New("index").Parse(`<!doctype html>
<title>Notes</title>
<form action="/notes/search"><input name="q"> <button>Search</button></form>
{{range .}}<h2>{{.Title}}</h2><p>{{.Body}}</p>{{else}}<p>No notes yet.</p>{{end}}
`))

func (s *store) serveIndex(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	notes, err := s.latest(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page.Execute(w, notes)
}

func (s *store) serveNotes(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodPost) {
		return
	}
	var n note
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&n); err != nil {
		http.Error(w, "not a note: "+err.Error(), http.StatusBadRequest)
		return
	}
	id, err := s.add(r.Context(), n)
	if err != nil {
		fail(w, err)
		return
	}
	writeJSON(w, map[string]int64{"id": id})
}

func (s *store) serveSearch(w http.ResponseWriter, r *http.Request) {
	term := r.URL.Query().Get("q")
	if term == "" {
		http.Error(w, "what to search for? add ?q=TERM", http.StatusBadRequest)
		return
	}
	notes, err := s.search(r.Context(), term)
	if err != nil {
		fail(w, err)
		return
	}
	writeJSON(w, notes)
}

func (s *store) serveBlobs(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/blobs/")
	switch r.Method {
	case http.MethodGet:
		if err := s.getBlob(r.Context(), name, w); errors.Is(err, sql.ErrNoRows) {
			http.NotFound(w, r)
		} else if err != nil {
			fail(w, err)
		}
	case http.MethodPut:
		size, err := s.putBlob(r.Context(), name, r.Header.Get("X-Content-Sha256"),
			http.MaxBytesReader(w, r.Body, 64<<20))
		if errors.Is(err, errDigest) {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		} else if err != nil {
			fail(w, err)
		} else {
			writeJSON(w, map[string]int64{"bytes": size})
		}
	default:
		allow(w, r, "GET, PUT")
	}
}

// serveAudit takes one event a line.
func (s *store) serveAudit(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			fail(w, err)
			return
		}
		who := r.Header.Get("X-Actor") + " from " + r.RemoteAddr
		for _, event := range strings.Split(string(body), "\n") {
			auditRecord(who, event)
		}
	}
	fmt.Fprintln(w, auditLast())
}

func (s *store) serveTruth(w http.ResponseWriter, r *http.Request) {
	report, err := s.report(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	writeJSON(w, report)
}

func allow(w http.ResponseWriter, r *http.Request, methods string) bool {
	if r.Method == methods {
		return true
	}
	w.Header().Set("Allow", methods)
	http.Error(w, r.Method+" is not for this path; try "+methods, http.StatusMethodNotAllowed)
	return false
}

func fail(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}
