package prom_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cgoheap.example/cgo_bridge/prom"
)

// In a service that has client_golang already, one line:
//
//	prometheus.MustRegister(prom.NewCollector(prom.Options{}))
//
// This one has a registry of its own, and is scraped once.
func ExampleNewCollector() {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prom.NewCollector(prom.Options{
		Timeout: 3 * time.Second,
		OnError: func(err error) { fmt.Println("cgoheap:", err) },
	}))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	fmt.Println(w.Code, strings.Contains(w.Body.String(), "\ncgoheap_up "))
	// Output: 200 true
}
