// Package soak leaves the shim in a service that works, for as long as
// SOAK_SECONDS says (60 by default; `make soak` 600): under load from 8
// connections, sampling switched every few seconds, every page of the shim asked
// for all the time, children forked.
package soak

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A shim's client, as bad a neighbour as a dashboard may be.
type shim struct {
	client http.Client
	mutex  sync.Mutex
	asked  map[string]int
	errors []error
	memory []uint64 // resident_bytes of each status, in order
}

func newShim(socket string) *shim {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &shim{asked: map[string]int{}, client: http.Client{Timeout: patience,
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

func (s *shim) ask(method, path string) ([]byte, error) {
	request, err := http.NewRequest(method, "http://shim"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.200s", method, path, response.Status, body)
	}
	return body, err
}

// repeat asks for one thing until the end, and looks at each answer.
func (s *shim) repeat(end <-chan struct{}, method, path string, every time.Duration,
	look func(body []byte) error) {
	for {
		select {
		case <-end:
			return
		case <-time.After(every):
		}
		body, err := s.ask(method, path)
		if err == nil {
			err = look(body)
		}
		s.mutex.Lock()
		s.asked[path]++
		if err != nil {
			s.errors = append(s.errors, fmt.Errorf("%s: %w", path, err))
		}
		s.mutex.Unlock()
	}
}

func anything([]byte) error { return nil }

func isProfile(body []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, z)
	return err
}

func isJSON(body []byte) error {
	if !json.Valid(body) {
		return fmt.Errorf("not JSON: %.200s", body)
	}
	return nil
}

func (s *shim) noteMemory(body []byte) error {
	var status struct {
		Memory struct {
			ResidentBytes uint64 `json:"resident_bytes"`
		}
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return err
	}
	s.mutex.Lock()
	s.memory = append(s.memory, status.Memory.ResidentBytes)
	s.mutex.Unlock()
	return nil
}

func (s *shim) start(end <-chan struct{}) *sync.WaitGroup {
	var all sync.WaitGroup
	begin := func(method, path string, every time.Duration, look func([]byte) error) {
		all.Add(1)
		go func() {
			defer all.Done()
			s.repeat(end, method, path, every, look)
		}()
	}
	begin("GET", "/debug/pprof/cgoheap", 100*time.Millisecond, isProfile)
	begin("GET", "/v1/status", 100*time.Millisecond, s.noteMemory)
	begin("GET", "/v1/account", 200*time.Millisecond, isJSON)
	begin("GET", "/metrics", 200*time.Millisecond, anything)
	begin("POST", "/v1/sampling?state=off", 3*time.Second, anything)
	begin("POST", "/v1/sampling?state=on&sample_bytes=16384", 5*time.Second, anything)
	begin("POST", "/v1/sampling?state=on&for=1s&sample_bytes=4096", 7*time.Second, anything)
	return &all
}

func most(figures []uint64) (most uint64) {
	for _, f := range figures {
		if f > most {
			most = f
		}
	}
	return most
}

// What the shim holds in the last quarter is no more than it was in the second, but for one
// request's memory.
func (s *shim) checkMemory(t *testing.T) {
	t.Helper()
	n := len(s.memory)
	if n < 20 {
		t.Fatalf("only %d answers said what memory the shim has", n)
	}
	const allowed = 2 << 20
	before, after := most(s.memory[n/4:n/2]), most(s.memory[3*n/4:])
	t.Logf("the shim's memory: at most %d KiB in the second quarter, %d KiB in the last",
		before>>10, after>>10)
	if after > before+allowed {
		t.Errorf("the shim's memory grew from %d to %d bytes", before, after)
	}
}

func seconds(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK_SECONDS")
	if text == "" {
		text = "60"
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 10 {
		t.Fatalf("SOAK_SECONDS=%q is not a number of seconds, 10 or more", text)
	}
	return time.Duration(n) * time.Second
}

// soak loads a service until then, or with that many requests; sum stands for all answers.
func soak(t *testing.T, s *service, until time.Time, most int) (requests int, sum string) {
	t.Helper()
	l := newLoad(s.url)
	if err := l.addNotes(); err != nil {
		t.Fatal(err)
	}
	requests, err := l.run(until, most)
	if err != nil {
		t.Fatalf("the service under load: %v; it said %q", err, &s.errors)
	}
	return requests, fmt.Sprintf("%x", l.sum)
}

func TestSoak(t *testing.T) {
	library, err := filepath.Abs("../../build/libcgoheap.so")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(library); err != nil {
		t.Fatal("make builds it first: ", err)
	}
	duration, dir := seconds(t), build(t)

	with := start(t, dir, library)
	shim, end := newShim(with.socket), make(chan struct{})
	asking := shim.start(end)
	requests, sum := soak(t, with, time.Now().Add(duration), math.MaxInt)
	close(end)
	asking.Wait()
	with.stop(t)

	for i, err := range shim.errors {
		if i < 10 {
			t.Error(err)
		}
	}
	t.Logf("%d requests of the service; of the shim: %v", requests, shim.asked)
	shim.checkMemory(t)

	without := start(t, dir, "")
	again, same := soak(t, without, time.Now().Add(time.Hour), requests)
	without.stop(t)
	if again != requests || same != sum {
		t.Errorf("%d requests were answered with %s; without the shim %d with %s", requests, sum,
			again, same)
	}
}
