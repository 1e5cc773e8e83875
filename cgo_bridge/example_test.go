package cgo_bridge_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"cgoheap.example/cgo_bridge"
)

// On a mux of the program's own, beside what is there. To be within a module that says
// go 1.21, too, there is no method in these patterns; from go 1.22 on, and beside
// GET /debug/pprof/, they are "GET /debug/pprof/cgoheap" and so on.
func ExampleHandler() {
	mux := http.NewServeMux()
	mux.Handle("/debug/pprof/cgoheap", cgo_bridge.Handler())
	mux.Handle("/debug/pprof/allheap", cgo_bridge.Handler())
}

// What the RSS is made of.
func ExampleAccount() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	a, err := cgo_bridge.Account(ctx)
	if err != nil {
		fmt.Println("no account:", err)
		return
	}
	fmt.Printf("%d MiB resident, %d MiB of them not Go's\n", a.RSS>>20, a.NonGo()>>20)
}

// Ten minutes of finer sampling, in a program that was started dormant.
func ExampleSampling() {
	state, err := cgo_bridge.Sampling(context.Background(), cgo_bridge.SamplingOptions{
		Switch: cgo_bridge.SamplingOn, For: 10 * time.Minute, SampleBytes: 128 << 10,
	})
	if err == nil && state.On {
		fmt.Println("sampling for", state.Remaining)
	}
}

// What grew in a minute, into a file for go tool pprof.
func ExampleProfile() {
	f, err := os.Create("growth.pb.gz")
	if err != nil {
		return
	}
	defer f.Close()
	if err := cgo_bridge.Profile(f, cgo_bridge.ProfileOptions{Growth: time.Minute}); err != nil {
		fmt.Println(err)
	}
}
