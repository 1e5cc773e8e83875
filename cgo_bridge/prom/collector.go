// Package prom shows what libcgoheap.so knows of this process to Prometheus, on
// the page that is already scraped: who owns the resident memory, and how the
// library itself is doing.
//
//	prometheus.MustRegister(prom.NewCollector(prom.Options{}))
//
// Names, labels, units, types and help texts are those of the library's own
// /metrics page, so a dashboard works with both: cgoheap_memory_bytes{owner="..."},
// whose owners add up to cgoheap_rss_bytes; what /proc, the cgroup, the C allocator
// and Go report; cgoheap_sampling_enabled; and the library's counters. Two are
// added:
//
//	cgoheap_up                    1 if the library answered, else 0
//	cgoheap_scrape_errors_total   how often it was there and did not answer
//
// Without the library, cgoheap_up is 0 and the only metric. A scrape never fails
// because of this collector.
//
// The package needs Go 1.21 and works with every client_golang from 1.21 on. It
// compiles with CGO_ENABLED=0, where no library can be preloaded. Importing it
// imports [cgo_bridge], which registers its profiles on [net/http.DefaultServeMux].
package prom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"cgoheap.example/cgo_bridge"
)

const (
	// DefaultMinInterval is shorter than every usual scrape interval: it is for
	// scrapes that arrive together.
	DefaultMinInterval = time.Second
	// DefaultTimeout is half of Prometheus's own default for a scrape.
	DefaultTimeout = 5 * time.Second
)

// Options configure [NewCollector]. The zero value is fine.
type Options struct {
	// A scrape within this time of the last answer gets the same figures. So several
	// Prometheus servers, or one with a short interval, do not each cause an account,
	// which takes about 20 ms of processor time per resident GiB. 0 is
	// DefaultMinInterval; negative: each scrape asks again.
	MinInterval time.Duration

	// If the library has not answered after this time, cgoheap_up is 0 and the rest
	// of the service's metrics go out. Keep it below Prometheus's scrape_timeout.
	// 0 or negative is DefaultTimeout.
	Timeout time.Duration

	// OnError, if not nil, is called with each error that cgoheap_scrape_errors_total
	// counts, before the scrape continues: one from [cgo_bridge.Metrics], or that the
	// library's answer could not be read. [cgo_bridge.ErrNotPreloaded] is not counted.
	// It is called by one goroutine at a time.
	OnError func(error)
}

// NewCollector returns a Collector for one registry or several; all its methods are
// safe for use by several goroutines. Registering a second one in the same registry is
// an error, as usual. Registering asks the library once, as a scrape does.
func NewCollector(opts Options) prometheus.Collector {
	if opts.MinInterval == 0 {
		opts.MinInterval = DefaultMinInterval
	}
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	return &collector{opts: opts, ask: cgo_bridge.Metrics}
}

var (
	upDesc = prometheus.NewDesc("cgoheap_up", "1 where libcgoheap.so is preloaded "+
		"and answered.", nil, nil)
	errorsDesc = prometheus.NewDesc("cgoheap_scrape_errors_total", "How often libcgoheap.so was "+
		"there and did not answer.", nil, nil)
)

// The collector decodes the library's own page and passes it on. If it were made from
// an Account and a Status, each family would be named and explained a second time,
// figures that only the page has would have to be added to both, and those of a later
// library would be lost. And the page is one question where those are two.
type collector struct {
	opts Options
	ask  func(context.Context, io.Writer) error // cgo_bridge.Metrics

	describing sync.Once
	described  map[string]described // by name

	mu     sync.Mutex
	last   *answer
	errors float64 // asking only
}

// answer is the result of one question. Read the other fields only after done is closed.
type answer struct {
	done    chan struct{}
	at      time.Time
	metrics []prometheus.Metric
}

// Describe has to name everything that will ever come: a collector that names nothing
// ("unchecked") can be registered twice, and then fails every scrape. It names what this
// package knows, because some figures are on the page only if they are known (a cgroup's
// limit), and what a later library has beyond that.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- upDesc
	out <- errorsDesc
	for _, d := range c.descriptions() {
		out <- d.desc
	}
}

func (c *collector) descriptions() map[string]described {
	c.describing.Do(func() {
		page, err := c.page()
		if err != nil {
			page = nil // the first scrape says so
		}
		c.described = describe(page)
	})
	return c.described
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, m := range c.latest().metrics {
		out <- m
	}
}

// latest is the last answer, if it is recent enough, or a new one. If a question is
// under way, the caller waits for its answer, so that no scrape waits longer than Timeout.
func (c *collector) latest() *answer {
	c.descriptions()
	c.mu.Lock()
	if a := c.last; a != nil && !c.isOld(a) {
		c.mu.Unlock()
		<-a.done
		return a
	}
	a := &answer{done: make(chan struct{})}
	c.last = a
	c.mu.Unlock()
	defer close(a.done)
	defer func() { a.at = time.Now() }()
	a.metrics = c.collect()
	return a
}

func (c *collector) isOld(a *answer) bool {
	select {
	case <-a.done:
		return time.Since(a.at) >= c.opts.MinInterval
	default:
		return false
	}
}

// collect is called by one goroutine at a time.
func (c *collector) collect() []prometheus.Metric {
	page, err := c.page()
	var list []prometheus.Metric
	if err == nil {
		list, err = c.metrics(page)
	}
	up := 1.0
	switch {
	case errors.Is(err, cgo_bridge.ErrNotPreloaded):
		return []prometheus.Metric{prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, 0)}
	case err != nil:
		up, list = 0, nil
		c.errors++
		if c.opts.OnError != nil {
			c.opts.OnError(err)
		}
	}
	return append(list,
		prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, up),
		prometheus.MustNewConstMetric(errorsDesc, prometheus.CounterValue, c.errors))
}

// page is the library's page, now.
func (c *collector) page() ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.opts.Timeout)
	defer cancel()
	var text bytes.Buffer
	if err := c.ask(ctx, &text); err != nil {
		return nil, err
	}
	var list []*dto.MetricFamily
	// How to make a TextParser differs from release to release.
	decoder := expfmt.NewDecoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for {
		family := &dto.MetricFamily{}
		switch err := decoder.Decode(family); err {
		case nil:
			list = append(list, family)
		case io.EOF:
			return list, nil
		default:
			return nil, fmt.Errorf("libcgoheap.so: cannot read its metrics: %w", err)
		}
	}
}

// metrics leaves out what was not described.
func (c *collector) metrics(page []*dto.MetricFamily) (list []prometheus.Metric, err error) {
	for _, family := range page {
		d, ok := c.described[family.GetName()]
		if !ok {
			continue
		}
		for _, m := range family.GetMetric() {
			one, err := d.metric(family.GetType(), m)
			if err != nil {
				return nil, fmt.Errorf("libcgoheap.so: cannot read %s: %w", family.GetName(), err)
			}
			list = append(list, one)
		}
	}
	return list, nil
}

// described is a family as Describe has it.
type described struct {
	desc   *prometheus.Desc
	labels []string // sorted
}

func describe(page []*dto.MetricFamily) map[string]described {
	all := map[string]described{}
	add := func(name, help string, labels []string) {
		all[name] = described{prometheus.NewDesc(name, help, labels, nil), labels}
	}
	for _, f := range families {
		var labels []string
		if f.label != "" {
			labels = []string{f.label}
		}
		add(f.name, f.help, labels)
	}
	for _, f := range page {
		if len(f.GetMetric()) != 0 && valueTypes[f.GetType()] != 0 {
			add(f.GetName(), f.GetHelp(), labelNames(f.GetMetric()[0]))
		}
	}
	// This package's text, even if a later library has another.
	delete(all, "cgoheap_up")
	delete(all, "cgoheap_scrape_errors_total")
	return all
}

func labelNames(m *dto.Metric) (names []string) {
	for _, l := range m.GetLabel() {
		names = append(names, l.GetName())
	}
	sort.Strings(names)
	return names
}

// valueTypes are those of one number.
var valueTypes = map[dto.MetricType]prometheus.ValueType{
	dto.MetricType_GAUGE:   prometheus.GaugeValue,
	dto.MetricType_COUNTER: prometheus.CounterValue,
	dto.MetricType_UNTYPED: prometheus.UntypedValue,
}

func (d described) metric(kind dto.MetricType, m *dto.Metric) (prometheus.Metric, error) {
	given := map[string]string{}
	for _, l := range m.GetLabel() {
		given[l.GetName()] = l.GetValue()
	}
	values := make([]string, 0, len(d.labels))
	for _, name := range d.labels {
		values = append(values, given[name])
		delete(given, name)
	}
	if len(given) != 0 || len(m.GetLabel()) != len(d.labels) {
		return nil, fmt.Errorf("labels %v in place of %v", labelNames(m), d.labels)
	}
	// of which it has one
	value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
	return prometheus.NewConstMetric(d.desc, valueTypes[kind], value, values...)
}
