package e2e

import (
	"debug/elf"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the library brings into a process: the functions it stands in for, and
// no library that is not there anyway.
func TestExports(t *testing.T) {
	f, err := elf.Open(shimPath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		if s.Section != elf.SHN_UNDEF && s.Section != elf.SHN_ABS {
			got = append(got, s.Name)
		}
	}
	slices.Sort(got)
	want := strings.Fields(`aligned_alloc calloc free madvise malloc memalign mmap mmap64 mremap munmap
		posix_memalign pthread_create pvalloc realloc reallocarray valloc`)
	if !slices.Equal(got, want) {
		t.Errorf("exports are\n%v\nwant\n%v", got, want)
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range libraries {
		if name != "libc.so.6" && name != "libm.so.6" && name != "ld-linux-x86-64.so.2" {
			t.Errorf("needs %s", name)
		}
	}
}

// A C++ host takes its unwinder from where it always did.
func TestHostUnwinder(t *testing.T) {
	cmd := exec.Command(program(t, "go-stacks", oneBuild()))
	cmd.Env = append(cleanEnviron(), "LD_PRELOAD="+shimPath(t), "LD_DEBUG=bindings", "LD_BIND_NOW=1",
		"CGOHEAP_SOCKET="+filepath.Join(t.TempDir(), "s"))
	cmd.Stdin = strings.NewReader("")
	var stderr lockedBuffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	bound := 0
	for _, line := range strings.Split(stderr.String(), "\n") {
		if strings.Contains(line, "symbol `_Unwind_") {
			bound++
			if !strings.Contains(line, "/libgcc_s.so.1 [") {
				t.Error(line)
			}
		}
	}
	if bound == 0 {
		t.Error("nothing was bound to _Unwind_*")
	}
}

func TestErrnoKept(t *testing.T) {
	for _, interval := range []int{1, 1000, defaultInterval} {
		h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: interval})
		h.tell("errno 20000")
		var kept bool
		if h.fact("kept", &kept); !kept {
			t.Errorf("errno was changed at interval %d", interval)
		}
	}
}

// Profiles are taken all the while the program allocates on many threads: none
// is malformed, and in the end the figures are exact.
func TestProfilesWhileAllocating(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	fmt.Fprintln(h.stdin, "threads 6 150000 100")
	for i := 0; i < 40; i++ {
		for _, query := range []string{"", "?frames=all", "?debug=1", "?symbols=none", "?older=100ms"} {
			for _, s := range h.profile(query).Sample {
				if s.Value[2] < 0 || s.Value[3] < 0 || s.Value[2] > s.Value[0] {
					t.Errorf("figures that cannot be: %v of %v", s.Value, names(s))
				}
			}
		}
	}
	h.ready()
	wantFigures(t, h, "main.allocC", figures{900_000, 90_000_000, 0, 0})
	h.wantNothingDropped()
	wantUntouched(t, h)
}

// A library is unloaded and another takes its place, with other frames at the
// same addresses: what is remembered of the first must not be applied to it.
func TestReloadedLibrary(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	dir := t.TempDir()
	var places []uint64
	for i, frame := range []int{512, 4096, 1024, 65536} {
		path := filepath.Join(dir, fmt.Sprintf("plugin%d.so", i))
		text, err := exec.Command("cc", "-O2", "-fomit-frame-pointer", "-fno-stack-protector", "-fno-stack-clash-protection",
			"-shared", "-fPIC", fmt.Sprintf("-DFRAME=%d", frame), "-o", path, filepath.Join("testdata", "plugin.c")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		size := 123_000 + i
		h.tell("plugin %s %d", path, size)
		var place uint64
		if h.fact("plugin", &place); place == 0 {
			t.Fatal("the library could not be loaded")
		}
		places = append(places, place)
		s := bySize(h.profile(""))[int64(size)]
		if s == nil {
			t.Fatalf("no sample of %d bytes", size)
		}
		text = []byte(strings.Join(names(s), " "))
		if !strings.HasSuffix(string(text), "main.plugin main.obey main.main runtime.main") {
			t.Errorf("library %d at %#x:\n%s", i, place, dump(s))
		}
	}
	if places[0] != places[1] {
		t.Logf("the libraries lay at %#x: this run says little", places)
	}
}
