package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"cgoheap/cli/internal/attach"
)

func doctorOf(t *testing.T, target string) (report, int) {
	t.Helper()
	c := command([]string{"CGOHEAP_LIBRARY=" + emptyLibrary(t)}, "doctor", "--json", target)
	r := finish(t, c)
	var v report
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatal(err, r)
	}
	return v, r.code
}

func (r *report) find(name string) check {
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	return check{}
}

func TestDoctorPrograms(t *testing.T) {
	goVersionHere := strings.Fields(runtime.Version())[0]
	cgo := cgoProgram(t)
	for _, c := range []struct {
		what, path string
		code       int
		check      string
		level      level
		text       string // of that check; "..." at the end = a prefix
	}{
		{"a cgo program", cgo, 0, "linking", levelOK, "dynamic, by the C linker"},
		{"its Go", cgo, 0, "go", levelOK, goVersionHere},
		{"its packages", cgo, 0, "cgo", levelOK, "used by main"},
		{"its allocator", cgo, 0, "allocator", levelOK, "malloc is called in a shared library"},
		{"its libc", cgo, 0, "libc", levelOK, "glibc 2...."},
		{"stripped", goFixture(t, "stripped", goCgo, "1", "-ldflags=-s -w"), 0, "symbols", levelOK,
			"stripped: Go functions keep their names, C functions inside it show as addresses"},
		{"stripped: its packages", goFixture(t, "stripped", goCgo, "1", "-ldflags=-s -w"), 0, "cgo", levelOK, "used by main"},
		{"PIE", goFixture(t, "pie", goCgo, "1", "-buildmode=pie"), 0, "linking", levelOK, "dynamic, by the C linker"},
		{"std's cgo alone", goFixture(t, "user", goUser, "1"), 0, "linking", levelOK, "dynamic, by Go's own linker"},
		{"std's cgo alone: packages", goFixture(t, "user", goUser, "1"), 0, "cgo", levelOK, "used by os/user"},
		{"CGO_ENABLED=0", goFixture(t, "nocgo", goPlain, "0"), 1, "linking", levelFail,
			"statically linked, built with CGO_ENABLED=0: it has no C code, and ignores a preload"},
		{"no package uses cgo", goFixture(t, "unused", goPlain, "1"), 1, "linking", levelFail,
			"statically linked, as no package in it uses cgo: it has no C code, and ignores a preload"},
		{"-extldflags -static", goFixture(t, "static", goCgo, "1", "-ldflags=-linkmode=external -extldflags=-static"), 1, "linking", levelFail,
			"statically linked with -extldflags -static: it ignores a preload"},
		{"dynamic without cgo", goFixture(t, "nocgopie", goPlain, "0", "-buildmode=pie"), 1, "cgo", levelFail,
			"dynamic, but no package in it uses cgo"},
		{"malloc inside", goFixture(t, "malloc", goMalloc, "1"), 1, "allocator", levelFail,
			"malloc is defined inside the executable (an allocator): its calls never leave it, and only what passes through libc, such as mmap, is seen"},
		{"malloc inside, stripped", goFixture(t, "smalloc", goMalloc, "1", "-ldflags=-s -w"), 1, "allocator", levelFail,
			"malloc is defined inside the executable (an allocator): its calls never leave it, and only what passes through libc, such as mmap, is seen"},
		{"jemalloc beside malloc", cFixture(t, "jemalloc", cJemalloc), 1, "private allocator", levelWarn,
			"jemalloc as je_malloc: memory taken from it is not in malloc's samples, and shows as C mmap by who mapped it; " +
				"what of it is in use is read from jemalloc's own statistics where it has them"},
		{"malloc without statistics in a library", needing(t, "engine", "engine_eval", "malloc"), 1, "allocator", levelWarn,
			"libengine.so answers malloc and has no statistics that cgoheap knows: what it maps shows as C mmap by who mapped it, " +
				"what of that is in use is not known, and trim cannot ask it"},
		{"jemalloc in a library", needing(t, "duck", "duckdb_je_malloc", "duckdb_je_mallctl"), 1, "private allocator", levelWarn,
			"jemalloc as duckdb_je_malloc in libduck.so: memory taken from it is not in malloc's samples, and shows as C mmap by who mapped it; " +
				"what of it is in use is read from jemalloc's own statistics where it has them"},
		{"not Go", cFixture(t, "c", cPlain), 1, "go", levelFail,
			"not a Go program: cgoheap stays passive in it, and starts in the Go programs that it runs, or when it loads a library with Go in it"},
		{"a plugin", goFixture(t, "plugin.so", goPlugin, "1", "-buildmode=plugin"), 0, "file", levelOK, "64-bit x86-64 Go plugin"},
		{"a plugin: its packages", goFixture(t, "plugin.so", goPlugin, "1", "-buildmode=plugin"), 0, "cgo", levelOK, "used by example.com/fixture"},
		{"c-shared", goFixture(t, "shared.so", goShared, "1", "-buildmode=c-shared"), 0, "file", levelOK,
			"64-bit x86-64 shared library in Go (-buildmode=c-shared)"},
		{"c-shared: its Go", goFixture(t, "shared.so", goShared, "1", "-buildmode=c-shared"), 0, "go", levelOK, goVersionHere},
		{"a program that opens plugins", goFixture(t, "opens", goOpens, "1"), 0, "plugins", levelOK,
			"it opens Go plugins: their code is seen as the program's own"},
		{"musl", cFixture(t, "musl", cPlain, "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"), 1, "libc", levelFail,
			"linked against musl (Alpine): cgoheap needs glibc"},
		{"a shared library", emptyLibrary(t), 1, "file", levelFail, "a shared library, not a program"},
		{"another architecture", patched(t, cgo, "arm", 18, 183, 0), 1, "file", levelFail,
			"a 64-bit aarch64 program, and cgoheap is for 64-bit x86-64 only"},
		{"a directory", testDir, 1, "file", levelFail, "it is a directory"},
		{"text", written(t, "text", "hello\n", 0o755), 1, "file", levelFail, "neither an ELF program nor a script that begins with #!"},
		{"empty", written(t, "empty", "", 0o755), 1, "file", levelFail, "neither an ELF program nor a script that begins with #!"},
		{"a script", written(t, "script", "#!/bin/sh\necho\n", 0o755), 0, "file", levelWarn,
			"a script: cgoheap stays passive in its interpreter, and starts in the Go programs that it runs, or when it loads a library with Go in it"},
		{"a script for nothing", written(t, "noscript", "#!/none/sh\n", 0o755), 1, "file", levelFail, `a script for "/none/sh", which is not here`},
		{"a script that names none", written(t, "nameless", "#!\n", 0o755), 1, "file", levelFail, "a script that names no interpreter"},
		{"not executable", patchedMode(t, cgo, 0o644), 1, "file", levelFail, "not executable"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r, code := doctorOf(t, c.path)
			got := r.find(c.check)
			matches := got.Text == c.text
			if prefix, isPrefix := strings.CutSuffix(c.text, "..."); isPrefix {
				matches = strings.HasPrefix(got.Text, prefix)
			}
			if code != c.code || got.Level != c.level || !matches || r.Works != (code == 0) {
				t.Errorf("exit code %d, want %d; %+v, want %s %q\n%+v", code, c.code, got, c.level, c.text, r)
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
	return written(t, "plainfile", string(text), mode)
}

// The verbs that look at a running process ask less, and say so as well.
func TestMallocInside(t *testing.T) {
	for path, want := range map[string]bool{
		goFixture(t, "malloc", goMalloc, "1"): true, goFixture(t, "smalloc", goMalloc, "1", "-ldflags=-s -w"): true,
		goFixture(t, "stripped", goCgo, "1", "-ldflags=-s -w"): false, goFixture(t, "nocgo", goPlain, "0"): false, "/missing": false,
	} {
		if exportsMalloc(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}

func TestDoctorText(t *testing.T) {
	path := goFixture(t, "nocgo", goPlain, "0")
	c := command([]string{"CGOHEAP_LIBRARY=" + emptyLibrary(t)}, "doctor", path)
	finish(t, c).want(t, 1, path+`
  ok    file       64-bit x86-64 program
  ok    go         `+strings.Fields(runtime.Version())[0]+`
  fail  linking    statically linked, built with CGO_ENABLED=0: it has no C code, and ignores a preload
                   -> there is no C heap to look at; go tool pprof's heap profile shows all there is
  ok    privileges no setuid, setgid or file capabilities
  ok    symbols    not stripped
will not work: statically linked, built with CGO_ENABLED=0: it has no C code, and ignores a preload
`, "")
}

func TestDoctorWithoutLibrary(t *testing.T) {
	c := command([]string{"CGOHEAP_LIBRARY=/none/libcgoheap.so"}, "doctor", cgoProgram(t))
	r := finish(t, c)
	want := "will not work: there is no library at \"/none/libcgoheap.so\" (--library or CGOHEAP_LIBRARY says so)\n"
	if r.code != 1 || !strings.HasSuffix(r.out, want) {
		t.Errorf("%+v", r)
	}
}

func TestDoctorDamagedELF(t *testing.T) {
	text, err := os.ReadFile(cgoProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{5, 40, 64, 200, 4096, len(text) / 2, len(text) - 100} {
		path := written(t, "cut", string(text[:n]), 0o755)
		r := cgoheap(t, "doctor", path)
		if r.code != 1 || strings.Contains(r.err, "panic") || r.err == "" && r.out == "" {
			t.Errorf("cut at %d: %+v", n, r)
		}
	}
	// A header whose counts and offsets lie.
	for offset := 0; offset < 64; offset += 3 {
		path := patched(t, cgoProgram(t), "lies", offset, 0xff, 0xff, 0xff, 0xff)
		if r := cgoheap(t, "doctor", path); r.code > 1 || strings.Contains(r.err, "panic") {
			t.Errorf("lies at %d: %+v", offset, r)
		}
	}
}

func TestDoctorNotThere(t *testing.T) {
	// A name may be a program's or a process's.
	r := cgoheap(t, "doctor", "no-such-program")
	if want := "cgoheap: there is no program \"no-such-program\" in PATH: give its path, such as ./no-such-program; " +
		"and no process of \"no-such-program\" has cgoheap loaded; cgoheap list shows those that have"; r.code != 1 || !strings.HasPrefix(r.err, want) {
		t.Errorf("%+v, want %q", r, want)
	}
	cgoheap(t, "doctor", "./no-such-program").want(t, 1, "", "cgoheap: there is no program \"./no-such-program\"\n")
}

func TestSecureMode(t *testing.T) {
	path := written(t, "setuid", "x", 0o755|os.ModeSetuid)
	f, err := inspect(path, path)
	if err != nil {
		t.Fatal(err)
	}
	other := int(f.owner) + 1
	if got := f.secureMode(other, 0); got != "setuid" {
		t.Errorf("setuid for another user: %q", got)
	}
	if got := f.secureMode(int(f.owner), 0); got != "" {
		t.Errorf("setuid for its owner: %q", got)
	}
	f = &facts{fileCaps: true}
	if f.secureMode(0, 0) != "" || f.secureMode(1, 1) != "file capabilities" {
		t.Error("file capabilities")
	}
	f = &facts{mode: os.ModeSetgid, group: 5}
	if f.secureMode(0, 5) != "" || f.secureMode(0, 6) != "setgid" {
		t.Error("setgid")
	}
}

func TestDoctorProcess(t *testing.T) {
	s := startShim(t, "serve", "LD_PRELOAD=")
	c := finish(t, command(nil, "doctor", s.arg()))
	lines := strings.Split(c.normal(s).out, "\n")
	for _, want := range []string{
		"  ok    order      loaded by other means than LD_PRELOAD",
		"  ok    socket     /x.sock answers, shim 0.1.0",
		"  ok    state      sampling, 1 in 512KiB, 3,000 samples taken, 1,625 live, malloc is glibc's",
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

func TestDoctorProcessNotLoaded(t *testing.T) {
	path := cgoProgram(t)
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
	if code != 1 || r.Works || r.Verdict != "not loaded, but it can be: restart it with cgoheap run -- "+path {
		t.Errorf("%d %+v", code, r)
	}
	if c := r.find("library"); c.Level != levelOK {
		t.Errorf("%+v", c)
	}
}

func TestCheckOrder(t *testing.T) {
	for preload, want := range map[string]level{
		"/x/libcgoheap.so":                                    levelOK,
		"/x/libcgoheap.so:/y/libjemalloc.so.2":                levelOK,
		"/y/libjemalloc.so.2 /x/libcgoheap.so":                levelFail,
		"/y/libfaketime.so:/x/libcgoheap.so":                  levelWarn,
		"/y/libtcmalloc_minimal.so:/x/libcgoheap.so:/z/so.so": levelFail,
	} {
		if c := checkOrder(preload); c.Level != want {
			t.Errorf("%s: %+v, want %s", preload, c, want)
		}
	}
}

func TestCheckDropped(t *testing.T) {
	s := &attach.Status{Dropped: map[string]uint64{"live_full": 1234, "no_stack": 0, "stale": 2}}
	s.Memory.MaxBytes = 32 << 20
	c := checkDropped(s)
	if c.Level != levelWarn || c.Text != "1,234 live full, 2 frees missed" ||
		c.Remedy != "give it more memory (CGOHEAP_MAX_MEMORY, now 32MiB) or larger CGOHEAP_SAMPLE_BYTES" {
		t.Errorf("%+v", c)
	}
}

func TestGoVersions(t *testing.T) {
	for version, want := range map[string]level{
		"go1.21.13": levelOK, "go1.27rc1": levelOK, "go1.26.8 X:nodwarf5": levelOK, "go1.20.1": levelWarn,
		"go1.28.1": levelWarn, "devel go1.28-abcdef": levelWarn, "mystery": levelWarn,
	} {
		f, err := inspect(cgoProgram(t), "x")
		if err != nil {
			t.Fatal(err)
		}
		f.goInfo.GoVersion = version
		if c := checkGo(f); c.Level != want {
			t.Errorf("%s: %+v, want %s", version, c, want)
		}
	}
}

func TestGlibcVersions(t *testing.T) {
	for text, want := range map[string]glibcVersion{"GLIBC_2.34": 34, "GLIBC_2.2.5": 2, "GLIBC_PRIVATE": -1, "GCC_3.0": -1} {
		if got := parseGlibcVersion(text); got != want {
			t.Errorf("%s: %d", text, got)
		}
	}
	provided := systemGlibc("/lib64/ld-linux-x86-64.so.2")
	if provided < 17 {
		t.Errorf("this system's %s", provided)
	}
	if needed := neededGlibc(cgoProgram(t)); needed < 2 || needed > provided {
		t.Errorf("a program built here needs %s of %s", needed, provided)
	}
	if c := checkLibrary(cgoProgram(t), nil, 2); c.Level != levelFail || !strings.HasSuffix(c.Text, "the program has glibc 2.2") {
		t.Errorf("%+v", c)
	}
}

func TestFindLibrary(t *testing.T) {
	lib := emptyLibrary(t)
	if got, err := attach.FindLibrary(lib); err != nil || got != lib {
		t.Error(got, err)
	}
	if _, err := attach.FindLibrary(filepath.Join(testDir, "none")); err == nil {
		t.Error("found what is not there")
	}
}

func TestCheckInstrumented(t *testing.T) {
	built := func(flags ...string) *facts {
		f := &facts{goInfo: &debug.BuildInfo{}}
		for _, flag := range flags {
			f.goInfo.Settings = append(f.goInfo.Settings, debug.BuildSetting{Key: flag, Value: "true"})
		}
		return f
	}
	for _, c := range []struct {
		f       *facts
		options string
		want    level
		text    string
	}{
		{built("-race"), "", levelOK, "built with -race, which works with cgoheap"},
		{built("-asan"), "halt_on_error=0", levelFail,
			"built with -asan: the sanitizer ends a program in which another library comes before its own"},
		{built("-asan"), "halt_on_error=0:verify_asan_link_order=0", levelOK,
			"built with -asan: its malloc stands behind cgoheap, as ASAN_OPTIONS allows"},
		{built("-msan"), "", levelWarn, "built with -msan, which is not tested with cgoheap"},
	} {
		if got := checkInstrumented(c.f, c.options); got.Level != c.want || got.Text != c.text {
			t.Errorf("%v %q: %s %q, want %s %q", c.f.instrumented(), c.options, got.Level, got.Text, c.want, c.text)
		}
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
	for file, text := range map[string]string{name + ".c": source, "main.c": "void *" + functions[0] +
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

func TestFindPrivate(t *testing.T) {
	for _, c := range []struct{ functions, want string }{
		{"malloc free mallocx mallctl", ""}, // malloc itself
		{"xmalloc PyMem_Malloc git__malloc g_malloc", ""},
		{"je_malloc", "jemalloc as je_malloc"},
		{"_rjem_malloc", "jemalloc as _rjem_malloc"},
		{"duckdb_je_malloc duckdb_je_mallctl duckdb_je_mallocx", "jemalloc as duckdb_je_malloc"},
		{"db_mallocx db_malloc", "jemalloc as db_malloc"},
		{"je_malloc je_mallctl _cgo_b6ab_Cfunc_je_malloc _cgo_b6ab_Cfunc_je_mallctl", "jemalloc as je_malloc"},
		{"mi_malloc", "mimalloc as mi_malloc"},
		{"node_mi_malloc tc_malloc", "mimalloc as node_mi_malloc, tcmalloc as tc_malloc"},
		{"rpmalloc dlmalloc scalable_malloc sn_malloc", "dlmalloc as dlmalloc, rpmalloc as rpmalloc, snmalloc as sn_malloc, tbbmalloc as scalable_malloc"},
		{"_ZN15partition_alloc13PartitionRoot5AllocEm _ZN15partition_alloc4FreeEPv", "PartitionAlloc"},
	} {
		names := map[string]bool{}
		for _, name := range strings.Fields(c.functions) {
			names[name] = true
		}
		var got []string
		for _, a := range findPrivate(names, "") {
			got = append(got, a.String())
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %q, want %q", c.functions, text, c.want)
		}
	}
}
