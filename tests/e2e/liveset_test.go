package e2e

import (
	"debug/elf"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

type row struct {
	Func          string
	Size          int64
	Allocs, Frees int64
}

type stackKey struct {
	function string
	size     int64
}

// At interval 1 the profile is the live set: for each Go function and block
// size, objects and bytes, allocated and in use, to the last one.
func TestLiveSetExact(t *testing.T) {
	for _, b := range everyBuild() {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			h := start(t, program(t, "go-liveset", b), hostOptions{sampleBytes: 1})
			p := wantLiveSet(t, h)
			if b.mode != "stripped" {
				wantAllocators(t, p)
			}
		})
	}
}

func wantLiveSet(t *testing.T, h *host) *profile.Profile {
	t.Helper()
	var truth []row
	h.fact("truth", &truth)
	p := h.profile("")
	wantGoHeapTypes(t, p)
	h.wantNothingDropped()

	got := map[stackKey]figures{}
	for _, s := range p.Sample {
		if makesThread(s) {
			continue
		}
		key := stackKey{goCaller(s), blockSize(s)}
		f := got[key]
		f.add(s)
		got[key] = f
	}
	for _, want := range truth {
		live := want.Allocs - want.Frees
		f := figures{want.Allocs, want.Allocs * want.Size, live, live * want.Size}
		key := stackKey{want.Func, want.Size}
		if got[key] != f {
			t.Errorf("%v: the profile says %+v, true is %+v", key, got[key], f)
		}
		delete(got, key)
	}
	for key, f := range got {
		if strings.HasPrefix(key.function, "main.via") ||
			strings.HasPrefix(key.function, "main.churn") {
			t.Errorf("%v: the profile says %+v, true is nothing", key, f)
		}
	}
	return p
}

// The leaf is the function that the program called.
func wantAllocators(t *testing.T, p *profile.Profile) {
	t.Helper()
	leaves := map[string]string{
		"main.viaGoMalloc": "malloc", "main.viaCString": "malloc", "main.viaCBytes": "malloc",
		"main.viaMalloc": "malloc", "main.viaCalloc": "calloc", "main.viaReallocNull": "realloc",
		"main.viaReallocarray": "reallocarray realloc", "main.viaPosixMemalign": "posix_memalign",
		// One function with two names in glibc.
		"main.viaAlignedAlloc": "aligned_alloc memalign",
		"main.viaMemalign":     "memalign aligned_alloc",
		"main.viaValloc":       "valloc", "main.viaPvalloc": "pvalloc", "main.viaStrdup": "malloc",
		"main.viaRealloc": "malloc realloc",
	}
	for _, s := range p.Sample {
		want, ok := leaves[goCaller(s)]
		if !ok || makesThread(s) {
			continue
		}
		if list := names(s); !strings.Contains(" "+want+" ", " "+list[0]+" ") {
			t.Errorf("leaf of %v is not %s", list, want)
		}
		if got := s.Label["origin"]; len(got) != 1 || got[0] != "malloc" {
			t.Errorf("origin of %v is %v", names(s), got)
		}
	}
}

// The same behind other allocators: the shim is in front, they answer.
func TestLiveSetOtherAllocators(t *testing.T) {
	for name, pattern := range map[string]string{
		"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4",
		"mimalloc": "libmimalloc.so.[0-9]*",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			library := findLibrary(pattern)
			if library == "" {
				t.Skipf("%s is not installed", pattern)
			}
			var args []string
			if !exports(t, library, "pvalloc") {
				args = append(args, "no-pvalloc")
			}
			if exports(t, library, "strdup") {
				args = append(args, "no-strdup")
			}
			h := start(t, program(t, "go-liveset", oneBuild()), hostOptions{sampleBytes: 1,
				preload: library, args: args})
			wantLiveSet(t, h)
			if got := h.status().Host.Allocator; got != name {
				t.Errorf("/v1/status says the allocator is %s", got)
			}
			if code := h.finish(); code != 0 {
				t.Errorf("exit code %d\n%s", code, h.stderr.String())
			}
		})
	}
}

func exports(t *testing.T, library, name string) bool {
	t.Helper()
	f, err := elf.Open(library)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name == name && s.Section != elf.SHN_UNDEF {
			return true
		}
	}
	return false
}

func findLibrary(pattern string) string {
	for _, dir := range []string{"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib",
		"/usr/local/lib"} {
		if found, _ := filepath.Glob(filepath.Join(dir, pattern)); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

type plan struct{ Size, Allocs, InUse float64 }

// An estimate is a total and its standard error, known from the sampling alone:
// a block of size S is met with p = 1-e^(-S/R) and then stands for S/p bytes.
type estimate struct{ got, want, variance float64 }

func (e estimate) deviations() float64 { return (e.got - e.want) / math.Sqrt(e.variance) }

func (e *estimate) add(other estimate) {
	e.got += other.got
	e.want += other.want
	e.variance += other.variance
}

const defaultInterval = 524288

// At the default interval each of twenty processes is within four standard
// errors of the truth, and so is their sum, which a bias would move. A sound
// estimator fails one run in four hundred: the second run decides.
func TestEstimateUnbiased(t *testing.T) {
	if faults := estimateFaults(t); len(faults) > 0 {
		t.Logf("first run:\n%s", strings.Join(faults, "\n"))
		if faults = estimateFaults(t); len(faults) > 0 {
			t.Errorf("second run:\n%s", strings.Join(faults, "\n"))
		}
	}
}

func estimateFaults(t *testing.T) (faults []string) {
	const seeds = 20
	path := program(t, "go-estimate", oneBuild())
	sums := map[string]estimate{}
	distinct := map[float64]bool{}
	for seed := 0; seed < seeds; seed++ {
		h := start(t, path, hostOptions{})
		for what, e := range estimates(h) {
			if d := e.deviations(); math.Abs(d) > 4 {
				faults = append(faults, fmt.Sprintf("%s: %.4g, true %.4g: %.1f standard errors",
					what, e.got, e.want, d))
			}
			total := sums[what]
			total.add(e)
			sums[what] = total
			distinct[e.got] = true
		}
		h.finish()
	}
	for what, e := range sums {
		d := e.deviations()
		t.Logf("%s over %d seeds: %.4g of %.4g, %.2f standard errors", what, seeds, e.got,
			e.want, d)
		if math.Abs(d) > 4 {
			faults = append(faults, fmt.Sprintf("%s over all: %.1f standard errors", what, d))
		}
	}
	if len(distinct) < seeds*2 {
		faults = append(faults, "processes draw the same samples")
	}
	return faults
}

func estimates(h *host) map[string]estimate {
	var truth []plan
	h.fact("truth", &truth)
	var got figures
	for _, s := range h.profile("").Sample {
		for _, p := range truth {
			if blockSize(s) == int64(p.Size) && contains(s, "main.allocateBulk") {
				got.add(s)
			}
		}
	}
	h.wantNothingDropped()
	e := map[string]*estimate{
		"objects allocated": {got: float64(got.allocObjects)},
		"bytes allocated":   {got: float64(got.allocBytes)},
		"objects in use":    {got: float64(got.inUseObjects)},
		"bytes in use":      {got: float64(got.inUseBytes)},
	}
	for _, p := range truth {
		met := 1 - math.Exp(-p.Size/defaultInterval)
		odds := (1 - met) / met
		e["objects allocated"].add(estimate{0, p.Allocs, p.Allocs * odds})
		e["bytes allocated"].add(estimate{0, p.Allocs * p.Size, p.Allocs * p.Size * p.Size * odds})
		e["objects in use"].add(estimate{0, p.InUse, p.InUse * odds})
		e["bytes in use"].add(estimate{0, p.InUse * p.Size, p.InUse * p.Size * p.Size * odds})
	}
	list := map[string]estimate{}
	for what, e := range e {
		list[what] = *e
	}
	return list
}

// A thousand stacks, ten thousand live samples: 8 MiB at most, by what the shim
// says and by what the kernel says.
func TestShimMemory(t *testing.T) {
	const limit = 8 << 20
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	h.tell("spread 1000 10 64")
	before := h.kernelResident()
	if f := sum(h.profile(""), "main.branch"); f.inUseObjects != 10_000 {
		t.Fatalf("%d live samples, want 10000", f.inUseObjects)
	}
	s := h.status()
	if s.Stacks.Distinct < 1000 {
		t.Errorf("%d distinct stacks", s.Stacks.Distinct)
	}
	after := h.kernelResident()
	t.Logf("the shim says %d KiB, the kernel %d KiB before and %d KiB after a profile",
		s.Memory.Resident>>10, before>>10, after>>10)
	for _, bytes := range []int64{s.Memory.Resident, before, after} {
		if bytes > limit || bytes < 64<<10 {
			t.Errorf("%d bytes are not within 64 KiB and 8 MiB", bytes)
		}
	}
}

// kernelResident is the resident part of the library's mappings, of the
// anonymous one right behind them (its .bss) and of the region, which is known
// by its first word.
func (h *host) kernelResident() (bytes int64) {
	h.t.Helper()
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", h.pid()))
	if err != nil {
		h.t.Fatal(err)
	}
	defer memory.Close()
	regions, libraryEnd := 0, uint64(0)
	for _, m := range readSmaps(h.t, h.pid()) {
		isRegion := m.path == "" && m.hasPageOf(memory, "cgoheap\x00")
		isLibrary := strings.HasSuffix(m.path, "/libcgoheap.so") || m.path == "" &&
			m.start == libraryEnd
		if isRegion {
			regions++
		}
		if isLibrary && m.path != "" {
			libraryEnd = m.end
		}
		if isRegion || isLibrary {
			bytes += m.rss
		}
	}
	if regions != 1 {
		h.t.Fatalf("%d regions in /proc/%d/maps", regions, h.pid())
	}
	return bytes
}

type vma struct {
	start, end uint64
	path       string
	rss        int64
}

// hasPageOf tells whether a page of it begins with that text: the kernel merges neighbours.
func (m vma) hasPageOf(memory *os.File, text string) bool {
	const most = 256 << 20
	word := make([]byte, len(text))
	for at := m.start; at < m.end && at-m.start < most; at += 4096 {
		if _, err := memory.ReadAt(word, int64(at)); err != nil {
			return false
		}
		if string(word) == text {
			return true
		}
	}
	return false
}

func readSmaps(t testing.TB, pid int) (list []vma) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		var m vma
		var permissions, offset, device, inode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %s", &m.start, &m.end, &permissions, &offset,
			&device, &inode); n == 6 {
			if f := strings.Fields(line); len(f) > 5 {
				m.path = strings.Join(f[5:], " ")
			}
			list = append(list, m)
			continue
		}
		if n, _ := fmt.Sscanf(line, "Rss: %d kB", &m.rss); n == 1 {
			list[len(list)-1].rss = m.rss << 10
		}
	}
	return list
}
