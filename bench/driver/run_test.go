package main

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The whole bench on a hundredth of the work: two rounds of two workloads under the library and a
// peer that is not there, an other script, and the page.
func TestRun(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "build", "libcgoheap.so")); err != nil {
		t.Skip("build/libcgoheap.so is not built")
	}
	out := t.TempDir()
	t.Setenv("BENCH_OUT", out)
	t.Setenv("BENCH_SHIM", "")
	t.Setenv("CGOHEAP_SAMPLE_BYTES", "nonsense") // what the caller has set is not for the runs
	absent := profiler{name: "absent", title: "a peer", base: "glibc",
		library: debian("libabsent.so.9", "libabsent9")}
	profilers = append(profilers, absent)
	defer func() { profilers = profilers[:len(profilers)-1] }()
	page := filepath.Join(out, "page.md")
	o, err := parse([]string{"-root", root, "-rounds", "2", "-scale", "0.02", "-results", page,
		"-only", "tree|cstring", "-profilers", "every|absent", "-sections", "none"})
	if err != nil {
		t.Fatal(err)
	}
	if err := execute(o); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(out, "rounds.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := readRounds(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"tree", "cstring"} {
		k := key{w, "every"}
		for _, m := range []metric{wall, cpu, peak, size, request} {
			if got := r.of(k, m); len(got) != 2 || got[0] <= 0 || got[1] <= 0 {
				t.Errorf("%s of %s: %v, want two figures", m, w, got)
			}
		}
		if _, lacks := callgrind(); lacks == "" {
			if s := r.cost(k, "glibc", instructions); s.n != 1 || s.median < 2 {
				t.Errorf("instructions of %s: %v times, want a few", w, s.median)
			}
		}
	}
	if got := r.callers[key{"cstring", "every"}]; got != "yes" {
		t.Errorf("the Go caller is in the stack: %q, want yes", got)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"rounds: 2", "| cgoheap, every allocation ", "### cstring: ",
		"libabsent9 is not installed: run `tools/setup bench`", "**Machine**: ", "CPU "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page does not have %q", want)
		}
	}
}

// A run that fails says why, in its rows and on the page, and the rest goes on.
func TestRunThatFails(t *testing.T) {
	out := t.TempDir()
	program := filepath.Join(out, "workloads", "tree")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho broken library >&2\nexit 3\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	s := setup{out: out}
	_, err := run(s, workloads[1], profilers[0], 1, true)
	if err == nil || !strings.Contains(err.Error(), "broken library") {
		t.Errorf("got %v, want what the program said", err)
	}
}

func TestScripts(t *testing.T) {
	root := t.TempDir()
	script := func(name, text string) {
		path := filepath.Join(root, "bench", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script("capture", "echo frame 30 '<= 40'")
	script("exact", "echo half; echo it broke >&2; exit 1")
	script("scrape", "exit 1")
	o, err := parse([]string{"-root", root, "-sections", "capture|exact|scaling"})
	if err != nil {
		t.Fatal(err)
	}
	o.out = t.TempDir()
	if err := runSections(o, setup{root: root, out: o.out}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"capture": "frame 30 <= 40\n",
		"exact": "half\nfailed: exit status 1: it broke\n"} {
		got, err := os.ReadFile(filepath.Join(o.out, "sections", name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"scaling", "scrape"} {
		if _, err := os.Stat(filepath.Join(o.out, "sections", name)); err == nil {
			t.Errorf("%s left something: it is not there, or was not asked for", name)
		}
	}
}

// Where stacks are addresses, the caller is looked up in the program's symbols.
func TestCallerInAddresses(t *testing.T) {
	program := filepath.Join(t.TempDir(), "cstring")
	build := exec.Command("go", "build", "-o", program, "./cstring")
	build.Dir = "../workloads"
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"main.convert": "yes", "runtime.main": "no"} {
		i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == name })
		if i < 0 {
			t.Fatalf("the program has no %s", name)
		}
		inside := symbols[i].Value + symbols[i].Size/2
		for _, text := range []string{"heap_v2/524288\n@ 0x7f00 %#x 0x10\n  t*: 1: 64 [0: 0]\n",
			"heap profile: 1: 64 [1: 64] @ heap_v2/1\n  1: 64 [ 1: 64] @ 0x7f00 %#x\n\nMAPPED\n"} {
			got, err := callerInAddresses([]byte(fmt.Sprintf(text, inside)), program)
			if err != nil || got != want {
				t.Errorf("a stack with %s: %q, %v, want %q", name, got, err, want)
			}
		}
	}
}
