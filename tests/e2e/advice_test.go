package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// What docs/what-the-usual-advice-gets-wrong.md says is proven here, a test a
// claim, from the kernel's and the runtime's own figures: these programs run
// without the shim.

func adviceProgram(t *testing.T, env ...string) *host {
	t.Helper()
	return start(t, program(t, "go-advice", oneBuild()), hostOptions{noShim: true, env: env})
}

func (h *host) procStatus(name string) int64 {
	h.t.Helper()
	return procField(h.t, h.pid(), "status", name)
}

func (h *host) memStats() (m runtime.MemStats) {
	h.t.Helper()
	h.tell("memstats")
	h.fact("memstats", &m)
	return m
}

// VmStk is the main thread's stack: neither goroutines' nor other threads'.
func TestAdviceVmStk(t *testing.T) {
	h := adviceProgram(t)
	stk, stacks := h.procStatus("VmStk"), int64(h.memStats().StackInuse)
	h.tell("goroutines 10000 80")
	grown := int64(h.memStats().StackInuse) - stacks
	t.Logf("VmStk %d; with %d more of goroutine stacks %d", stk, grown, h.procStatus("VmStk"))
	if grown < 200*mib || h.procStatus("VmStk") != stk {
		t.Errorf("goroutine stacks grew by %d, VmStk from %d to %d", grown, stk,
			h.procStatus("VmStk"))
	}
	rss := h.rollup()
	h.tell("thread %d", 6*mib)
	if got := h.rollup() - rss; got < 6*mib || h.procStatus("VmStk") != stk {
		t.Errorf("a thread took %d of stack, VmStk went from %d to %d", got, stk,
			h.procStatus("VmStk"))
	}
	h.tell("main %d", 4*mib)
	t.Logf("after 4 MiB of the main thread's stack VmStk is %d", h.procStatus("VmStk"))
	if got := h.procStatus("VmStk") - stk; got < 3*mib {
		t.Errorf("the main thread took 4 MiB of stack, VmStk grew by %d", got)
	}
}

// VmRSS counts a page in each process that maps it; Pss shares it out.
func TestAdviceSharedPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 128*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := []*host{adviceProgram(t), adviceProgram(t)}
	var rss, pss int64
	for _, h := range hosts {
		rss -= h.procStatus("VmRSS")
		pss -= procField(t, h.pid(), "smaps_rollup", "Pss")
		h.tell("mapfile %s", path)
	}
	for _, h := range hosts {
		rss += h.procStatus("VmRSS")
		pss += procField(t, h.pid(), "smaps_rollup", "Pss")
	}
	t.Logf("two processes map one file of %d: VmRSS is %d more, Pss %d more", 128*mib, rss, pss)
	if !within(rss, 256*mib, 0.02, 0) || !within(pss, 128*mib, 0.02, 0) {
		t.Errorf("VmRSS grew by %d, Pss by %d", rss, pss)
	}
}

// VmData grows without the collector taking notice, and the collector frees
// without VmData falling.
func TestAdviceVmData(t *testing.T) {
	h := adviceProgram(t)
	before, data := h.memStats(), h.procStatus("VmData")
	h.tell("reserve %d", 8*gib)
	grown := h.procStatus("VmData") - data
	reserved := h.memStats()
	t.Logf("VmData grew by %d, collections from %d to %d", grown, before.NumGC, reserved.NumGC)
	if grown < 8*gib || reserved.NumGC != before.NumGC {
		t.Errorf("VmData grew by %d, collections from %d to %d", grown, before.NumGC,
			reserved.NumGC)
	}
	h.tell("hold %d", 200*mib)
	held, data := h.memStats(), h.procStatus("VmData")
	h.tell("drop")
	h.tell("release")
	freed := h.memStats()
	t.Logf("the heap went from %d to %d, VmData from %d to %d", held.HeapAlloc, freed.HeapAlloc,
		data, h.procStatus("VmData"))
	if held.HeapAlloc-freed.HeapAlloc < 190<<20 || freed.NumGC <= held.NumGC ||
		h.procStatus("VmData") < data-mib {
		t.Errorf("the heap went from %d to %d in %d collections, VmData from %d to %d",
			held.HeapAlloc, freed.HeapAlloc,
			freed.NumGC-held.NumGC, data, h.procStatus("VmData"))
	}
}

// MemStats.Sys is address space that the runtime has obtained, once.
func TestAdviceSys(t *testing.T) {
	h := adviceProgram(t)
	before, rss := h.memStats(), h.rollup()
	h.tell("untouched %d", gib)
	untouched, rssUntouched := h.memStats(), h.rollup()
	t.Logf("1 GiB made and not touched: Sys grew by %d, RSS by %d", untouched.Sys-before.Sys,
		rssUntouched-rss)
	if untouched.Sys-before.Sys < 1<<30 || rssUntouched-rss > 32*mib {
		t.Errorf("Sys grew by %d, RSS by %d", untouched.Sys-before.Sys, rssUntouched-rss)
	}
	h.tell("drop")
	h.tell("hold %d", 300*mib)
	full, rssFull := h.memStats(), h.rollup()
	h.tell("drop")
	h.tell("release")
	after, rssAfter := h.memStats(), h.rollup()
	t.Logf("300 MiB returned: Sys from %d to %d, RSS from %d to %d", full.Sys, after.Sys, rssFull,
		rssAfter)
	if rssFull-rssAfter < 290*mib || after.Sys < full.Sys {
		t.Errorf("Sys from %d to %d, RSS from %d to %d", full.Sys, after.Sys, rssFull, rssAfter)
	}
}

// Up to 1.15 Go gave memory back by MADV_FREE, and RSS did not fall; from 1.16
// by MADV_DONTNEED, and it does.
func TestAdviceDontneed(t *testing.T) {
	type release struct {
		version, godebug string
		dontneed         bool
	}
	list := []release{{oneBuild().goVersion, "", true}, {oneBuild().goVersion, "madvdontneed=0",
		false}}
	if longTests {
		list = append(list, release{"1.15.15", "", false}, release{"1.16.15", "", true})
	}
	for _, c := range list {
		t.Run(strings.Trim("go"+c.version+"-"+c.godebug, "-"), func(t *testing.T) {
			h := start(t, oldProgram(t, c.version), hostOptions{noShim: true,
				env: []string{"GODEBUG=" + c.godebug}})
			h.tell("")
			held := h.rollup()
			h.tell("")
			after, lazy := h.rollup(), procField(t, h.pid(), "smaps_rollup", "LazyFree")
			t.Logf("200 MiB given back: RSS from %d to %d, LazyFree %d", held, after, lazy)
			if c.dontneed && (held-after < 190*mib || lazy != 0) || !c.dontneed &&
				(after < held-10*mib || lazy < 190*mib) {
				t.Errorf("RSS from %d to %d, LazyFree %d", held, after, lazy)
			}
		})
	}
}

// oldProgram is go-release, built by a release that knows less of flags.
func oldProgram(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "release")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = filepath.Join(repositoryRoot(), "tests", "programs", "go-release")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=go"+version, "GOENV=off", "GOFLAGS=", "GOWORK=off",
		"CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(text), "download") {
			t.Skipf("no go%s here: %s", version, text)
		}
		t.Fatalf("%v\n%s", err, text)
	}
	return path
}

// A cgroup's memory.current counts page cache that no process maps, and a
// shared page once.
func TestAdviceCgroup(t *testing.T) {
	g := newCgroup(t, 0)
	hosts := []*host{adviceProgram(t), adviceProgram(t)}
	for _, h := range hosts {
		g.add(t, h.pid())
	}
	sum := func() int64 { return hosts[0].rollup() + hosts[1].rollup() }
	path := filepath.Join(t.TempDir(), "file")
	rss, usage := sum(), g.usage(t)
	hosts[0].tell("writefile %s %d", path, 128*mib)
	written, usageWritten := sum(), g.usage(t)
	t.Logf("a file of 128 MiB written: RSS %d more, usage %d more", written-rss, usageWritten-usage)
	if written-rss > 8*mib || usageWritten-usage < 120*mib {
		t.Errorf("RSS grew by %d, usage by %d", written-rss, usageWritten-usage)
	}
	for _, h := range hosts {
		h.tell("mapfile %s", path)
	}
	mapped, usageMapped := sum(), g.usage(t)
	t.Logf("two processes map it: RSS %d more, usage %d more", mapped-written,
		usageMapped-usageWritten)
	if mapped-written < 250*mib || usageMapped-usageWritten > 16*mib {
		t.Errorf("RSS grew by %d, usage by %d", mapped-written, usageMapped-usageWritten)
	}
}

// A debugger's (pstack is gdb) list of stacks is one of threads.
func TestAdviceThreads(t *testing.T) {
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip("gdb is not installed")
	}
	h := adviceProgram(t)
	h.tell("goroutines 1000 10")
	h.memStats()
	var goroutines int
	h.fact("goroutines", &goroutines)
	threads := h.procStatus("Threads")
	out, err := exec.Command(gdb, "-nx", "-batch", "-iex", "set debuginfod enabled off", "-p",
		fmt.Sprint(h.pid()), "-ex", "thread apply all bt").CombinedOutput()
	stacks := int64(len(regexp.MustCompile(`(?m)^Thread \d+ \(`).FindAll(out, -1)))
	if stacks == 0 {
		t.Skipf("gdb may not look here: %v\n%s", err, out)
	}
	t.Logf("%d goroutines, %d threads; gdb shows %d stacks", goroutines, threads, stacks)
	if goroutines < 1000 || stacks != threads || strings.Contains(string(out), "main.parkForEver") {
		t.Errorf("%d goroutines, %d threads; gdb shows %d stacks:\n%s", goroutines, threads,
			stacks, out)
	}
}

// The page names the test of each of its claims, and no other.
func TestAdviceDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repositoryRoot(), "docs",
		"what-the-usual-advice-gets-wrong.md"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("advice_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var named, there []string
	for _, m := range regexp.MustCompile("`(TestAdvice\\w+)`").FindAllStringSubmatch(string(page),
		-1) {
		named = append(named, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^func (TestAdvice\w+)\(`).FindAllStringSubmatch(
		string(source), -1) {
		if m[1] != "TestAdviceDocumented" {
			there = append(there, m[1])
		}
	}
	if !slices.Equal(named, there) {
		t.Errorf("the page names %v, there are %v", named, there)
	}
}
