package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A scene is a program that holds something, looked at once, or twice where it
// has something to do between.
type scene struct {
	options hostOptions
	limit   int64    // of its cgroup; 0: it has none of its own
	first   []string // then a look
	then    []string
	lucky   bool // needs luck: looked at until it is there
}

// Each rule of the verdict, a program that triggers it, and one that nearly does.
var verdictCases = []struct {
	rule          string
	says          []string
	trigger, miss scene
}{
	{"c_live_grows", []string{"grew by", "`cgoheap top"},
		scene{first: []string{"malloc 20000 1016 1"}, then: []string{"malloc 20000 1016 1"}},
		// As much is allocated, and freed again.
		scene{first: []string{"malloc 20000 1016 1"}, then: []string{"churn 4 5000 1016 1000 0"}}},
	{"c_live", []string{"blocks that are in use", "`cgoheap top"},
		scene{then: []string{"malloc 100000 1016 1"}},
		scene{then: []string{"malloc 10000 1016 1", fmt.Sprint("goheap ", 100*mib)}}},
	{"c_retained", []string{"The C allocator keeps", "arenas; live C memory is", "Not a leak",
		"`cgoheap trim", "malloc_trim(0)"},
		scene{then: []string{"churn 200 1000 1016 16376 0"}},
		scene{then: []string{"churn 20 300 1016 16376 0", "malloc 50000 1016 1"}}},
	{"c_mmap", []string{"past malloc", "by ac_map", "tagfocus=origin=mmap"},
		scene{then: []string{fmt.Sprint("map ", 100*mib, " ", 100*mib)}},
		scene{then: []string{fmt.Sprint("map ", 100*mib, " ", mib)}}},
	{"c_brk", []string{"by sbrk", "taken by ac_sbrk for main.cSbrk"},
		scene{then: []string{fmt.Sprint("sbrk ", 100*mib)}},
		scene{then: []string{fmt.Sprint("sbrk ", 4*mib), "malloc 60000 1016 1"}}},
	{"file_copies", []string{"not page cache", "/file", "ac_copy"},
		scene{then: []string{fmt.Sprint("copy $FILE ", 100*mib)}},
		scene{then: []string{fmt.Sprint("file $FILE ", 100*mib, " 0")}}},
	{"device_maps", []string{"packet rings", "socket"},
		scene{then: []string{"ring 64"}},
		scene{then: []string{fmt.Sprint("shared ", 30*mib, " ", 30*mib, " ", 30*mib)}}},
	{"go_heap_dominates", []string{"Go's own heap", "go tool pprof"},
		scene{then: []string{fmt.Sprint("goheap ", 100*mib)}},
		scene{then: []string{fmt.Sprint("goheap ", 30*mib), "malloc 80000 1016 1"}}},
	{"go_heap_free", []string{"Go keeps", "GOMEMLIMIT"},
		scene{then: []string{fmt.Sprint("goheap ", 200*mib), "gofree"}},
		scene{then: []string{fmt.Sprint("goheap ", 200*mib), "gofree", "release"}}},
	{"go_stacks", []string{"Goroutine stacks", "goroutine"},
		scene{then: []string{"goroutines 5000 80"}},
		scene{then: []string{"goroutines 500 80", fmt.Sprint("goheap ", 100*mib)}}},
	{"go_metadata", []string{"The Go runtime's own data"},
		scene{then: []string{"buckets 100000"}},
		scene{then: []string{"buckets 15000", "malloc 60000 1016 1"}}},
	{"thread_stacks", []string{"Thread stacks hold", "--memory", "cThreads made"},
		scene{then: []string{"threads 60 1000000 0"}},
		scene{then: []string{"threads 60 100000 0", "malloc 60000 1016 1"}}},
	{"mapped_files", []string{"mapped files", "page cache"},
		scene{then: []string{fmt.Sprint("file $FILE ", 256*mib, " 1")}},
		scene{then: []string{fmt.Sprint("file $FILE ", 10*mib, " 1"), "malloc 60000 1016 1"}}},
	{"shared_memory", []string{"shared memory", "smaps_rollup"},
		scene{then: []string{fmt.Sprint("shared ", 30*mib, " ", 30*mib, " ", 30*mib)}},
		scene{then: []string{fmt.Sprint("shared ", 3*mib, " ", 3*mib, " ", mib),
			"malloc 60000 1016 1"}}},
	{"program_dominates", []string{"the program itself and its libraries"},
		scene{then: []string{"bss"}},
		scene{then: []string{"bss", "malloc 100000 1016 1"}}},
	{"shim_dominates", []string{"cgoheap's own bookkeeping", "CGOHEAP_MAX_MEMORY"},
		scene{options: hostOptions{sampleBytes: 1}, then: []string{"malloc 200000 16 1"}},
		scene{then: []string{"malloc 200000 16 1"}}},
	{"untracked_mmap", []string{"bypass libc", "syscall.Mmap"},
		scene{then: []string{fmt.Sprint("raw ", 100*mib)}},
		scene{then: []string{fmt.Sprint("map ", 100*mib, " ", 100*mib)}}},
	{"owner_large", []string{"Go heap: ", "% of RSS"},
		scene{then: []string{fmt.Sprint("goheap ", 30*mib), "malloc 80000 1016 1"}},
		scene{then: []string{fmt.Sprint("goheap ", 100*mib)}}},
	{"nothing_dominates", []string{"No single owner dominates"},
		scene{then: []string{"malloc 30000 1016 1", fmt.Sprint("map ", 30*mib, " ", 30*mib),
			fmt.Sprint("raw ", 30*mib), fmt.Sprint("goheap ", 30*mib)}},
		scene{then: []string{"malloc 30000 1016 1", fmt.Sprint("map ", 90*mib, " ", 90*mib),
			fmt.Sprint("raw ", 30*mib), fmt.Sprint("goheap ", 30*mib)}}},
	{"near_limit", []string{"near its limit", "the OOM killer acts"},
		scene{limit: 128 * mib, then: []string{"malloc 118000 1016 1"}},
		// Its use is at the limit too, but with what can be reclaimed.
		scene{limit: 128 * mib, then: []string{"malloc 50000 1016 1", fmt.Sprint("file $FILE ",
			256*mib, " 1")}}},
	{"go_memory_limit", []string{"GOMEMLIMIT=100MiB", "limit of 128.0 MiB", "would fit"},
		scene{limit: 128 * mib, options: hostOptions{env: []string{"GOMEMLIMIT=100MiB"}},
			then: []string{"malloc 50000 1016 1"}},
		scene{limit: 128 * mib, options: hostOptions{env: []string{"GOMEMLIMIT=100MiB"}},
			then: []string{"malloc 10000 1016 1"}}},
	{"owner_grows", []string{"Go heap grew by", " in "},
		scene{first: []string{"malloc 100000 1016 1"},
			then: []string{fmt.Sprint("goheap ", 50*mib)}},
		scene{first: []string{"malloc 100000 1016 1"},
			then: []string{fmt.Sprint("goheap ", 5*mib)}}},
	{"huge_pages", []string{"Transparent huge pages inflate C retained"},
		scene{options: hostOptions{env: []string{"GLIBC_TUNABLES=glibc.malloc.hugetlb=1"}},
			then: []string{"malloc 50000 2040 1", "malloc 1 100 1", "free 50000"}},
		// Whole, and in use.
		scene{then: []string{fmt.Sprint("huge ", 64*mib)}}},
	{"lazy_free", []string{"only looks resident", "MADV_FREE"},
		scene{then: []string{fmt.Sprint("lazy ", 64*mib)}},
		scene{then: []string{fmt.Sprint("lazy ", 8*mib), fmt.Sprint("map ", 100*mib, " ",
			100*mib)}}},
	{"swap", []string{"swapped out"},
		scene{then: []string{fmt.Sprint("swapped ", 64*mib)}},
		scene{then: []string{fmt.Sprint("swapped ", mib)}}},
	{"estimate_disagrees", []string{"The allocator says", "the samples stand for"},
		// Few samples, after a busy machine made recording dear, would agree with anything.
		scene{options: hostOptions{sampleBytes: 64 << 10,
			env: []string{"CGOHEAP_START=dormant", "CGOHEAP_MAX_CPU=100"}},
			then: []string{"POST /v1/sampling?state=on", "malloc 100000 1016 1",
				"POST /v1/sampling?state=off", "malloc 100000 1016 1"}},
		scene{then: []string{"malloc 200000 1016 1"}}},
	{"c_untouched", []string{"not resident", "never touched"},
		scene{then: []string{fmt.Sprint("big ", gib, " 0")}},
		scene{then: []string{fmt.Sprint("big ", 200*mib, " ", 180*mib)}}},
	{"unexplained", []string{"is unexplained"},
		scene{then: []string{fmt.Sprint("flicker ", 4*mib)}, lucky: true},
		scene{then: []string{fmt.Sprint("alternate 1 ", 4*mib)}}},
}

type finding struct{ Rule, Text string }

func (h *host) explain() (verdict []finding) {
	h.t.Helper()
	out := cgoheap(h.t, h, "explain", fmt.Sprint(h.pid()), "--json")
	var said struct {
		account
		Verdict []finding
	}
	if err := json.Unmarshal(out, &said); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	return said.Verdict
}

func find(verdict []finding, rule string) *finding {
	for i := range verdict {
		if verdict[i].Rule == rule {
			return &verdict[i]
		}
	}
	return nil
}

// look plays the scene and returns the last verdict.
func (s scene) look(t *testing.T, rule string) (*host, []finding) {
	t.Helper()
	var g *cgroup
	if s.limit != 0 {
		g = newCgroup(t, s.limit)
	}
	h := start(t, program(t, "go-account", oneBuild()), s.options)
	if g != nil {
		g.add(t, h.pid())
	}
	h.play(s.first)
	if s.first != nil {
		h.explain()
	}
	h.play(s.then)
	verdict := h.explain()
	for tries := 0; s.lucky && find(verdict, rule) == nil && tries < 20_000; tries++ {
		verdict = h.explain()
	}
	return h, verdict
}

// play tells the program its commands, and the shim those that begin with POST.
func (h *host) play(commands []string) {
	h.t.Helper()
	for _, command := range commands {
		path, isPost := strings.CutPrefix(command, "POST ")
		if !isPost {
			h.tellAll([]string{command})
		} else if code, _, body := h.request("POST", path); code != 200 {
			h.t.Fatalf("%s: %d %s", command, code, body)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range verdictCases {
		t.Run(c.rule, func(t *testing.T) {
			if c.rule == "swap" && !hasSwap() {
				makeSwap(t)
			}
			h, verdict := c.trigger.look(t, c.rule)
			f := find(verdict, c.rule)
			switch {
			case f == nil && c.rule == "huge_pages" && h.accountNow().owner("c_retained").Huge == 0:
				t.Skip("the kernel gave no huge pages")
			case f == nil:
				t.Errorf("it is not said: %+v\n%v", verdict, h.accountNow())
			}
			for _, words := range c.says {
				if f != nil && !strings.Contains(strings.ToLower(f.Text), strings.ToLower(words)) {
					t.Errorf("no %q in: %s", words, f.Text)
				}
			}
			h.cmd.Process.Kill()
			h.drain()
			<-h.ended
			if c.rule == "near_limit" && !hasDiskBelow(t.TempDir()) {
				t.Skip("the near miss is page cache that can be reclaimed, and files here may be " +
					"memory themselves (tmpfs)")
			}
			h, verdict = c.miss.look(t, c.rule)
			if f := find(verdict, c.rule); f != nil {
				t.Errorf("the near miss: %s\n%v", f.Text, h.accountNow())
			}
		})
	}
}

// hasDiskBelow tells whether what is written there can be written back to a disk.
// Below overlayfs may lie anything.
func hasDiskBelow(dir string) bool {
	const tmpfs, overlayfs = 0x01021994, 0x794c7630
	var s syscall.Statfs_t
	return syscall.Statfs(dir, &s) == nil && s.Type != tmpfs && s.Type != overlayfs
}

// makeSwap gives the machine a swap file for as long as the test runs.
func makeSwap(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "swap")
	if err := os.WriteFile(path, make([]byte, 128*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"mkswap", "swapon"} {
		if text, err := exec.Command(command, path).CombinedOutput(); err != nil {
			t.Skipf("this machine has no swap, and %s gives it none: %v: %s", command, err, text)
		}
	}
	t.Cleanup(func() { exec.Command("swapoff", path).Run() })
}

func hasSwap() bool {
	text, _ := os.ReadFile("/proc/swaps")
	return strings.Count(string(text), "\n") > 1
}

// Rules that are triggered, or nearly, elsewhere.
var verdictElsewhere = map[string]string{
	"leak":             "after ten minutes: tests/programs/go-why/long.sh",
	"finalizer_debt":   "TestFinalizerDebt, TestNoFinalizerDebt",
	"finalizers_stuck": "after half a minute: internal/verdict; TestBlockedFinalizer",
	"gc_never":         "TestNoCollectionYet",
}

// Every rule that the command has is above.
func TestVerdictRulesCovered(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(repositoryRoot(), "cli", "internal", "verdict",
		"verdict.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(source), "\nvar rules = []rule{\n")
	table, _, closed := strings.Cut(table, "\n}\n")
	if !found || !closed {
		t.Fatal("internal/verdict has no table of rules")
	}
	covered := map[string]bool{}
	for _, c := range verdictCases {
		covered[c.rule] = true
	}
	for rule := range verdictElsewhere {
		covered[rule] = true
	}
	rows := regexp.MustCompile(`(?m)^\t\{("?)(\w+)"?,`).FindAllStringSubmatch(table, -1)
	for _, row := range rows {
		name := row[2]
		if row[1] == "" {
			name = constant(t, string(source), name)
		}
		if !covered[name] {
			t.Errorf("%s has no program that triggers it", name)
		}
		delete(covered, name)
	}
	if len(rows) == 0 || len(covered) != 0 {
		t.Errorf("of %d rules none is called %v", len(rows), covered)
	}
}

func constant(t *testing.T, source, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^\s*(?:const )?` + name + `\s*=\s*"(\w+)"`).FindStringSubmatch(
		source)
	if m == nil {
		t.Fatalf("%s is not in internal/verdict", name)
	}
	return m[1]
}
