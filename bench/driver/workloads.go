package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A workload is a program of bench/workloads, and how much of it to do.
type workload struct {
	name  string
	title string
	isGo  bool
	n     int // for a time
	count int // for callgrind, which is fifty times slower
	share int // a slow profiler does one in so much of it
}

// Counts of C workloads allocate more than 16 MiB: tcmalloc takes its first sample only then.
var workloads = []workload{
	{"pairs", "malloc and free pairs of 32 bytes, 20 frames deep", false, 4_000_000, 1_200_000,
		40},
	{"tree", "trees of 1,023 nodes built and torn down", false, 5_000, 640, 10},
	{"grow", "buffers that grow by realloc", false, 12_000, 1_000, 1},
	{"handoff", "blocks that one thread allocates and another frees", false, 1_000_000, 200_000,
		20},
	{"cstring", "calls through C.CString", true, 1_000_000, 200_000, 10},
	{"sqlite", "rows inserted and queried with go-sqlite3", true, 10_000, 2_000, 1},
	{"zstd", "zstd streams (DataDog/zstd)", true, 300, 40, 1},
	{"duckdb", "rounds of an aggregate, a join and JSON in DuckDB (go-duckdb)", true, 6, 1, 1},
}

// amount is how much of it a run at that scale does.
func (w workload) amount(scale float64, p profiler) int { return w.part(w.n, scale, p.isSlow) }

// counted is how much of it is counted.
func (w workload) counted(scale float64, p profiler) int {
	return w.part(w.count, scale, p.isExact)
}

func (w workload) part(n int, scale float64, isShare bool) int {
	if isShare {
		scale /= float64(w.share)
	}
	return max(1, int(float64(n)*scale))
}

// build makes the programs in OUT/workloads; failed has why, by name, those that are not there.
func build(root, out string, wanted []workload) (failed map[string]string, err error) {
	failed = map[string]string{}
	dir := filepath.Join(root, "bench", "workloads")
	bin := filepath.Join(out, "workloads")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	for _, w := range wanted {
		command := exec.Command(or(os.Getenv("CC"), "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2",
			"-g", "-fno-builtin", "-pthread", "-Wl,-z,now", "-Iwork", "-o",
			filepath.Join(bin, w.name), w.name+".c", "work/work.c", "-ldl")
		if w.isGo {
			command = exec.Command(or(os.Getenv("GO"), "go"), "build", "-o", bin+"/", "./"+w.name)
		}
		command.Dir = dir
		if said, err := command.CombinedOutput(); err != nil {
			failed[w.name] = fmt.Sprintf("not built: %s", firstLine(string(said), err.Error()))
		}
	}
	return failed, nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// firstLine is the first line of text that says something, or otherwise.
func firstLine(text, otherwise string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return otherwise
}
