package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Prometheus scrapes the library itself, with the rules and the dashboard of docs/fleet.
func TestFleet(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{
		sampleBytes: 1, env: []string{"CGOHEAP_LISTEN=127.0.0.1:0"}})
	h.tell("alloc A 1000 1000")
	port := h.status().TCPPort
	if port == nil {
		t.Fatal("no tcp_port in the status")
	}
	fleet := filepath.Join(repositoryRoot(), "docs", "fleet")
	p := startPrometheusWith(t, fmt.Sprintf("127.0.0.1:%d", *port),
		"evaluation_interval: 1s", filepath.Join(fleet, "alerts.yml"))
	p.await(`up{job="service"}`, is(1))
	p.await("cgoheap_sampling_enabled", is(1))
	p.wantSum()
	// Only OpenMetrics says units: Prometheus asked for it and got it.
	p.awaitUnit("cgoheap_memory_bytes", "bytes")
	p.await("count(cgoheap:c_live_bytes:floor_1h)", is(1))

	for _, panel := range dashboard(t, filepath.Join(fleet, "grafana-dashboard.json")) {
		for _, target := range panel.Targets {
			expression := strings.NewReplacer("$instance", ".*",
				"$__rate_interval", "1m").Replace(target.Expr)
			if mayLackData(expression) {
				p.queries(expression)
				continue
			}
			count := "count(" + strings.TrimSuffix(expression, " > 0") + ")"
			p.await(count, func(n float64) bool { return n > 0 })
		}
	}
}

// mayLackData: without a limit, without Go's figures, or before two scrapes there is none.
func mayLackData(expression string) bool {
	for _, name := range []string{"cgroup_", "deriv(", "go_heap_"} {
		if strings.Contains(expression, name) {
			return true
		}
	}
	return false
}

type panel struct {
	Title   string
	Targets []struct{ Expr string }
}

func dashboard(t *testing.T, path string) []panel {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Panels []panel }
	if err := json.Unmarshal(text, &d); err != nil || len(d.Panels) == 0 {
		t.Fatalf("%s: %v, %d panels", path, err, len(d.Panels))
	}
	return d.Panels
}
