package cgo_bridge

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

// These tests run both ways: with libcgoheap.so preloaded, and without. What is
// for one way only is skipped in the other; tests/programs/go-matrix.sh makes sure
// that all of it has run.

func preloaded(t *testing.T) {
	t.Helper()
	if err := check(); errors.Is(err, ErrNotPreloaded) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

func notPreloaded(t *testing.T) {
	t.Helper()
	if Loaded() {
		t.Skip("libcgoheap.so is preloaded")
	}
}

func get(t *testing.T, method, url string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequest(method, url, nil)
	w := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(w, r)
	return w.Code, w.Header(), w.Body.String()
}

// ---- without it

func TestNotPreloaded(t *testing.T) {
	notPreloaded(t)
	ctx := context.Background()
	_, account := Account(ctx)
	_, status := Status(ctx)
	_, sampling := Sampling(ctx, SamplingOptions{})
	_, on := Sampling(ctx, SamplingOptions{Switch: SamplingOn})
	var w bytes.Buffer
	for what, err := range map[string]error{
		"Account": account, "Status": status, "Sampling": sampling, "Sampling on": on,
		"Profile": Profile(&w, ProfileOptions{}),
		"allheap": Profile(&w, ProfileOptions{Kind: ProfileAll, GC: true}),
	} {
		if !errors.Is(err, ErrNotPreloaded) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if w.Len() != 0 {
		t.Errorf("%d bytes were written", w.Len())
	}
}

func TestNotPreloadedPages(t *testing.T) {
	notPreloaded(t)
	for _, url := range []string{"/debug/pprof/cgoheap", "/debug/pprof/cgoheap?debug=1",
		"/debug/pprof/allheap?gc=1", "/debug/pprof/memory"} {
		status, header, body := get(t, "GET", url)
		want := "libcgoheap.so is not preloaded into this process: start it by `cgoheap run -- " +
			"PROGRAM`, " +
			"or with LD_PRELOAD=/usr/local/lib/cgoheap/libcgoheap.so\n"
		if status != http.StatusNotFound || body != want || header.Get("X-Go-Pprof") == "" {
			t.Errorf("%s: %d %q %v", url, status, body, header)
		}
	}
}

// ---- either way

func TestPagesThatAreNone(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/debug/heap", 404, "no profile \"heap\" here: there are cgoheap, allheap " +
			"and memory\n"},
		{"POST", "/debug/cgoheap", 405, "use GET\n"},
		{"GET", "/somewhere/else/memory?gc=perhaps", 400, "invalid gc=\"perhaps\": " +
			"expected 1 or 0\n"},
	} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s %s: %d %q", c.method, c.path, w.Code, w.Body.String())
		}
	}
}

func TestWriteTimeout(t *testing.T) {
	server := httptest.NewUnstartedServer(Handler())
	server.Config.WriteTimeout = 5 * time.Second
	server.Start()
	defer server.Close()
	answer, err := http.Get(server.URL + "/cgoheap?seconds=5")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != 400 || string(body) != "seconds=5 is not within the server's "+
		"WriteTimeout of 5s\n" {
		t.Errorf("%d %q", answer.StatusCode, body)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&VersionError{"0.1.0", 1, "0.4.2", 3}, "cgo_bridge 0.1.0 (protocol 1) and the preloaded " +
			"libcgoheap.so 0.4.2 (protocol 3) " +
			"do not understand each other: use the two of one release"},
		{&VersionError{Package: "0.1.0", PackageProtocol: 1}, "the libcgoheap.so that is " +
			"preloaded has no way in for cgo_bridge 0.1.0: " +
			"use the library of the same release"},
		{&PassiveError{"child of fork"}, "libcgoheap.so is preloaded, but passive in this " +
			"process: child of fork"},
		{&RequestError{400, "invalid x=1"}, "libcgoheap.so: invalid x=1"},
	} {
		if c.err.Error() != c.want {
			t.Errorf("%q, not %q", c.err, c.want)
		}
	}
}

// ---- with it

func TestAccountAddsUp(t *testing.T) {
	preloaded(t)
	a, err := Account(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	sum := a.Unexplained
	for _, o := range a.Owners {
		if o.Bytes == nil {
			t.Errorf("%s is not known: %v", o.Name, a.Warnings)
			continue
		}
		sum += *o.Bytes
	}
	if sum != a.RSS || a.RSS < 1<<20 {
		t.Errorf("owners and what is unexplained are %d, RSS %d", sum, a.RSS)
	}
	if a.NonGo() != a.RSS-a.Resident("go_heap", "go_stacks", "go_metadata") || a.NonGo() <= 0 {
		t.Errorf("NonGo is %d of %d", a.NonGo(), a.RSS)
	}
	if a.Process.VMRSS == nil || a.Allocator.Name == "" || time.Since(a.Time) > time.Hour {
		t.Errorf("%+v", a)
	}
}

// TestGoFigures: what the library says of Go is what Go says at that time, within 1 %.
func TestGoFigures(t *testing.T) {
	preloaded(t)
	hold := make([][]byte, 96)
	for i := range hold {
		hold[i] = bytes.Repeat([]byte{1}, 1<<20)
	}
	runtime.GC()
	a, err := Account(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if a.Go.Source != "runtime/metrics" {
		t.Fatalf("Go's figures come from %q: %v", a.Go.Source, a.Warnings)
	}
	classes := 0
	for _, d := range metrics.All() {
		if !strings.HasPrefix(d.Name, "/memory/classes/") {
			continue
		}
		classes++
		s := []metrics.Sample{{Name: d.Name}}
		metrics.Read(s)
		here, there := float64(s[0].Value.Uint64()), float64(a.Go.Metrics[d.Name])
		total := float64(a.Go.Metrics["/memory/classes/total:bytes"])
		if _, ok := a.Go.Metrics[d.Name]; !ok || !near(here, there, total) {
			t.Errorf("%s is %.0f here, %.0f there", d.Name, here, there)
		}
	}
	if classes != 14 {
		t.Errorf("%d classes of memory, not 14: the library's list is not complete any more",
			classes)
	}
	for what, n := range map[string]*int64{"in use": a.Go.HeapInUse, "objects": a.Go.HeapObjects,
		"live": a.Go.HeapLive,
		"dead": a.Go.HeapDead, "unused": a.Go.HeapUnused, "free": a.Go.HeapFree,
		"released": a.Go.HeapReleased,
		"stacks":   a.Go.Stacks, "metadata": a.Go.Metadata, "ready": a.Go.MappedReady,
		"goal": a.Go.HeapGoal, "heap": a.Go.HeapNow, "cycles": a.Go.GCCycles,
		"percent": a.Go.GCPercent, "goroutines": a.Go.Goroutines} {
		if n == nil {
			t.Errorf("%s is not known", what)
		}
	}
	if *a.Go.HeapLive < 96<<20 || *a.Go.HeapLive+*a.Go.HeapDead != *a.Go.HeapObjects {
		t.Errorf("live %d, dead or new %d, objects %d", *a.Go.HeapLive, *a.Go.HeapDead,
			*a.Go.HeapObjects)
	}
	if a.Go.LastGC == nil || time.Since(*a.Go.LastGC) > time.Minute ||
		time.Since(*a.Go.LastGC) < 0 {
		t.Errorf("last collection at %v", a.Go.LastGC)
	}
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	if cycles := *a.Go.GCCycles; cycles < 1 || cycles > stats.NumGC || *a.Go.GCPercent != 100 {
		t.Errorf("%d collections of %d, GOGC=%d", cycles, stats.NumGC, *a.Go.GCPercent)
	}
	// Resident: what Go has and has not released.
	figures := *a.Go.HeapInUse + *a.Go.HeapFree + *a.Go.Stacks
	if resident := a.Resident("go_heap", "go_stacks"); !near(float64(resident), float64(figures),
		float64(figures)) {
		t.Errorf("%d bytes of Go's arenas are resident, and Go has %d", resident, figures)
	}
	runtime.KeepAlive(hold)
}

func near(a, b, of float64) bool { return a-b <= of/100 && b-a <= of/100 }

func TestMemoryLimitIsAsItIsNow(t *testing.T) {
	preloaded(t)
	before := debug.SetMemoryLimit(3 << 30)
	defer debug.SetMemoryLimit(before)
	a, err := Account(context.Background())
	if err != nil || a.Go.MemoryLimit == nil || *a.Go.MemoryLimit != 3<<30 {
		t.Errorf("%v %+v", err, a)
	}
	debug.SetMemoryLimit(1<<63 - 1)
	if a, err = Account(context.Background()); err != nil || a.Go.MemoryLimit != nil {
		t.Errorf("%v %v", err, a.Go.MemoryLimit)
	}
}

func TestStatusKnowsThePackage(t *testing.T) {
	preloaded(t)
	s, err := Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if s.PID != os.Getpid() || s.Version == "" || s.GoPackage.Version == nil ||
		*s.GoPackage.Version != Version {
		t.Errorf("%+v", s)
	}
}

func TestSampling(t *testing.T) {
	preloaded(t)
	ctx := context.Background()
	now := func() SamplingState {
		s, err := Sampling(ctx, SamplingOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := now()
	defer Sampling(ctx, SamplingOptions{Switch: SamplingOn, SampleBytes: before.SampleBytes})
	if s, err := Sampling(ctx, SamplingOptions{Switch: SamplingOff}); err != nil || s.On ||
		now().On {
		t.Errorf("off: %v %+v %+v", err, s, now())
	}
	s, err := Sampling(ctx, SamplingOptions{Switch: SamplingOn, For: 90 * time.Second,
		SampleBytes: 4096})
	if err != nil || !s.On || s.SampleBytes != 4096 || s.Remaining > 90*time.Second ||
		s.Remaining < 60*time.Second {
		t.Errorf("on: %v %+v", err, s)
	}
	if s := now(); !s.On || s.SampleBytes != 4096 || s.Remaining == 0 {
		t.Errorf("on: %+v", s)
	}
	for _, o := range []SamplingOptions{
		{Switch: SamplingOn, For: -time.Second}, {Switch: SamplingOn, SampleBytes: -1},
		{Switch: SamplingOn, SampleBytes: 1 << 40},
		{Switch: SamplingOff, For: time.Minute}, {SampleBytes: 1}, {Switch: 7},
	} {
		var refused *RequestError
		if _, err := Sampling(ctx, o); !errors.As(err, &refused) || refused.Status != 400 ||
			refused.Message == "" {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestProfile(t *testing.T) {
	preloaded(t)
	for _, kind := range []ProfileKind{"", ProfileC, ProfileMemory} {
		var b bytes.Buffer
		if err := Profile(&b, ProfileOptions{Kind: kind, GC: kind == ProfileMemory}); err != nil {
			t.Errorf("%q: %v", kind, err)
			continue
		}
		unzipped, err := gzip.NewReader(&b)
		if err != nil {
			t.Errorf("%q: %v", kind, err)
			continue
		}
		if raw, err := io.ReadAll(unzipped); err != nil || !bytes.Contains(raw, []byte("bytes")) {
			t.Errorf("%q: %d bytes, %v", kind, len(raw), err)
		}
	}
	var b bytes.Buffer
	if err := Profile(&b, ProfileOptions{Text: true, Older: time.Hour,
		AllFrames: true}); err != nil || !strings.HasPrefix(b.String(), "heap profile: ") {
		t.Errorf("%v %q", err, b.String())
	}
	for _, o := range []ProfileOptions{{Kind: "nonsense"}, {Kind: ProfileMemory, Text: true},
		{GC: true}, {Growth: 2 * time.Hour}, {Older: -1}} {
		var refused *RequestError
		b.Reset()
		if err := Profile(&b, o); !errors.As(err, &refused) || b.Len() != 0 {
			t.Errorf("%+v: %v, %d bytes", o, err, b.Len())
		}
	}
}

func TestContextEndsTheWaiting(t *testing.T) {
	preloaded(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := Profile(io.Discard, ProfileOptions{Growth: time.Hour, Context: ctx}); !errors.Is(err,
		context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := Account(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestPages(t *testing.T) {
	preloaded(t)
	for _, url := range []string{"/debug/pprof/cgoheap", "/debug/pprof/memory?gc=1",
		"/debug/pprof/cgoheap?debug=1", "/debug/pprof/cgoheap?seconds=1"} {
		status, header, body := get(t, "GET", url)
		if status != 200 || body == "" || header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", url, status, header)
		}
	}
	if status, header, body := get(t, "HEAD", "/debug/pprof/cgoheap"); status != 200 ||
		body != "" || header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d %v %q", status, header, body)
	}
	if status, header, body := get(t, "GET", "/debug/pprof/cgoheap?sedonds=3"); status != 400 ||
		header.Get("X-Go-Pprof") == "" ||
		!strings.HasPrefix(body, "unknown parameter \"sedonds\": /debug/pprof/cgoheap takes "+
			"debug, seconds, ") {
		t.Errorf("misspelt: %d %v %q", status, header, body)
	}
}

// TestManyAtOnce: they wait for each other, and all are served.
func TestManyAtOnce(t *testing.T) {
	preloaded(t)
	results := make(chan error, 64)
	for i := 0; i < cap(results); i++ {
		go func() {
			_, err := Status(context.Background())
			results <- err
		}()
	}
	for i := 0; i < cap(results); i++ {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// TestAllSlotsTaken: who comes then is told so, or gives up when its context does; a slot that is
// given back serves again.
func TestAllSlotsTaken(t *testing.T) {
	preloaded(t)
	for i := 0; i < cap(slots); i++ {
		slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := Status(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	var refused *RequestError
	if _, err := Status(context.Background()); !errors.As(err, &refused) || refused.Status != 503 {
		t.Error(err)
	}
	for i := 0; i < cap(slots); i++ {
		<-slots
	}
	if _, err := Status(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestGrowthHoldsNoPlace: far more than are served at a time wait for an hour, and others are
// answered at once.
func TestGrowthHoldsNoPlace(t *testing.T) {
	preloaded(t)
	growing, stop := context.WithCancel(context.Background())
	ended := make(chan error, 40)
	for i := 0; i < cap(ended); i++ {
		go func() {
			ended <- Profile(io.Discard, ProfileOptions{Growth: time.Hour, Context: growing})
		}()
	}
	for i := 0; i < 50; i++ {
		if _, err := Status(context.Background()); err != nil {
			t.Error(err)
		}
	}
	stop()
	for i := 0; i < cap(ended); i++ {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// TestDebt: of a program in which no finalizer has freed any of C's memory.
func TestDebt(t *testing.T) {
	if bytes, known := Debt(); bytes != 0 || known && !Loaded() {
		t.Errorf("%d, known: %v", bytes, known)
	}
}
