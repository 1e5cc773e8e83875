package observe

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// Page is a Prometheus page, and what to take from it.
type Page struct {
	url     string
	Metrics []Metric

	last   map[string]reading // of counters
	lastAt time.Time
}

// Metric is NAME or NAME{LABEL=VALUE,...}: the sum of all that match.
type Metric struct {
	text, name string
	labels     map[string]string
}

type reading struct{ sum, count float64 }

// ParsePage completes HOST:PORT.
func ParsePage(given string) (*Page, error) {
	if !strings.Contains(given, "://") {
		given = "http://" + given
	}
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, flags.Usagef("a URL such as http://127.0.0.1:9090/metrics")
	}
	if u.Path == "" {
		u.Path = "/metrics"
	}
	return &Page{url: u.String()}, nil
}

var errMetric = flags.Usagef(`NAME or NAME{LABEL="VALUE",...} such as ` +
	`http_requests_total{code="500"}`)

// ParseMetric reads what to take from a page.
func ParseMetric(text string) (Metric, error) {
	m := Metric{text: text, labels: map[string]string{}}
	name, rest, has := strings.Cut(text, "{")
	m.name = name
	if name == "" || strings.ContainsAny(name, " =,}\"") {
		return m, errMetric
	}
	if !has {
		return m, nil
	}
	rest, closed := strings.CutSuffix(rest, "}")
	if !closed {
		return m, errMetric
	}
	for _, part := range strings.Split(rest, ",") {
		label, value, ok := strings.Cut(part, "=")
		if !ok || label == "" {
			return m, errMetric
		}
		m.labels[strings.TrimSpace(label)] = strings.Trim(strings.TrimSpace(value), `"`)
	}
	return m, nil
}

func (p *Page) name() string { return shownURL(p.url) }

func (p *Page) read() (series.Row, time.Duration, error) {
	var r series.Row
	start := time.Now()
	body, err := fetch(context.Background(), p.url, fetchTimeout)
	if err != nil {
		return r, 0, err
	}
	err = p.take(&r, body, start)
	return r, 0, err
}

// take adds what is there, and says which metrics are not.
func (p *Page) take(r *series.Row, body []byte, now time.Time) error {
	if looksLikeHTML(body) {
		return fmt.Errorf("%s answers an HTML page, not metrics for Prometheus", p.name())
	}
	families, err := (&expfmt.TextParser{}).TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s has no metrics for Prometheus: %s", p.name(),
			termtext.Escape(termtext.CutEnd(err.Error(), 200)))
	}
	seconds := now.Sub(p.lastAt).Seconds()
	next := map[string]reading{}
	var missing []string
	for _, m := range p.Metrics {
		family := families[m.name]
		current, found := m.sum(family)
		if !found {
			missing = append(missing, termtext.Quote(m.text))
			continue
		}
		next[m.text] = current
		last, again := p.last[m.text]
		if v, ok := shown(family.GetType(), current, last, again, seconds); ok {
			r.Set(series.ExternalName(m.text), v)
		}
	}
	p.last, p.lastAt = next, now
	if missing != nil {
		return fmt.Errorf("%s has no metric %s", p.name(), strings.Join(missing, ", "))
	}
	return nil
}

// shown is a gauge's value, a counter's increase a second, and of a histogram or summary the
// mean of what was observed since the last look.
func shown(kind dto.MetricType, now, last reading, again bool, seconds float64) (float64, bool) {
	switch kind {
	case dto.MetricType_COUNTER:
		return (now.sum - last.sum) / seconds, again && seconds > 0 && now.sum >= last.sum
	case dto.MetricType_HISTOGRAM, dto.MetricType_SUMMARY, dto.MetricType_GAUGE_HISTOGRAM:
		return (now.sum - last.sum) / (now.count - last.count), again && now.count > last.count
	}
	return now.sum, true
}

func (m *Metric) sum(family *dto.MetricFamily) (total reading, found bool) {
	for _, one := range family.GetMetric() {
		if !m.matches(one) {
			continue
		}
		found = true
		switch {
		case one.Counter != nil:
			total.sum += one.Counter.GetValue()
		case one.Gauge != nil:
			total.sum += one.Gauge.GetValue()
		case one.Untyped != nil:
			total.sum += one.Untyped.GetValue()
		case one.Histogram != nil:
			total.sum += one.Histogram.GetSampleSum()
			total.count += float64(one.Histogram.GetSampleCount())
		case one.Summary != nil:
			total.sum += one.Summary.GetSampleSum()
			total.count += float64(one.Summary.GetSampleCount())
		}
	}
	return total, found
}

func (m *Metric) matches(one *dto.Metric) bool {
	matched := 0
	for _, pair := range one.GetLabel() {
		want, wanted := m.labels[pair.GetName()]
		if wanted && want != pair.GetValue() {
			return false
		}
		if wanted {
			matched++
		}
	}
	return matched == len(m.labels)
}
