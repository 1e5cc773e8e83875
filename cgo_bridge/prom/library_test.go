package prom

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"cgoheap.example/cgo_bridge"
)

func needLibrary(t *testing.T) {
	t.Helper()
	if !cgo_bridge.Loaded() {
		t.Skip(cgo_bridge.ErrNotPreloaded)
	}
}

// newLibrary is the library of this process.
func newLibrary() *library { return &library{answer: cgo_bridge.Metrics} }

func page(t *testing.T) (string, map[string]*dto.MetricFamily) {
	t.Helper()
	var text bytes.Buffer
	if err := cgo_bridge.Metrics(context.Background(), &text); err != nil {
		t.Fatal(err)
	}
	list, err := newWith(Options{}, says(text.String())).page()
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]*dto.MetricFamily{}
	for _, f := range list {
		families[f.GetName()] = f
	}
	return text.String(), families
}

func textOf(t *testing.T, f *dto.MetricFamily) string {
	t.Helper()
	var text strings.Builder
	if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func withoutOwn(families map[string]*dto.MetricFamily) map[string]*dto.MetricFamily {
	delete(families, "cgoheap_up")
	delete(families, "cgoheap_scrape_errors_total")
	return families
}

// The same page, by the library and through the collector, to the letter.
func TestSamePage(t *testing.T) {
	needLibrary(t)
	text, want := page(t)
	got := withoutOwn(gather(t, register(t, &library{answer: says(text)}, Options{})))
	if len(want) < 40 || len(got) != len(want) {
		t.Errorf("%d families in place of %d", len(got), len(want))
	}
	for name, f := range want {
		if got[name] == nil {
			t.Errorf("no %s", name)
		} else if got, want := sortedLines(textOf(t, got[name])),
			sortedLines(textOf(t, f)); got != want {
			t.Errorf("%s is\n%sin place of\n%s", name, got, want)
		}
	}
}

func sortedLines(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i := range lines {
		for k := i; k > 0 && lines[k] < lines[k-1]; k-- {
			lines[k], lines[k-1] = lines[k-1], lines[k]
		}
	}
	return strings.Join(lines, "")
}

// Two pages and a scrape between them, of one process. What is known can change meanwhile.
func TestSameAsLibrary(t *testing.T) {
	needLibrary(t)
	registry := register(t, newLibrary(), Options{MinInterval: everyTime})
	_, before := page(t)
	now := gather(t, registry)
	_, after := page(t)
	wantOwn(t, now, 1, 0)
	for name, f := range withoutOwn(now) {
		b, a := seriesOf(t, before[name]), seriesOf(t, after[name])
		for s := range seriesOf(t, f) {
			if !b[s] && !a[s] {
				t.Errorf("%q is on neither page", s)
			}
		}
	}
	for name, f := range before {
		n, a := seriesOf(t, now[name]), seriesOf(t, after[name])
		for s := range seriesOf(t, f) {
			if a[s] && !n[s] {
				t.Errorf("%q is on both pages, and not here", s)
			}
		}
	}
	for _, name := range []string{"build_info", "sampling_enabled", "sample_interval_bytes",
		"shim_max_bytes"} {
		f := now["cgoheap_"+name]
		if f == nil || textOf(t, f) != textOf(t, before["cgoheap_"+name]) {
			t.Errorf("%s is %v", name, f)
		}
	}
}

// seriesOf is the text of a family without values.
func seriesOf(t *testing.T, f *dto.MetricFamily) map[string]bool {
	t.Helper()
	series := map[string]bool{}
	if f == nil {
		return series
	}
	for _, line := range strings.Split(textOf(t, f), "\n") {
		if !strings.HasPrefix(line, "#") {
			line, _, _ = strings.Cut(line, " ")
		}
		series[line] = true
	}
	return series
}

// Owners are the RSS, also after the way through text and floats.
func TestOwnersSum(t *testing.T) {
	needLibrary(t)
	families := gather(t, register(t, newLibrary(), Options{}))
	var sum float64
	for _, m := range families["cgoheap_memory_bytes"].GetMetric() {
		sum += m.GetGauge().GetValue()
	}
	if rss := families["cgoheap_rss_bytes"].GetMetric()[0].GetGauge().GetValue(); sum != rss ||
		rss < 1<<20 {
		t.Errorf("owners are %.0f, the RSS %.0f", sum, rss)
	}
}

func TestSamplingSwitch(t *testing.T) {
	needLibrary(t)
	ctx := context.Background()
	was, err := cgo_bridge.Sampling(ctx, cgo_bridge.SamplingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	registry := register(t, newLibrary(), Options{MinInterval: everyTime})
	for _, on := range []bool{!was.On, was.On} {
		o := cgo_bridge.SamplingOptions{Switch: cgo_bridge.SamplingOff}
		want := 0.0
		if on {
			o.Switch, want = cgo_bridge.SamplingOn, 1
		}
		if _, err := cgo_bridge.Sampling(ctx, o); err != nil {
			t.Fatal(err)
		}
		if f := gather(t,
			registry)["cgoheap_sampling_enabled"]; f.GetMetric()[0].GetGauge().GetValue() != want {
			t.Errorf("sampling on is %v: %v", on, f)
		}
	}
}

func TestWithoutLibrary(t *testing.T) {
	if cgo_bridge.Loaded() {
		t.Skip("libcgoheap.so is here")
	}
	families := gather(t, register(t, newLibrary(),
		Options{OnError: func(err error) { t.Error(err) }}))
	wantOwn(t, families, 0, -1)
	if len(families) != 1 {
		t.Errorf("families are %v", families)
	}
}

// What Prometheus's own linters say of names, units and help texts.
func TestLint(t *testing.T) {
	for name, l := range map[string]*library{
		"here":    newLibrary(),
		"failing": {answer: fails(context.Canceled)},
	} {
		registry := register(t, l, Options{})
		t.Run("promlint/"+name, func(t *testing.T) { promlintAll(t, registry) })
		t.Run("promtool/"+name, func(t *testing.T) { promtoolAll(t, registry) })
	}
}

func promlintAll(t *testing.T, registry *prometheus.Registry) {
	list, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(list).Lint()
	if err != nil || len(problems) != 0 || len(list) == 0 {
		t.Errorf("%d families: %v, %v", len(list), problems, err)
	}
}

func promtoolAll(t *testing.T, registry *prometheus.Registry) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian's package prometheus)")
	}
	cmd := exec.Command(promtool, "check", "metrics")
	var text strings.Builder
	for _, f := range gather(t, registry) {
		text.WriteString(textOf(t, f))
	}
	cmd.Stdin = strings.NewReader(text.String())
	if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
