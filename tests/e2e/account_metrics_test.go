package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// metrics are the samples of /metrics by name and labels as they stand there.
func metrics(t testing.TB, text string) map[string]float64 {
	t.Helper()
	list := map[string]float64{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if _, twice := list[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		list[name] = n
	}
	return list
}

func metricsHost(t *testing.T, o hostOptions) *host {
	h := start(t, program(t, "go-account", oneBuild()), o)
	h.tellAll([]string{"malloc 50000 1016 1", fmt.Sprint("map ", 20*mib, " ", 20*mib),
		"churn 20 1000 1016 16376 0"})
	return h
}

// What Prometheus itself says of names, units and format.
func TestMetricsByPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian's package prometheus)")
	}
	for name, o := range map[string]hostOptions{"sampling": {},
		"dormant": {env: []string{"CGOHEAP_START=dormant"}}} {
		t.Run(name, func(t *testing.T) {
			h := metricsHost(t, o)
			cmd := exec.Command(promtool, "check", "metrics")
			cmd.Stdin = bytes.NewReader(h.get("/metrics"))
			if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
				t.Errorf("promtool check metrics: %v\n%s", err, out)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	h := metricsHost(t, hostOptions{})
	h.accountNow()
	a := h.account()
	code, header, body := h.request("GET", "/metrics")
	if code != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/plain; version=0.0.4") &&
		!strings.HasPrefix(header.Get("Content-Type"), "application/openmetrics-text; "+
			"version=1.0.0") {
		t.Errorf("%d, %s", code, header.Get("Content-Type"))
	}
	list := metrics(t, string(body))
	var sum float64
	for _, name := range append([]string{"unexplained"}, ownerNames...) {
		got, there := list[fmt.Sprintf("cgoheap_memory_bytes{owner=%q}", name)]
		sum += got
		want, known := a.bytes(name), a.owner(name).Bytes != nil
		if name == "unexplained" {
			want, known = a.Unexplained, true
		}
		if there != known || !within(int64(got), want, 0.02, 256*kib) {
			t.Errorf("%s is %.0f, the account says %d", name, got, want)
		}
	}
	if !within(int64(sum), a.RSS, 0.01, max(256*kib, a.bytes("shim"))) {
		t.Errorf("owners are %.0f, rss_bytes is %d", sum, a.RSS)
	}
	wantMetric(t, list, "allocator_in_use_bytes", *a.Allocator.InUse)
	for _, name := range []string{"vm_data_bytes", "rss_anon_bytes", "vm_size_bytes"} {
		wantMetric(t, list, name, *a.Process[name])
	}
	wantDescribed(t, string(body))
}

// wantMetric: one metric whose name ends so has about that value.
func wantMetric(t *testing.T, list map[string]float64, suffix string, want int64) {
	t.Helper()
	for name, value := range list {
		bare, _, _ := strings.Cut(name, "{")
		if strings.HasSuffix(bare, suffix) && within(int64(value), want, 0.02, 256*kib) {
			return
		}
	}
	t.Errorf("no metric *%s is %d in %v", suffix, want, list)
}

// wantDescribed: every name has its HELP and TYPE, once, and only those that are there.
func wantDescribed(t *testing.T, text string) {
	t.Helper()
	for _, kind := range []string{"HELP", "TYPE"} {
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^# `+kind+` (\S+) \S`).FindAllStringSubmatch(text,
			-1) {
			if seen[m[1]] {
				t.Errorf("two %s of %s", kind, m[1])
			}
			seen[m[1]] = true
		}
		for name := range metrics(t, text) {
			bare, _, _ := strings.Cut(name, "{")
			if !seen[bare] && !seen[strings.TrimSuffix(bare, "_total")] {
				t.Errorf("no %s of %s", kind, bare)
			}
		}
	}
}
