// Command prom is a service with a page for Prometheus, that leaks C memory as
// its stdin says.
package main

/*
#include <stdlib.h>
#include <string.h>

static int leak(long count, size_t bytes)
{
	for (long i = 0; i < count; i++) {
		void *block = malloc(bytes);
		if (!block)
			return -1;
		memset(block, 1, bytes);
	}
	return 0;
}
*/
import "C"

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cgoheap.example/cgo_bridge/prom"
	"cgoheap.test/steps"
)

func main() {
	prometheus.MustRegister(prom.NewCollector(prom.Options{
		OnError: func(err error) { fmt.Fprintln(os.Stderr, err) },
	}))
	http.Handle("/metrics", promhttp.Handler())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	steps.Say("address", listener.Addr().String())
	for {
		var count, bytes int
		if n, _ := fmt.Sscanf(steps.Ready(), "leak %d %d", &count, &bytes); n != 2 ||
			C.leak(C.long(count), C.size_t(bytes)) != 0 {
			panic("not leaked")
		}
	}
}
