package prom

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"cgoheap.example/cgo_bridge"
)

// library is one that answers as the test says.
type library struct {
	mu     sync.Mutex
	answer func(context.Context, io.Writer) error
	asked  atomic.Int64
}

func (l *library) set(answer func(context.Context, io.Writer) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

func (l *library) ask(ctx context.Context, w io.Writer) error {
	l.asked.Add(1)
	l.mu.Lock()
	answer := l.answer
	l.mu.Unlock()
	return answer(ctx, w)
}

func says(page string) func(context.Context, io.Writer) error {
	return func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, page)
		return err
	}
}

func fails(err error) func(context.Context, io.Writer) error {
	return func(context.Context, io.Writer) error { return err }
}

func newWith(opts Options, ask func(context.Context, io.Writer) error) *collector {
	c := NewCollector(opts).(*collector)
	c.ask = ask
	return c
}

// everyTime is no time between two questions.
const everyTime = -1

// register puts a collector with this library into a pedantic registry of its own.
func register(t *testing.T, l *library, opts Options) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(newWith(opts, l.ask)); err != nil {
		t.Fatal(err)
	}
	return registry
}

func gather(t *testing.T, from prometheus.Gatherer) map[string]*dto.MetricFamily {
	t.Helper()
	list, err := from.Gather()
	if err != nil {
		t.Error(err)
	}
	families := map[string]*dto.MetricFamily{}
	for _, f := range list {
		families[f.GetName()] = f
	}
	return families
}

// wantOwn: the collector's own two; failures < 0: that one is not there.
func wantOwn(t *testing.T, families map[string]*dto.MetricFamily, up, failures float64) {
	t.Helper()
	if f := families["cgoheap_up"]; f == nil || f.GetMetric()[0].GetGauge().GetValue() != up {
		t.Errorf("cgoheap_up is %v, want %v", f, up)
	}
	f := families["cgoheap_scrape_errors_total"]
	if (f != nil) != (failures >= 0) || f != nil &&
		f.GetMetric()[0].GetCounter().GetValue() != failures {
		t.Errorf("cgoheap_scrape_errors_total is %v, want %v", f, failures)
	}
}

const somePage = `# HELP cgoheap_memory_bytes Resident memory by owner; all owners together are the RSS.
# TYPE cgoheap_memory_bytes gauge
cgoheap_memory_bytes{owner="c_live"} 3000
cgoheap_memory_bytes{owner="go_heap"} 4000
# HELP cgoheap_samples_total Blocks recorded.
# TYPE cgoheap_samples_total counter
cgoheap_samples_total 17
`

func TestPassesOn(t *testing.T) {
	l := &library{answer: says(somePage)}
	families := gather(t, register(t, l, Options{}))
	wantOwn(t, families, 1, 0)
	if len(families) != 4 {
		t.Errorf("families are %v", families)
	}
	got := map[string]float64{}
	for _, m := range families["cgoheap_memory_bytes"].GetMetric() {
		got[m.GetLabel()[0].GetName()+"="+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
	}
	if len(got) != 2 || got["owner=c_live"] != 3000 || got["owner=go_heap"] != 4000 {
		t.Errorf("memory is %v", got)
	}
	if f := families["cgoheap_samples_total"]; f.GetType() != dto.MetricType_COUNTER ||
		f.GetMetric()[0].GetCounter().GetValue() != 17 {
		t.Errorf("samples are %v", f)
	}
}

func TestMinInterval(t *testing.T) {
	for name, test := range map[string]struct {
		interval time.Duration
		want     int64
	}{"an hour": {time.Hour, 1}, "none": {everyTime, 5}} {
		t.Run(name, func(t *testing.T) {
			l := &library{answer: says(somePage)}
			registry := register(t, l, Options{MinInterval: test.interval})
			l.asked.Store(0) // registering asks too
			for i := 0; i < 5; i++ {
				wantOwn(t, gather(t, registry), 1, 0)
			}
			if n := l.asked.Load(); n != test.want {
				t.Errorf("5 scrapes asked %d times, want %d", n, test.want)
			}
		})
	}
}

// A failure is not asked about again at once either.
func TestFailureIsKept(t *testing.T) {
	l := &library{answer: fails(io.ErrUnexpectedEOF)}
	registry := register(t, l, Options{MinInterval: time.Hour})
	for i := 0; i < 3; i++ {
		wantOwn(t, gather(t, registry), 0, 1)
	}
}

func TestScrapesTogether(t *testing.T) {
	l := &library{answer: says(somePage)}
	registry := register(t, l, Options{MinInterval: time.Hour})
	l.asked.Store(0)
	goOn := make(chan bool)
	l.set(func(ctx context.Context, w io.Writer) error {
		<-goOn
		return says(somePage)(ctx, w)
	})
	var starts, scrapes sync.WaitGroup
	for i := 0; i < 8; i++ {
		starts.Add(1)
		scrapes.Add(1)
		go func() {
			defer scrapes.Done()
			starts.Done()
			wantOwn(t, gather(t, registry), 1, 0)
		}()
	}
	starts.Wait()
	close(goOn)
	scrapes.Wait()
	if n := l.asked.Load(); n != 1 {
		t.Errorf("8 scrapes asked %d times", n)
	}
}

// hangs until it is told to end.
func hangs(ctx context.Context, _ io.Writer) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestTimeout(t *testing.T) {
	l := &library{answer: says(somePage)}
	var told []error
	registry := register(t, l, Options{MinInterval: everyTime, Timeout: time.Millisecond,
		OnError: func(err error) { told = append(told, err) }})
	other := prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "Of the service."})
	registry.MustRegister(other)
	l.set(hangs)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET",
		"/metrics", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "\ncgoheap_up 0\n") ||
		!strings.Contains(w.Body.String(), "\nother 0\n") {
		t.Errorf("%d\n%s", w.Code, w.Body)
	}
	if len(told) != 1 || !errors.Is(told[0], context.DeadlineExceeded) {
		t.Errorf("told %v", told)
	}
	wantOwn(t, gather(t, registry), 0, 2)
}

func TestErrors(t *testing.T) {
	for name, answer := range map[string]func(context.Context, io.Writer) error{
		"version":   fails(&cgo_bridge.VersionError{}),
		"passive":   fails(&cgo_bridge.PassiveError{}),
		"no memory": fails(&cgo_bridge.RequestError{Status: 503}),
		"not text":  says("<html>"),
		"no number": says("cgoheap_rss_bytes many\n"),
		"labels":    says("# TYPE cgoheap_rss_bytes gauge\ncgoheap_rss_bytes{owner=\"all\"} 1\n"),
		"no label":  says("# TYPE cgoheap_memory_bytes gauge\ncgoheap_memory_bytes 1\n"),
		"label": says("# TYPE cgoheap_memory_bytes gauge\n" +
			"cgoheap_memory_bytes{who=\"c_live\"} 1\n"),
	} {
		t.Run(name, func(t *testing.T) {
			l := &library{answer: says(somePage)}
			told := 0
			registry := register(t, l, Options{MinInterval: everyTime,
				OnError: func(error) { told++ }})
			l.set(answer)
			families := gather(t, registry)
			wantOwn(t, families, 0, 1)
			if len(families) != 2 || told != 1 {
				t.Errorf("told %d times, families %v", told, families)
			}
			l.set(says(somePage))
			families = gather(t, registry)
			wantOwn(t, families, 1, 1)
			if len(families) != 4 {
				t.Errorf("afterwards %v", families)
			}
		})
	}
}

func TestNotPreloaded(t *testing.T) {
	l := &library{answer: fails(cgo_bridge.ErrNotPreloaded)}
	families := gather(t,
		register(t, l, Options{OnError: func(err error) { t.Errorf("told %v", err) }}))
	wantOwn(t, families, 0, -1)
	if len(families) != 1 {
		t.Errorf("families are %v", families)
	}
}

// A library of a later release has families that this package does not know.
func TestLaterLibrary(t *testing.T) {
	const later = somePage + `# HELP cgoheap_news_bytes Of a later release.
# TYPE cgoheap_news_bytes gauge
cgoheap_news_bytes{what="a",which="b"} 1
cgoheap_untyped_news 2
# TYPE cgoheap_up gauge
cgoheap_up 1
# TYPE cgoheap_sizes histogram
cgoheap_sizes_bucket{le="+Inf"} 1
cgoheap_sizes_sum 1
cgoheap_sizes_count 1
`
	t.Run("at once", func(t *testing.T) {
		families := gather(t, register(t, &library{answer: says(later)}, Options{}))
		wantOwn(t, families, 1, 0)
		if f := families["cgoheap_news_bytes"]; len(families) != 6 ||
			len(f.GetMetric()[0].GetLabel()) != 2 ||
			f.GetHelp() != "Of a later release." {
			t.Errorf("families are %v", families)
		}
	})
	// It cannot be described any more.
	t.Run("after registering", func(t *testing.T) {
		l := &library{answer: says(somePage)}
		registry := register(t, l, Options{})
		l.set(says(later))
		families := gather(t, registry)
		wantOwn(t, families, 1, 0)
		if len(families) != 4 {
			t.Errorf("families are %v", families)
		}
	})
}

func TestRegister(t *testing.T) {
	l := &library{answer: says(somePage)}
	c, registry := newWith(Options{}, l.ask), prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	var already prometheus.AlreadyRegisteredError
	if err := registry.Register(newWith(Options{}, l.ask)); !errors.As(err, &already) ||
		already.ExistingCollector != prometheus.Collector(c) {
		t.Errorf("the second time: %v", err)
	}
	if !registry.Unregister(c) {
		t.Error("not unregistered")
	}
	if families := gather(t, registry); len(families) != 0 {
		t.Errorf("after that there are %v", families)
	}
	registry = prometheus.NewPedanticRegistry()
	prometheus.WrapRegistererWith(prometheus.Labels{"service": "x"}, registry).MustRegister(c)
	for _, m := range gather(t, registry)["cgoheap_memory_bytes"].GetMetric() {
		if len(m.GetLabel()) != 2 {
			t.Errorf("wrapped: %v", m)
		}
	}
}
