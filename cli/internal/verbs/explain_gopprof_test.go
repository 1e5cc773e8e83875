package verbs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/fakeshim"
)

func servePprof(t *testing.T, h http.HandlerFunc) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func TestExplainGoPprof(t *testing.T) {
	s := startShim(t, "stripped")
	look := explainer(t)
	r := look("explain", s.arg())
	unknown := `Go heap             82.0 MiB    9.1 %
  how much of it is in use is unknown; --go-pprof URL asks the service
goroutine stacks           -        -
  not known separately: included in Go heap
`
	if !strings.Contains(r.out, unknown) {
		t.Errorf("%s\nwant in it\n%s", r.out, unknown)
	}
	text := fakeshim.MemStats
	for old, mib := range map[string]int{"HeapInuse = 100": 60, "HeapIdle = 30": 30,
		"HeapReleased = 20": 20, "Stack = 7": 2} {
		name, _, _ := strings.Cut(old, " = ")
		text = strings.Replace(text, old, fmt.Sprintf("%s = %d", name, mib<<20), 1)
	}
	address := servePprof(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/debug/pprof/heap?debug=1" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	})
	r = look("explain", s.arg(), "--go-pprof", address)
	filled := `Go heap             82.0 MiB    8.7 %       0 B
  in use 60.0 MiB, free and not returned 10.0 MiB, released 20.0 MiB (runtime.MemStats)
goroutine stacks           -        -         -
  included in Go heap: 2.0 MiB by the runtime's count
Go metadata          3.0 MiB    0.3 %       0 B
  31 B by the runtime's count, touched or not
`
	filled = strings.ReplaceAll(filled, "     0 B\n", "      0 B\n")
	filled = strings.ReplaceAll(filled, "-         -\n", "-          -\n")
	if r.code != 0 || !strings.Contains(r.out, filled) {
		t.Errorf("%s%s\nwant in it\n%s", r.err, r.out, filled)
	}
	var v struct {
		Go map[string]any
	}
	r = look("explain", s.arg(), "--json", "--go-pprof", address)
	check0(json.Unmarshal([]byte(r.out), &v))
	want := "map[heap_free_bytes:1.048576e+07 heap_in_use_bytes:6.291456e+07 " +
		"heap_released_bytes:2.097152e+07 " +
		"mapped_ready_bytes:<nil> metadata_bytes:31 source:runtime.MemStats " +
		"stacks_bytes:2.097152e+06]"
	if fmt.Sprint(v.Go) != want {
		t.Errorf("%v\nwant\n%s", v.Go, want)
	}
}

func TestExplainGoPprofErrors(t *testing.T) {
	s := startShim(t, "serve")
	look := explainer(t)
	fails := func(address, want string) {
		t.Helper()
		r := look("explain", s.arg(), "--go-pprof", address)
		r.want(t, 1, "", "cgoheap: "+want+"\n")
	}
	address := servePprof(t, http.NotFound)
	fails(address, "'"+address+"/debug/pprof/heap?debug=1' answers 404 Not Found: is "+
		"net/http/pprof served there?")
	address = servePprof(t, func(w http.ResponseWriter,
		r *http.Request) {
		fmt.Fprint(w, "hello\x1b")
	})
	fails(address, "'"+address+"/debug/pprof/heap?debug=1' is not a heap profile with Go's "+
		"MemStats: name the service's own /debug/pprof/heap")
	address = servePprof(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Replace(fakeshim.MemStats, "HeapInuse = 100", "HeapInuse = 209715200",
			1))
	})
	fails(address, "'"+address+"/debug/pprof/heap?debug=1' describes another process: 200.0 MiB "+
		"of Go heap in use there, 128.0 MiB mapped here")
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	fails(server.URL, "'"+server.URL+"/debug/pprof/heap?debug=1' cannot be fetched: no server "+
		"listens there")
}

// Go's own handler writes what is parsed here.
func TestGoPprofOfARealService(t *testing.T) {
	address := servePprof(t, pprof.Index)
	target, err := attach.GoPprofURL(address)
	check0(err)
	g, err := attach.FetchGoSplit(target)
	if err != nil || *g.HeapInUse < 100<<10 || *g.Stacks < 10<<10 || *g.Metadata < 100<<10 ||
		*g.HeapFree < 0 {
		t.Errorf("%+v %v", g, err)
	}
}

// A password in the URL is in nothing that is printed.
func TestExplainHidesPassword(t *testing.T) {
	s := startShim(t, "stripped")
	address := servePprof(t, func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, fakeshim.MemStats)
	})
	for _, at := range []string{address, "http://127.0.0.1:1"} {
		with := strings.Replace(at, "://", "://me:s3cret@", 1)
		for _, flag := range []string{"--json", "--caller=module"} {
			r := explainer(t)("explain", s.arg(), "--go-pprof", with, flag)
			said := r.out + r.err
			if strings.Contains(said, "s3cret") || r.code != 0 && at == address {
				t.Errorf("exit code %d: %s", r.code, said)
			}
		}
	}
}
