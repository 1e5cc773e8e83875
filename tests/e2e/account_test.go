package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const (
	kib  = int64(1) << 10
	mib  = int64(1) << 20
	gib  = int64(1) << 30
	page = int64(4096)
)

// An accountCase makes the program hold something, and knows which owner's
// bytes that is. Commands are those of tests/programs/go-account.
type accountCase struct {
	name    string
	options hostOptions
	first   []string // before the account that is compared with
	then    []string
	want    map[string]int64
	facts   []string // owners whose bytes the program says
	may     []string // owners that may change meanwhile
	check   func(t *testing.T, before, after account)
}

func accountCases() []accountCase {
	return []accountCase{
		{name: "nothing"},
		{name: "small blocks", then: []string{"malloc 100000 1016 1"},
			want:  map[string]int64{"c_live": 100000 * 1024},
			check: wantAllocatorGrowth(100000 * 1024)},
		{name: "every small block", options: hostOptions{sampleBytes: 1},
			then: []string{"malloc 20000 4072 1"},
			want: map[string]int64{"c_live": 20000 * 4080}, may: []string{"shim"},
			check: wantAllocatorGrowth(20000 * 4080)},
		// The header behind a block of which nothing is written lies on its last page.
		{name: "every other block written", options: hostOptions{sampleBytes: 1},
			then:  []string{"malloc 1600 122880 2"},
			want:  map[string]int64{"c_live": 800 * (122880 + page)},
			check: wantAllocatorGrowth(1600 * (122880 + 16))},
		{name: "1 GiB never touched", then: []string{fmt.Sprint("big ", gib, " 0")},
			want:  map[string]int64{"c_live": page},
			check: wantAllocatorGrowth(gib)},
		{name: "a big block half touched",
			then: []string{fmt.Sprint("big ", 200*mib, " ", 100*mib)},
			want: map[string]int64{"c_live": 100 * mib}, check: wantAllocatorGrowth(200 * mib)},
		{name: "many big blocks", then: []string{fmt.Sprint("malloc 200 ", 300*kib, " 1")},
			want: map[string]int64{"c_live": 200 * (300*kib + page)}},
		{name: "big aligned blocks", options: hostOptions{sampleBytes: 1},
			then: []string{fmt.Sprint("memalign 3 ", 2*mib, " ", 32*mib)},
			want: map[string]int64{"c_live": 96 * mib}},
		{name: "freed below a block", first: []string{"malloc 50001 2040 1"},
			then: []string{"free 50000"},
			want: map[string]int64{"c_live": -50000 * 2048, "c_retained": 50000 * 2048}},
		{name: "200 threads in arenas", then: []string{"churn 200 1000 1016 16376 0"},
			want: map[string]int64{"c_retained": 200 * 1000 * 1024, "c_live": 200 * 16 * kib}},
		{name: "200 threads in 2 arenas", options: hostOptions{env: []string{"MALLOC_ARENA_MAX=2"}},
			then: []string{"churn 200 1000 1016 16376 0"},
			want: map[string]int64{"c_retained": 200 * 1000 * 1024, "c_live": 200 * 16 * kib}},
		// Of a thread that lives libc has some 1100 bytes, and keeps 7 blocks that it freed: they
		// count as in use.
		{name: "200 threads that stay", then: []string{"churn 200 1000 1016 16376 1"},
			want: map[string]int64{"c_retained": 200 * 993 * 1024,
				"c_live": 200 * (16*kib + 7*1024 + 1100)}, may: []string{"thread_stacks"}},
		{name: "thread stacks", then: []string{"threads 100 1000000 0"},
			facts: []string{"thread_stacks"}},
		{name: "thread stacks of a size", then: []string{fmt.Sprint("threads 50 100000 ", 256*kib)},
			facts: []string{"thread_stacks"}},
		{name: "mapped by C", then: []string{fmt.Sprint("map ", 100*mib, " ", 50*mib)},
			want: map[string]int64{"c_mmap": 50 * mib}},
		{name: "cage", then: []string{fmt.Sprint("cage ", 4*gib, " 256 ", mib)},
			want: map[string]int64{"c_mmap": 128 * mib}},
		{name: "huge pages", then: []string{fmt.Sprint("huge ", 64*mib)},
			want: map[string]int64{"c_mmap": 64 * mib},
			check: func(t *testing.T, before, after account) {
				if got := after.owner("c_mmap").Huge; got != 64*mib {
					t.Errorf("huge_bytes of c_mmap is %d", got)
				}
			}},
		{name: "lazily freed", then: []string{fmt.Sprint("lazy ", 64*mib)},
			want: map[string]int64{"c_mmap": 64 * mib},
			check: func(t *testing.T, before, after account) {
				if got := after.owner("c_mmap").LazyFree; !within(got, 64*mib, 0.02, 0) {
					t.Errorf("lazy_free_bytes of c_mmap is %d", got)
				}
			}},
		{name: "a file of 256 MiB", then: []string{fmt.Sprint("file $FILE ", 256*mib, " 1")},
			want: map[string]int64{"mapped_files": 256 * mib}},
		{name: "a private file", then: []string{fmt.Sprint("file $FILE ", 64*mib, " 0")},
			want: map[string]int64{"mapped_files": 64 * mib}},
		{name: "shared memory", then: []string{fmt.Sprint("shared ", 40*mib, " ", 50*mib, " ",
			60*mib)},
			want: map[string]int64{"shared_memory": 150 * mib}},
		{name: "mapped by syscall.Mmap", then: []string{fmt.Sprint("raw ", 100*mib)},
			want: map[string]int64{"untracked_mmap": 100 * mib}},
		{name: "the program's .bss", then: []string{"bss"},
			want: map[string]int64{"program": 32 * mib}},
		{name: "a library's .bss", then: []string{"library $LIBRARY"},
			want: map[string]int64{"libraries": 32 * mib}},
		{name: "merged neighbours", then: []string{fmt.Sprint("alternate 4 ", 10*mib)},
			want: map[string]int64{"c_live": 40 * mib, "untracked_mmap": 40 * mib,
				"c_mmap": 40 * mib, "go_heap": 40 * mib}},
		{name: "many merged neighbours", then: []string{fmt.Sprint("alternate 30 ", mib-16)},
			want: map[string]int64{"c_live": 30 * mib, "untracked_mmap": 30 * mib,
				"c_mmap": 30 * mib, "go_heap": 30 * mib}},
		{name: "many merged neighbours, dormant",
			options: hostOptions{env: []string{"CGOHEAP_START=dormant"}},
			then:    []string{fmt.Sprint("alternate 30 ", mib-16)},
			want: map[string]int64{"c_live": 30 * mib, "untracked_mmap": 30 * mib,
				"c_mmap": 30 * mib, "go_heap": 30 * mib}},
		{name: "big aligned blocks, dormant",
			options: hostOptions{env: []string{"CGOHEAP_START=dormant"}},
			then:    []string{fmt.Sprint("memalign 3 ", 2*mib, " ", 32*mib)},
			want:    map[string]int64{"c_live": 96 * mib}},
		// libc unmaps stacks past the hooks, and others map there.
		{name: "mapped where stacks were", first: []string{"churn 100 100 1016 1000 0"},
			then: []string{fmt.Sprint("raw ", 100*mib), fmt.Sprint("raw ", 90*mib)},
			want: map[string]int64{"untracked_mmap": 190 * mib}},
		{name: "dormant", options: hostOptions{env: []string{"CGOHEAP_START=dormant"}},
			then: []string{"malloc 100000 1016 1", fmt.Sprint("map ", 50*mib, " ", 50*mib),
				fmt.Sprint("raw ", 40*mib)},
			want: map[string]int64{"c_live": 100000 * 1024, "c_mmap": 50 * mib,
				"untracked_mmap": 40 * mib}},
		{name: "all of it", then: []string{"malloc 50000 1016 1", fmt.Sprint("big ", 50*mib, " ",
			50*mib), "churn 100 1000 1016 16376 0",
			"threads 50 1000000 0", fmt.Sprint("cage ", gib, " 128 ", mib),
			fmt.Sprint("file $FILE ", 64*mib, " 1"),
			fmt.Sprint("shared ", 20*mib, " ", 20*mib, " ", 20*mib), fmt.Sprint("raw ", 50*mib),
			"bss", fmt.Sprint("goheap ", 64*mib)},
			want: map[string]int64{"c_live": 50000*1024 + 50*mib + 100*16*kib,
				"c_retained": 100 * 1000 * 1024, "c_mmap": 64 * mib,
				"mapped_files": 64 * mib, "shared_memory": 60 * mib, "untracked_mmap": 50 * mib,
				"program": 32 * mib, "go_heap": 64 * mib},
			facts: []string{"thread_stacks"}},
	}
}

// wantAllocatorGrowth: the allocator says it has so much more in use.
func wantAllocatorGrowth(bytes int64) func(*testing.T, account, account) {
	return func(t *testing.T, before, after account) {
		if before.Allocator.InUse == nil || after.Allocator.InUse == nil {
			t.Fatalf("the allocator's in_use_bytes are unknown: %+v", after.Allocator)
		}
		if got := *after.Allocator.InUse - *before.Allocator.InUse; !within(got, bytes, 0.02,
			64*kib) {
			t.Errorf("the allocator has %d more in use, true is %d", got, bytes)
		}
	}
}

func TestAccountOwners(t *testing.T) {
	path := program(t, "go-account", oneBuild())
	for _, c := range accountCases() {
		t.Run(c.name, func(t *testing.T) { c.run(t, path) })
	}
}

func (c accountCase) run(t *testing.T, path string) {
	h := start(t, path, c.options)
	h.tellAll(c.first)
	h.accountNow() // what the shim needs to take one is its own from then on
	before := h.account()
	h.tellAll(c.then)
	after := h.account()
	want := map[string]int64{}
	for name, bytes := range c.want {
		want[name] = bytes
	}
	for _, name := range c.facts {
		var bytes int64
		h.fact(name, &bytes)
		want[name] = bytes
	}
	wantGrowth(t, before, after, want, c.may...)
	if c.check != nil {
		c.check(t, before, after)
	}
}

// What C code maps by the system call instruction has no stack; who was in a cgo call while
// it grew is known all the same.
func TestAccountRawCalls(t *testing.T) {
	for _, v := range outerVersions() {
		b := build{v, "plain"}
		h := start(t, program(t, "go-account", b), hostOptions{})
		h.tell("rawcalls 40 %d", 8*mib)
		a := h.account()
		if got := a.bytes("untracked_mmap"); !within(got, 320*mib, 0.02, mib) {
			t.Errorf("%v: untracked_mmap is %d", b, got)
		}
		u := a.Untracked
		if len(u.Calls) == 0 || u.Looks < u.Calls[0].Looks ||
			!slices.Contains(u.Calls[0].Frames, "main.rawInstance") {
			t.Errorf("%v: candidates %+v", b, u)
		}
		h.finish()
	}
}

// tellAll gives the commands; $FILE is a new file's name, $LIBRARY a library with 32 MiB of .bss.
func (h *host) tellAll(commands []string) {
	h.t.Helper()
	for _, command := range commands {
		h.tell("%s", os.Expand(command, func(name string) string {
			if name == "LIBRARY" {
				return buildLibrary(h.t)
			}
			return filepath.Join(filepath.Dir(h.socket), "file")
		}))
	}
}

func buildLibrary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bss.so")
	if text, err := exec.Command("cc", "-shared", "-fPIC", "-o", path, filepath.Join("testdata",
		"bss.c")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return path
}

// What the Go runtime holds, by release, and where symbols say it and where not.
func TestAccountGo(t *testing.T) {
	for _, b := range everyBuild() {
		t.Run(b.String(), func(t *testing.T) {
			h := start(t, program(t, "go-account", b), hostOptions{})
			h.accountNow()
			before := h.account()
			h.tell("goheap %d", 64*mib)
			touched := h.account()
			// 1.21 has a bitmap beside
			wantGrowth(t, before, touched, map[string]int64{"go_heap": 64 * mib}, "go_metadata")
			h.tell("goroutines 10000 80")
			deep := h.account()
			wantGoroutines(t, h, b, touched, deep)
			wantGoFigures(t, h, b)
		})
	}
}

// Without symbols goroutine stacks are not told from the heap they lie in.
func wantGoroutines(t *testing.T, h *host, b build, before, after account) {
	t.Helper()
	var stacks int64
	h.fact("go_stacks", &stacks)
	if before.owner("go_heap").Bytes == nil {
		t.Fatalf("go_heap is unknown\n%v", after)
	}
	arenas := after.bytes("go_heap") + after.bytes("go_stacks") - before.bytes(
		"go_heap") - before.bytes("go_stacks")
	if arenas < stacks || !within(arenas, stacks, 0.15, 0) {
		t.Errorf("Go's arenas grew by %d, the stacks alone are %d\n%v", arenas, stacks, after)
	}
	if b.mode == "stripped" {
		if after.owner("go_stacks").Bytes != nil || after.Go.Stacks != nil {
			t.Errorf("a stripped program's stacks are known\n%v", after)
		}
		return
	}
	if after.owner("go_stacks").Bytes == nil {
		t.Fatalf("go_stacks is unknown\n%v", after)
	}
	if got := after.bytes("go_stacks") - before.bytes("go_stacks"); !within(got, stacks, 0.02,
		64*kib) {
		t.Errorf("go_stacks grew by %d, true is %d\n%v", got, stacks, after)
	}
}

// wantGoFigures: the shim, from outside, says of the heap what runtime.MemStats
// says, before or after: the scavenger gives memory back when it likes.
func wantGoFigures(t *testing.T, h *host, b build) {
	t.Helper()
	before := h.memStats()
	a := h.account()
	after := h.memStats()
	for _, f := range []struct {
		name string
		got  *int64
		of   func(runtime.MemStats) uint64
	}{
		{"heap_in_use_bytes", a.Go.HeapInUse,
			func(m runtime.MemStats) uint64 { return m.HeapInuse }},
		{"heap_free_bytes", a.Go.HeapFree,
			func(m runtime.MemStats) uint64 { return m.HeapIdle - m.HeapReleased }},
		{"heap_released_bytes", a.Go.HeapReleased,
			func(m runtime.MemStats) uint64 { return m.HeapReleased }},
		{"stacks_bytes", a.Go.Stacks, func(m runtime.MemStats) uint64 { return m.StackInuse }},
	} {
		least, most := int64(f.of(before)), int64(f.of(after))
		if least > most {
			least, most = most, least
		}
		slack := most/50 + 512*kib
		switch {
		case b.mode == "stripped" && (f.got != nil || a.Go.Source != ""):
			t.Errorf("a stripped program's %s is known, from %q", f.name, a.Go.Source)
		case b.mode == "stripped":
		case f.got == nil:
			t.Errorf("%s is unknown, MemStats says %d", f.name, most)
		case *f.got < least-slack || *f.got > most+slack:
			t.Errorf("%s is %d, MemStats says %d to %d", f.name, *f.got, least, most)
		}
	}
}

// Other allocators that answer malloc, told to keep what is freed.
func TestAccountAllocators(t *testing.T) {
	for name, c := range map[string]struct {
		library, keep string
		sampleBytes   int
	}{
		"jemalloc": {"libjemalloc.so.2", "MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1", 0},
		"tcmalloc": {"libtcmalloc_minimal.so.4", "TCMALLOC_RELEASE_RATE=0", 0},
		// It does not say what is in use: only the samples do.
		"mimalloc": {"libmimalloc.so.[0-9]*", "MIMALLOC_PURGE_DELAY=-1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			library := findLibrary(c.library)
			if library == "" {
				t.Skipf("%s is not installed", c.library)
			}
			h := start(t, program(t, "go-account", oneBuild()), hostOptions{preload: library,
				env: []string{c.keep}, sampleBytes: c.sampleBytes})
			h.accountNow()
			before := h.account()
			if before.Allocator.Name != name {
				t.Errorf("the allocator is %s", before.Allocator.Name)
			}
			h.tell("malloc 30000 8192 1")
			full := h.account()
			wantGrowth(t, before, full, map[string]int64{"c_live": 30000 * 8192}, "shim")
			h.tell("free 4")
			wantGrowth(t, full, h.account(), map[string]int64{"c_live": -22500 * 8192,
				"c_retained": 22500 * 8192}, "shim")
			h.tell("big %d 0", gib)
			h.tell("raw %d", 50*mib)
			h.tell("map %d %d", 50*mib, 50*mib)
			a := h.account()
			for owner, want := range map[string]int64{"untracked_mmap": 50 * mib,
				"c_mmap": 50 * mib} {
				if got := a.bytes(owner); !within(got, want, 0.02, 64*kib) {
					t.Errorf("%s has %d, true is %d\n%v", owner, got, want, a)
				}
			}
		})
	}
}

// The example under its load, then holding still.
func TestAccountExample(t *testing.T) {
	dir := filepath.Join(repositoryRoot(), "examples", "notes")
	b := oneBuild()
	service := buildPackage(t, dir, []string{dir}, b, ".")
	load := buildPackage(t, dir, []string{dir}, b, "./load")
	h := startHost(t, service, hostOptions{args: []string{"-addr=127.0.0.1:0"}})
	url := strings.Fields(<-h.lines)[2]
	h.drain()
	cmd := exec.Command(load, "-url="+url, "-duration=4s", "-searches=2000", "-blobs=160",
		"-audits=300")
	cmd.Env = cleanEnviron()
	out := make(chan string)
	go func() {
		text, err := cmd.CombinedOutput()
		if err != nil {
			text = append(text, err.Error()...)
		}
		out <- string(text)
	}()
	for {
		select {
		case <-out:
			a := h.account()
			t.Logf("%v", a)
			return
		default:
			// Nothing holds still now, but what one account says agrees with itself.
			a := h.accountNow()
			wantAddsUp(t, a, a.RSS)
		}
	}
}

// How long an account takes: at most 50 ms are meant, which a test cannot assert.
func TestAccountTime(t *testing.T) {
	h := start(t, program(t, "go-account", oneBuild()), hostOptions{})
	h.tell("many 1000 %d", mib)
	h.tell("malloc 50000 1016 1")
	h.accountNow()
	for i := 0; i < 3; i++ {
		a := h.account()
		t.Logf("%d bytes resident in %d mappings, %d of them divided: %.1f ms", a.RSS, a.Mappings,
			a.SplitMappings, float64(a.Took)/1e6)
		if a.Mappings < 2000 || a.RSS < gib || a.Took <= 0 {
			t.Errorf("%d mappings, %d bytes, %d ns", a.Mappings, a.RSS, a.Took)
		}
	}
}
