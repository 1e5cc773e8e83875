// Package report opens the pages of cgoheap report in Chromium and uses them as people do.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// What the pages are made of.

const mib = 1 << 20

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hour is a recording of an hour at a sample a second: C live grows, there are a gap and alerts.
func hour(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "hour.jsonl")
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	lines := json.NewEncoder(file)
	begin := time.Date(2026, 11, 30, 6, 0, 0, 0, time.UTC)
	at := func(i int, line map[string]any) {
		line["wall"] = begin.Add(time.Duration(i) * time.Second).Format(time.RFC3339)
		line["mono_ns"] = int64(i+1) * 1e9
		must(t, lines.Encode(line))
	}
	at(0, map[string]any{"schema": "cgoheap.watch/1", "host": "web-7", "program": "service",
		"pid": 42, "interval_ns": int64(1e9), "version": "0.1.0"})
	for i := range 3600 {
		goHeap := 48*mib + i%25*mib
		owners := map[string]int{"go_heap": goHeap, "c_live": 60*mib + i*90112, "program": 12 * mib,
			"c_retained": 20*mib + i%7*4096, "thread_stacks": 4 * mib}
		values, rss := map[string]any{}, 0
		for name, bytes := range owners {
			values["owner_"+name+"_bytes"] = bytes
			rss += bytes
		}
		values["rss_bytes"], values["rss_anon_bytes"] = rss, rss-12*mib
		values["rss_file_bytes"], values["cgroup_limit_bytes"] = 12*mib, 1024*mib
		values["vm_size_bytes"], values["threads"] = 2048*mib, 18+i/300
		values["gc_cycles"], values["gc_cpu_ratio"] = i/25, 0.01+float64(i%13)/1000
		values["go_in_use_bytes"], values["x.qps"] = goHeap, 300+80*math.Sin(float64(i)/300)
		if i > 700 && i < 760 {
			values = map[string]any{"rss_bytes": rss}
		}
		at(i, map[string]any{"values": values})
		if i == 2400 {
			at(i, map[string]any{"event": map[string]any{"kind": "alert", "rule": "c_leak",
				"state": "firing", "text": "C live grows by 309 MiB an hour"}})
		}
	}
	return path
}

// stack is a sample of a memory profile, leaf first.
type stack struct {
	bytes  int64
	frames []string
}

func memoryProfile(t *testing.T, path string, list []stack) {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "memory_space", Unit: "bytes"}}}
	at := map[string]*profile.Location{}
	for _, s := range list {
		sample := &profile.Sample{Value: []int64{s.bytes}}
		for _, name := range s.frames {
			if at[name] == nil {
				id := uint64(len(p.Location) + 1)
				f := &profile.Function{ID: id, Name: name}
				if strings.Contains(name, ".") {
					f.Filename = "x.go"
				}
				p.Function = append(p.Function, f)
				at[name] = &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
				p.Location = append(p.Location, at[name])
			}
			sample.Location = append(sample.Location, at[name])
		}
		p.Sample = append(p.Sample, sample)
	}
	file, err := os.Create(path)
	must(t, err)
	must(t, p.Write(file))
	must(t, file.Close())
}

// scene is a directory of cgoheap collect, of a program of that name.
func scene(t *testing.T, program, file string, list []stack) string {
	dir := t.TempDir()
	write := func(name string, value any) {
		text, isText := value.(string)
		if !isText {
			body, err := json.Marshal(value)
			must(t, err)
			text = string(body)
		}
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("manifest.json", map[string]any{"schema": "cgoheap.scene/1", "host": program,
		"program": program, "pid": 42, "started": "2026-11-30T06:00:00Z"})
	bytes, rss := map[string]int64{}, int64(0)
	for _, s := range list {
		bytes[strings.Trim(s.frames[len(s.frames)-1], "[]")] += s.bytes
		rss += s.bytes
	}
	owners := []any{}
	for owner, n := range bytes {
		owners = append(owners, map[string]any{"name": owner, "bytes": n, "exact": true})
	}
	write("account.json", map[string]any{"rss_bytes": rss, "owners": owners,
		"time": "2026-11-30T06:00:00Z", "warnings": []string{program},
		"mapped_top": []any{map[string]any{"owner": "mapped_files", "file": file,
			"bytes": 8 * mib, "mapped_bytes": 16 * mib, "frames": []string{"mmap", "openIndex"}}}})
	write("proc/smaps", fmt.Sprintf(
		"00400000-00c00000 r-xp 00000000 fe:00 7 /x/service\nRss: 8192 kB\n"+
			"19000000-1d000000 rw-p 00000000 00:00 0 [heap]\nRss: 32768 kB\n"+
			"7f0000000000-7f0001000000 r--s 00000000 fe:00 9 %s\nRss: 8192 kB\nSwap: 4 kB\n", file))
	memoryProfile(t, filepath.Join(dir, "memory.pb.gz"), list)
	return dir
}

var usual = []stack{
	{40 * mib, []string{"malloc", "audit_actor", "main._Cfunc_audit_record", "main.auditRecord",
		"main.serve", "main.main", "[c_live]"}},
	{20 * mib, []string{"malloc", "ZSTD_createCCtx", "main._Cfunc_ZSTD_createCCtx", "main.compress",
		"main.serve", "main.main", "[c_live]"}},
	{30 * mib, []string{"[go_heap]"}},
}
