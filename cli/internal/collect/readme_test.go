package collect

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/account"
)

var update = flag.Bool("update", false, "write the golden files")

// situations are the README.txt files that are kept in testdata.
var situations = map[string]func(w *world){
	"go-heap": func(w *world) {
		w.owners(1600*mib, 20*mib, 10*mib)
		w.cgroup(1820*mib, 40*mib)
		w.memStats["HeapInuse"], w.memStats["HeapIdle"] = 1500*mib, 110*mib
	},
	"c-leak": func(w *world) { w.cgroup(940*mib, 40*mib) },
	"retained": func(w *world) {
		w.owners(80*mib, 30*mib, 900*mib)
		w.cgroup(w.account.RSS+10*mib, 40*mib)
		w.account.Kept = account.Kept{Returnable: num(100 * mib), ArenaEnds: num(790 * mib),
			Ends: num(36), Cached: num(0), Pinned: num(10 * mib)}
	},
	"goroutines": func(w *world) {
		w.owners(300*mib, 20*mib, 10*mib)
		w.account.Owners[1].Bytes, w.account.Owners[1].Mapped = num(962*mib), num(1024*mib)
		w.account.RSS += 960 * mib
		w.cgroup(w.account.RSS+10*mib, 40*mib)
		w.text = goroutineText(1190, "chan receive", "main.subscribe", 31) +
			goroutineText(10, "IO wait", "net/http.(*Server).Serve", 0)
	},
	"file-cache": func(w *world) {
		w.owners(80*mib, 20*mib, 10*mib)
		w.cgroup(1800*mib, 1500*mib)
	},
}

// TestReadmes: what a reader sees first, to the letter.
func TestReadmes(t *testing.T) {
	for name, change := range situations {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			change(w)
			dir, m, err := w.take(w.options())
			if err != nil || !m.Complete || len(missing(m)) != 0 {
				t.Fatal(err, missing(m))
			}
			got := readText(t, dir, "README.txt")
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := readText(t, golden); got != want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
			for _, line := range strings.Split(got, "\n") {
				wantFiles(t, dir, line)
			}
		})
	}
}

// wantFiles: a command names files that are there.
func wantFiles(t *testing.T, dir, line string) {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(line, "-diff_base=", ""))
	if len(words) == 0 || !slices.Contains([]string{"go", "cgoheap", "grep", "less"},
		words[0]) {
		return
	}
	for _, word := range words {
		if strings.Contains(word, "/") || strings.HasSuffix(word, ".pb.gz") {
			if strings.HasPrefix(word, "LATER/") || strings.HasPrefix(word, "'") {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, word)); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

// TestAnswers: from what there is, one question; and nothing is said that the figures do not say.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, o *Options)
		want   string
	}{
		"both sides": {func(w *world, o *Options) {},
			"No.\nGo's heap is 80.0 MiB (9 %) of the 901.0 MiB that are resident; " +
				"Go has 60.0 MiB of heap in use. " +
				"The largest other part is C live, 572.0 MiB (63 %), then C mmap, 101.0 MiB " +
				"(11 %)."},
		"half of it": {func(w *world, o *Options) { w.owners(700*mib, 400*mib, 0) },
			"Partly.\nGo's heap is 700.0 MiB (56 %) of the 1.2 GiB that are resident"},
		"a URL alone": {func(w *world, o *Options) { o.Process, o.Library = nil, nil },
			"No, not at its peak.\nGo's heap has 80.0 MiB: in use 60.0 MiB, free and not " +
				"returned " +
				"20.0 MiB; the process's RSS was at most 950.0 MiB."},
		"a URL alone, Go's": {func(w *world, o *Options) {
			o.Process, o.Library = nil, nil
			w.memStats["HeapInuse"] = 800 * mib
		}, "Yes.\nGo's heap has 820.0 MiB"},
		"a URL alone that does not tell the RSS": {func(w *world, o *Options) {
			o.Process, o.Library = nil, nil
			delete(w.memStats, "MaxRSS")
		}, "Unknown.\nGo's heap has 80.0 MiB"},
		"a process alone": {func(w *world, o *Options) { o.Server = nil },
			"No.\nGo's heap is 80.0 MiB (9 %) of the 901.0 MiB that are resident. " +
				"The largest other part is C live, 572.0 MiB (63 %), then C mmap, 101.0 MiB " +
				"(11 %)."},
		"without a library": {func(w *world, o *Options) { o.Library = noLibrary },
			"No.\nGo's heap has 80.0 MiB (9 %) of the 901.0 MiB that are resident: " +
				"in use 60.0 MiB, free and not returned 20.0 MiB."},
		"neither": {func(w *world, o *Options) { o.Library, o.Server = noLibrary, nil },
			"Unknown.\n901.0 MiB are resident: anonymous 869.0 MiB (96 %), files 32.0 MiB (4 %), " +
				"shared memory 0 B (0 %)."},
		"neither, and files": {func(w *world, o *Options) {
			o.Library, o.Server = noLibrary, nil
			w.write("proc/4242/status", "VmRSS:\t1000 kB\nRssAnon:\t100 kB\nRssFile:\t900 kB\n")
		}, "No.\n1000.0 KiB are resident: anonymous 100.0 KiB (10 %)"},
		"another process": {func(w *world, o *Options) { w.memStats["HeapInuse"] = 900 * mib },
			"No.\nGo's heap is 80.0 MiB (9 %) of the 901.0 MiB that are resident. The largest " +
				"other part is C live, 572.0 MiB (63 %), then C mmap, 101.0 MiB (11 %). The " +
				"cgroup " +
				"has 99.0 MiB more than this process's RSS: 90.0 MiB of other processes. " +
				"http://service:6060/debug/pprof describes another process: 902.0 MiB of Go heap " +
				"in use there, 160.0 MiB mapped here."},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := w.options()
			c.change(w, o)
			dir, _, err := w.take(o)
			if err != nil {
				t.Fatal(err)
			}
			got := readText(t, dir, "README.txt")
			first, rest, _ := strings.Cut(strings.TrimPrefix(got, Question+" "), "\n")
			rest, _, _ = strings.Cut(rest, "\n\n")
			said := first + "\n" + strings.ReplaceAll(rest, "\n", " ")
			if !strings.HasPrefix(said, c.want) {
				t.Errorf("%s\nwant\n%s", said, c.want)
			}
		})
	}
}

func TestGoroutines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "g.txt")
	text := goroutineText(3, "chan receive", "main.a", 31) + goroutineText(1, "select", "main.b",
		9) +
		"goroutine 9 [running]:\nmain.main()\n\n" +
		"goroutine 10 gp=0xc000002380 m=nil [sleep, 12 minutes, locked to thread]:\nx()\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := readGoroutines(path)
	if g.count != 6 || g.long != 4 || g.states[0] != (tally{"chan receive", 3, 3}) ||
		g.creators[0] != (tally{"main.a", 3, 3}) || len(g.states) != 4 {
		t.Errorf("%+v", g)
	}
	if _, isCrowd := g.crowd(); isCrowd {
		t.Error("six are no crowd")
	}
}
