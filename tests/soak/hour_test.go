//go:build long

package soak

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	hourBlocks   = 200000
	hourInterval = 512 << 10
	hourError    = 0.10
)

// An hour is HOUR_SECONDS long, 3600 by default; the leak begins when five sixths of it are over.
func hour(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("HOUR_SECONDS")
	if text == "" {
		return time.Hour
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 60 {
		t.Fatalf("HOUR_SECONDS=%q is not a number of seconds, 60 or more", text)
	}
	return time.Duration(n) * time.Second
}

// intervals notes the sample interval of each status.
type intervals struct{ seen []uint64 }

func (i *intervals) note(body []byte) error {
	var status struct {
		SampleBytes uint64 `json:"sample_bytes"`
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return err
	}
	i.seen = append(i.seen, status.SampleBytes)
	return nil
}

func (i *intervals) raised() (seconds int) {
	for _, bytes := range i.seen {
		if bytes > hourInterval {
			seconds++
		}
	}
	return seconds
}

var firstTotal = regexp.MustCompile(`Showing nodes accounting for (\d+)B?,`)

// inUseUnder is what the profile says is in use under a function, in bytes.
func inUseUnder(t *testing.T, s *shim, function string) uint64 {
	t.Helper()
	body, err := s.ask("GET", "/debug/pprof/cgoheap")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cgo.pb.gz")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", "-sample_index=inuse_space", "-unit=B",
		"-nodefraction=0", "-edgefraction=0", "-focus=^"+function+"$", file).CombinedOutput()
	found := firstTotal.FindSubmatch(out)
	if found == nil {
		t.Fatalf("pprof: %v\n%s", err, out)
	}
	bytes, _ := strconv.ParseUint(string(found[1]), 10, 64)
	return bytes
}

// sandbox is the launcher that puts a service under systemd's SystemCallFilter=@system-service,
// which kills.
func sandbox(t *testing.T, dir string) []string {
	t.Helper()
	launcher := filepath.Join(dir, "sandbox")
	run(t, "../programs/seccomp", "cc", "-O1", "-o", launcher, "sandbox.c")
	list := filepath.Join(dir, "filter")
	run(t, "../programs/seccomp", "sh", "-c", "./numbers.sh filters/system-service-252 >"+list)
	return []string{launcher, list, "kill", ""}
}

// A sandboxed service with many live blocks, a recorder and a scrape each second: the interval is
// what was asked for at the end, and a late leak is found.
func TestHour(t *testing.T) {
	library, err := filepath.Abs("../../build/libcgoheap.so")
	if err != nil {
		t.Fatal(err)
	}
	duration, dir := hour(t), build(t)
	run(t, ".", "cc", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o",
		filepath.Join(dir, "ballast.so"), "ballast/ballast.c", "-lpthread")
	truth := filepath.Join(dir, "truth")
	leakAt := duration * 5 / 6
	with := startUnder(t, dir, sandbox(t, dir),
		"BALLAST_BLOCKS="+strconv.Itoa(hourBlocks), "BALLAST_TRUTH="+truth,
		"BALLAST_LEAK_AT="+strconv.Itoa(int(leakAt/time.Second)),
		"CGOHEAP_BLACKBOX="+t.TempDir(),
		"LD_PRELOAD="+library+" "+filepath.Join(dir, "ballast.so"))
	shim, end := newShim(with.socket), make(chan struct{})
	noted := new(intervals)
	go shim.repeat(end, "GET", "/v1/status", time.Second, noted.note)
	go shim.repeat(end, "GET", "/metrics", time.Second, anything)
	go shim.repeat(end, "GET", "/debug/pprof/cgoheap", 10*time.Second, isProfile)
	requests, _ := soak(t, with, time.Now().Add(duration), math.MaxInt)
	close(end)

	found := float64(inUseUnder(t, shim, "ballast_leak"))
	text, err := os.ReadFile(truth)
	if err != nil {
		t.Fatal(err)
	}
	leaked, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests; of the shim: %v; interval above what was asked for in %d of %d looks; "+
		"leaked %.0f bytes, found %.0f",
		requests, shim.asked, noted.raised(), len(noted.seen), leaked, found)
	for i, err := range shim.errors {
		if i < 10 {
			t.Error(err)
		}
	}
	if last := noted.seen[len(noted.seen)-1]; last != hourInterval {
		t.Errorf("the interval is %d at the end, %d was asked for", last, hourInterval)
	}
	// A leak that had less time has fewer samples: three standard errors of theirs.
	allowed := max(hourError, 3*math.Sqrt(hourInterval/leaked))
	if math.Abs(found-leaked) > allowed*leaked {
		t.Errorf("%.0f bytes leaked, the profile has %.0f", leaked, found)
	}
	with.stop(t)
}
