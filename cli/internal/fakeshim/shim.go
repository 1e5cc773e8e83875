// Package fakeshim answers requests as the library would, for tests.
package fakeshim

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/termtext"
)

// Shim is a fake library.
type Shim struct {
	part     string
	profiles atomic.Int64
	accounts atomic.Int64
	state    atomic.Value // string
	interval atomic.Uint64
}

// New plays a part: "serve", or a fault that a test wants.
func New(part string) *Shim {
	f := &Shim{part: part}
	f.state.Store("sampling")
	f.interval.Store(524288)
	if part == "exact" {
		f.interval.Store(1)
	}
	return f
}

// ServeHTTP answers requests of the command.
func (f *Shim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if f.part == "no account" && r.URL.Path != "/v1/status" {
		http.NotFound(w, r)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/status":
		status := Status(os.Getpid(), f.state.Load().(string), f.interval.Load(), "null")
		if f.part == "troubled" {
			status = strings.NewReplacer(`"uptime_ns"`, `"on_ns":12000000000,`+
				`"off_ns":238000000000,"configured_sample_bytes":65536,"uptime_ns"`,
				`"live_full":0`, `"live_full":7`).Replace(status)
		}
		io.WriteString(w, status)
	case "POST /v1/sampling":
		f.answerSampling(w, query.Get("state"), query.Get("for"), query.Get("sample_bytes"))
	case "GET /debug/pprof/cgoheap":
		f.answerProfile(w, r)
	case "GET /debug/pprof/memory":
		if f.part == "wrong profile" {
			f.answerProfile(w, r)
			return
		}
		memoryProfile().Write(w)
	case "GET /v1/account":
		io.WriteString(w, Account(f.part, f.accounts.Add(1)))
	case "GET /v1/events":
		f.answerEvents(w, r)
	case "POST /v1/trim":
		f.answerTrim(w)
	default:
		http.NotFound(w, r)
	}
}

func (f *Shim) answerSampling(w io.Writer, state, limit, size string) {
	remaining := "null"
	if state == "on" {
		f.state.Store("sampling")
	} else {
		f.state.Store("dormant")
	}
	if size != "" {
		n, _ := termtext.ParseBytes(size)
		f.interval.Store(n)
	}
	if limit != "" {
		d, err := time.ParseDuration(limit)
		if err != nil {
			panic(err)
		}
		remaining = fmt.Sprint(int64(d))
	}
	fmt.Fprintf(w, `{"state":%q,"sample_bytes":%d,"sampling_remaining_ns":%s}`,
		f.state.Load(), f.interval.Load(), remaining)
}

func (f *Shim) answerProfile(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Get("debug") == "1" {
		fmt.Fprintf(w, "heap profile: query %s\n", r.URL.RawQuery)
		return
	}
	n := f.profiles.Add(1)
	if f.part == "busy" && n == 1 || f.part == "always busy" {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "16 requests are in progress: retry when one ends",
			http.StatusServiceUnavailable)
		return
	}
	if f.part == "growing" && query.Has("seconds") {
		<-r.Context().Done() // an end of sending
	}
	if query.Has("labels") && f.part == "no ages" { // it is older
		http.Error(w, `unknown parameter "labels": /debug/pprof/cgoheap takes debug, seconds`, 400)
		return
	}
	p := f.profile(n, query.Get("labels") == "age")
	if query.Has("seconds") {
		p.DurationNanos = int64(10 * time.Minute)
	}
	p.Comments = append(p.Comments, "query "+r.URL.RawQuery, "cgoheap 0.1.0",
		fmt.Sprintf("process %d, started 2026-01-02T03:04:05.000000000Z", os.Getpid()))
	if f.part == "hostile" {
		p.Function[0].Name = "main.\x1b]0;owned\x07f"
		p.Function[0].Filename = "x.go"
	}
	p.Write(w)
}

func (f *Shim) profile(n int64, isByAge bool) *profile.Profile {
	period := int64(f.interval.Load())
	switch {
	case f.part == "why":
		return WhyProfile(period, isByAge)
	case isByAge && f.part != "ignores ages":
		return older(Profile(period, n))
	}
	return Profile(period, n)
}

// Status is what /v1/status answers.
func Status(pid int, state string, interval uint64, remaining string) string {
	return fmt.Sprintf(`{"version":"0.1.0","pid":%d,"state":%q,"sample_bytes":%d,"sampling_remaining_ns":%s,
"uptime_ns":250000000000,"start_time":"2026-01-02T03:04:05Z","samples":{"taken":3000,"live":1625},
"dropped":{"live_full":0,"reentered":0,"no_stack":0,"stale":0,"labels":0},
"stacks":{"distinct":40,"sites":55,"complete":39,"truncated":1,"by_end":{"complete_go":39,"no_cfi":1}},
"memory":{"resident_bytes":2097152,"max_bytes":33554432},"threads":12,"threads_missed":0,
"host":{"go_version":"go1.26.8","allocator":"glibc","executable":"/x/service"},"socket":"/x.sock","tcp_port":null}`,
		pid, state, interval, remaining)
}
