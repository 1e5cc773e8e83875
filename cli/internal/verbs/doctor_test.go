package verbs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/fixture"
	"cgoheap.example/cli/internal/program"
)

func doctorOf(t *testing.T, target string) (report, int) {
	t.Helper()
	c := command([]string{"CGOHEAP_LIBRARY=" + fixture.EmptyLibrary(t)}, "doctor", "--json", target)
	r := finish(t, c)
	var v report
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatal(err, r)
	}
	return v, r.code
}

func (r *report) find(name string) program.Check {
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	return program.Check{}
}

func TestDoctorPrograms(t *testing.T) {
	goVersionHere := strings.Fields(runtime.Version())[0]
	cgo := fixture.CgoProgram(t)
	for _, c := range []struct {
		what, path string
		code       int
		check      string
		level      program.Level
		text       string // of that check; "..." at the end = a prefix
	}{
		{"a cgo program", cgo, 0, "linking", program.LevelOK, "dynamic, by the C linker"},
		{"its Go", cgo, 0, "go", program.LevelOK, goVersionHere},
		{"its packages", cgo, 0, "cgo", program.LevelOK, "used by main"},
		{"its allocator", cgo, 0, "allocator", program.LevelOK,
			"malloc comes from a shared library"},
		{"its libc", cgo, 0, "libc", program.LevelOK, "glibc 2...."},
		{"stripped", fixture.Go(t, "stripped", fixture.GoCgo, "1", "-ldflags=-s -w"), 0, "symbols",
			program.LevelOK,
			"stripped: Go functions keep their names, C functions in it are shown as addresses"},
		{"stripped: its packages", fixture.Go(t, "stripped", fixture.GoCgo, "1", "-ldflags=-s -w"),
			0, "cgo", program.LevelOK, "used by main"},
		{"PIE", fixture.Go(t, "pie", fixture.GoCgo, "1", "-buildmode=pie"), 0, "linking",
			program.LevelOK, "dynamic, by the C linker"},
		{"std's cgo alone", fixture.Go(t, "user", fixture.GoUser, "1"), 0, "linking",
			program.LevelOK, "dynamic, by Go's own linker"},
		{"std's cgo alone: packages", fixture.Go(t, "user", fixture.GoUser, "1"), 0, "cgo",
			program.LevelOK, "used by os/user"},
		{"CGO_ENABLED=0", fixture.Go(t, "nocgo", fixture.GoPlain, "0"), 1, "linking",
			program.LevelFail,
			"statically linked, built with CGO_ENABLED=0: it has no C code, and ignores a preload"},
		{"no package uses cgo", fixture.Go(t, "unused", fixture.GoPlain, "1"), 1, "linking",
			program.LevelFail,
			"statically linked, as no package in it uses cgo: it has no C code, and " +
				"ignores a preload"},
		{"-extldflags -static", fixture.Go(t, "static", fixture.GoCgo, "1",
			"-ldflags=-linkmode=external -extldflags=-static"), 1, "linking", program.LevelFail,
			"statically linked with -extldflags -static: it ignores a preload"},
		{"dynamic without cgo", fixture.Go(t, "nocgopie", fixture.GoPlain, "0", "-buildmode=pie"),
			1, "cgo", program.LevelFail,
			"dynamic, but no package in it uses cgo"},
		{"malloc inside", fixture.Go(t, "malloc", fixture.GoMalloc, "1"), 1, "allocator",
			program.LevelFail,
			"malloc is defined inside the executable (an allocator): its calls stay inside, and " +
				"only what goes through libc, such as mmap, is seen"},
		{"malloc inside, stripped", fixture.Go(t, "smalloc", fixture.GoMalloc, "1",
			"-ldflags=-s -w"), 1, "allocator", program.LevelFail,
			"malloc is defined inside the executable (an allocator): its calls stay inside, and " +
				"only what goes through libc, such as mmap, is seen"},
		{"jemalloc beside malloc", fixture.C(t, "jemalloc", fixture.CJemalloc), 1,
			"private allocator", program.LevelWarn,
			"jemalloc as je_malloc: memory taken from it is not in malloc's samples; it is shown " +
				"as C mmap, by who mapped it; " +
				"how much of it is in use comes from jemalloc's own statistics, where available"},
		{"malloc without statistics in a library", needing(t, "engine", "engine_eval", "malloc"), 1,
			"allocator", program.LevelWarn,
			"libengine.so provides malloc and has no statistics that cgoheap knows: what it maps " +
				"is shown as C mmap, by who mapped it; " +
				"how much of that is in use is unknown, and trim does not work"},
		{"jemalloc in a library", needing(t, "duck", "duckdb_je_malloc", "duckdb_je_mallctl"), 1,
			"private allocator", program.LevelWarn,
			"jemalloc as duckdb_je_malloc in libduck.so: memory taken from it is not in malloc's " +
				"samples; it is shown as C mmap, by who mapped it; " +
				"how much of it is in use comes from jemalloc's own statistics, where available"},
		{"not Go", fixture.C(t, "c", fixture.CPlain), 1, "go", program.LevelFail,
			"not a Go program: cgoheap stays passive in it, and starts in the Go programs that " +
				"it runs, or when it loads a library with Go in it"},
		{"a plugin", fixture.Go(t, "plugin.so", fixture.GoPlugin, "1", "-buildmode=plugin"), 0,
			"file", program.LevelOK, "64-bit x86-64 Go plugin"},
		{"a plugin: its packages", fixture.Go(t, "plugin.so", fixture.GoPlugin, "1",
			"-buildmode=plugin"), 0, "cgo", program.LevelOK, "used by example.com/fixture"},
		{"c-shared", fixture.Go(t, "shared.so", fixture.GoShared, "1", "-buildmode=c-shared"), 0,
			"file", program.LevelOK,
			"64-bit x86-64 shared library in Go (-buildmode=c-shared)"},
		{"c-shared: its Go", fixture.Go(t, "shared.so", fixture.GoShared, "1",
			"-buildmode=c-shared"), 0, "go", program.LevelOK, goVersionHere},
		{"a program that opens plugins", fixture.Go(t, "opens", fixture.GoOpens, "1"), 0, "plugins",
			program.LevelOK,
			"it opens Go plugins: their code is profiled like the program's own"},
		{"without what leads to unwind tables", fixture.C(t, "tables", fixture.CPlain,
			"-Wl,--no-eh-frame-hdr"), 1, "unwinding", program.LevelWarn,
			"linked without .eh_frame_hdr, as musl-gcc does: " +
				"stacks through its C functions lack these, and some end there"},
		{"a shared library", fixture.EmptyLibrary(t), 1, "file", program.LevelFail,
			"a shared library, not a program"},
		{"another architecture", fixture.Patched(t, cgo, "riscv", 18, 243, 0), 1, "file",
			program.LevelFail,
			"a 64-bit riscv program, and cgoheap is for 64-bit x86-64 and arm64 only"},
		{"arm64", fixture.Patched(t, cgo, "arm", 18, 183, 0), 1, "library", program.LevelFail,
			fmt.Sprintf("%q is for x86-64, and the program for arm64", fixture.EmptyLibrary(t))},
		{"where its socket will be", cgo, 0, "socket", program.LevelOK,
			fmt.Sprintf("will be in /tmp/cgoheap-%d", os.Geteuid())},
		{"a directory", fixture.Dir, 1, "file", program.LevelFail, "it is a directory"},
		{"text", fixture.Written(t, "text", "hello\n", 0o755), 1, "file", program.LevelFail,
			"neither an ELF program nor a script that begins with #!"},
		{"empty", fixture.Written(t, "empty", "", 0o755), 1, "file", program.LevelFail,
			"neither an ELF program nor a script that begins with #!"},
		{"a script", fixture.Written(t, "script", "#!/bin/sh\necho\n", 0o755), 0, "file",
			program.LevelWarn,
			"a script: cgoheap stays passive in its interpreter, and starts in the Go programs " +
				"that it runs, or when it loads a library with Go in it"},
		{"a script for nothing", fixture.Written(t, "noscript", "#!/none/sh\n", 0o755), 1, "file",
			program.LevelFail, `a script for "/none/sh", which does not exist`},
		{"a script that names none", fixture.Written(t, "nameless", "#!\n", 0o755), 1, "file",
			program.LevelFail, "a script that names no interpreter"},
		{"not executable", patchedMode(t, cgo, 0o644), 1, "file", program.LevelFail,
			"not executable"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r, code := doctorOf(t, c.path)
			got := r.find(c.check)
			matches := got.Text == c.text
			if prefix, isPrefix := strings.CutSuffix(c.text, "..."); isPrefix {
				matches = strings.HasPrefix(got.Text, prefix)
			}
			if code != c.code || got.Level != c.level || !matches || r.Works != (code == 0) {
				t.Errorf("exit code %d, want %d; %+v, want %s %q\n%+v", code, c.code, got, c.level,
					c.text, r)
			}
		})
	}
}

func patchedMode(t *testing.T, path string, mode os.FileMode) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fixture.Written(t, "plainfile", string(text), mode)
}

func TestDoctorText(t *testing.T) {
	path := fixture.Go(t, "nocgo", fixture.GoPlain, "0")
	c := command([]string{"CGOHEAP_LIBRARY=" + fixture.EmptyLibrary(t)}, "doctor", path)
	finish(t, c).want(t, 1, path+`
  ok    file       64-bit x86-64 program
  ok    go         `+strings.Fields(runtime.Version())[0]+`
  fail  linking    statically linked, built with CGO_ENABLED=0: it has no C code, and ignores a preload
                   -> there is no C heap to profile; go tool pprof's heap profile shows all there is
  ok    privileges no setuid, setgid or file capabilities
  ok    symbols    not stripped
will not work: statically linked, built with CGO_ENABLED=0: it has no C code, and ignores a preload
`, "")
}

func TestDoctorWithoutLibrary(t *testing.T) {
	c := command([]string{"CGOHEAP_LIBRARY=/none/libcgoheap.so"}, "doctor", fixture.CgoProgram(t))
	r := finish(t, c)
	want := "will not work: library \"/none/libcgoheap.so\" (from --library or CGOHEAP_LIBRARY) " +
		"does not exist\n"
	if r.code != 1 || !strings.HasSuffix(r.out, want) {
		t.Errorf("%+v", r)
	}
}

func TestDoctorDamagedELF(t *testing.T) {
	text, err := os.ReadFile(fixture.CgoProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{5, 40, 64, 200, 4096, len(text) / 2, len(text) - 100} {
		path := fixture.Written(t, "cut", string(text[:n]), 0o755)
		r := cgoheap(t, "doctor", path)
		if r.code != 1 || strings.Contains(r.err, "panic") || r.err == "" && r.out == "" {
			t.Errorf("cut at %d: %+v", n, r)
		}
	}
	// A header whose counts and offsets lie.
	for offset := 0; offset < 64; offset += 3 {
		path := fixture.Patched(t, fixture.CgoProgram(t), "lies", offset, 0xff, 0xff, 0xff, 0xff)
		if r := cgoheap(t, "doctor", path); r.code > 1 || strings.Contains(r.err, "panic") {
			t.Errorf("lies at %d: %+v", offset, r)
		}
	}
}

func TestDoctorNotThere(t *testing.T) {
	// A name may be a program's or a process's.
	r := cgoheap(t, "doctor", "no-such-program")
	if want := "cgoheap: no program \"no-such-program\" in PATH; give its path, such as " +
		"./no-such-program; " +
		"and no process of \"no-such-program\" has cgoheap loaded; cgoheap list shows " +
		"those that have"; r.code != 1 || !strings.HasPrefix(r.err, want) {
		t.Errorf("%+v, want %q", r, want)
	}
	cgoheap(t, "doctor", "./no-such-program").want(t, 1, "", "cgoheap: \"./no-such-program\" "+
		"does not exist\n")
}

func TestDoctorProcess(t *testing.T) {
	s := startShim(t, "serve", "LD_PRELOAD=")
	c := finish(t, command(nil, "doctor", s.arg()))
	lines := strings.Split(c.normal(s).out, "\n")
	for _, want := range []string{
		"  ok    order      loaded by something other than LD_PRELOAD",
		"  ok    socket     /x.sock answers, library 0.1.0",
		"  ok    state      sampling, 1 in 512KiB, 3,000 samples taken, 1,625 live, malloc " +
			"is glibc's",
		"  ok    dropped    no sample was dropped",
		"  warn  stacks     97.50 % of 40 complete; the others: 1 no cfi",
		"  ok    memory     2.0 MiB of at most 32.0 MiB",
		"works, but see stacks: see who holds C memory with cgoheap top PID",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is not in\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if c.code != 0 {
		t.Errorf("exit code %d", c.code)
	}
}

// A thread whose stack is in no table is no dropped sample, and is said.
func TestCheckDroppedThreads(t *testing.T) {
	for missed, want := range map[uint64]string{0: "no sample was dropped",
		1: "1 thread stack not recorded", 2: "2 thread stacks not recorded"} {
		c := checkDropped(&attach.Status{ThreadsMissed: missed})
		if c.Text != want || (c.Level == program.LevelOK) != (missed == 0) {
			t.Errorf("%d: %+v", missed, c)
		}
	}
}

// Stacks that were walked whole and of which there was room for the ends alone are not called
// complete.
func TestCheckStacks(t *testing.T) {
	var s attach.Status
	s.Stacks.Complete, s.Memory.MaxBytes = 1000, 32<<20
	for noRoom, want := range map[uint64]program.Level{0: program.LevelOK, 10: program.LevelOK,
		11: program.LevelWarn} {
		s.Stacks.NoRoom = noRoom
		c := checkStacks(&s)
		if c.Level != want || strings.Contains(c.Text, "for lack of room") != (noRoom > 0) ||
			(c.Remedy != "") != (want == program.LevelWarn) {
			t.Errorf("%d without room: %+v", noRoom, c)
		}
	}
}

func TestDoctorProcessNotLoaded(t *testing.T) {
	path := fixture.CgoProgram(t)
	p := exec.Command(path, "signal")
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { p.Process.Kill(); p.Wait() }()
	readUntil(t, out, "\n")
	s := &shimmed{pid: p.Process.Pid}
	r, code := doctorOf(t, s.arg())
	if code != 1 || r.Works || r.Verdict != "not loaded, but it would work: restart it with "+
		"cgoheap run -- "+path {
		t.Errorf("%d %+v", code, r)
	}
	if c := r.find("library"); c.Level != program.LevelOK {
		t.Errorf("%+v", c)
	}
}

func TestCheckOrder(t *testing.T) {
	for preload, want := range map[string]program.Level{
		"/x/libcgoheap.so":                                    program.LevelOK,
		"/x/libcgoheap.so:/y/libjemalloc.so.2":                program.LevelOK,
		"/y/libjemalloc.so.2 /x/libcgoheap.so":                program.LevelFail,
		"/y/libfaketime.so:/x/libcgoheap.so":                  program.LevelWarn,
		"/y/libtcmalloc_minimal.so:/x/libcgoheap.so:/z/so.so": program.LevelFail,
	} {
		if c := checkOrder(preload, attach.IsLibrary); c.Level != want {
			t.Errorf("%s: %+v, want %s", preload, c, want)
		}
	}
}

func TestCheckDropped(t *testing.T) {
	s := &attach.Status{Dropped: map[string]uint64{"live_full": 1234, "no_stack": 0, "stale": 2}}
	s.Memory.MaxBytes = 32 << 20
	c := checkDropped(s)
	if c.Level != program.LevelWarn || c.Text != "1,234 live full, 2 frees missed" ||
		c.Remedy != "give it more memory (CGOHEAP_MAX_MEMORY, now 32MiB) or larger "+
			"CGOHEAP_SAMPLE_BYTES" {
		t.Errorf("%+v", c)
	}
}

// needing is a program that needs a library which has these functions.
func needing(t *testing.T, name string, functions ...string) string {
	t.Helper()
	dir := t.TempDir()
	source := ""
	for _, f := range functions {
		source += "void *" + f + "(unsigned long n) { return (void *)n; }\n"
	}
	for file, text := range map[string]string{name + ".c": source, "main.c": "void *" +
		functions[0] +
		"(unsigned long);\nint main(void) { return !" + functions[0] + "(1); }\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"-shared", "-fPIC", "-o", "lib" + name + ".so", name + ".c"},
		{"-o", "main", "main.c", "-L.", "-l" + name, "-Wl,-rpath,$ORIGIN"}} {
		cc := exec.Command("cc", args...)
		cc.Dir = dir
		if out, err := cc.CombinedOutput(); err != nil {
			t.Fatalf("%s: %s", err, out)
		}
	}
	return filepath.Join(dir, "main")
}
