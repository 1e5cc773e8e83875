package program

import (
	"debug/elf"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/fixture"
)

// The verbs that look at a running process ask less, and say so as well.
func TestMallocInside(t *testing.T) {
	for path, want := range map[string]bool{
		fixture.Go(t, "malloc", fixture.GoMalloc, "1"):                    true,
		fixture.Go(t, "smalloc", fixture.GoMalloc, "1", "-ldflags=-s -w"): true,
		fixture.Go(t, "stripped", fixture.GoCgo, "1", "-ldflags=-s -w"):   false,
		fixture.Go(t, "nocgo", fixture.GoPlain, "0"):                      false,
		"/missing": false,
	} {
		if ExportsMalloc(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}

func TestSecureMode(t *testing.T) {
	path := fixture.Written(t, "setuid", "x", 0o755|os.ModeSetuid)
	f, err := Inspect(path)
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
	f = &Facts{fileCaps: true}
	if f.secureMode(0, 0) != "" || f.secureMode(1, 1) != "file capabilities" {
		t.Error("file capabilities")
	}
	f = &Facts{mode: os.ModeSetgid, group: 5}
	if f.secureMode(0, 5) != "" || f.secureMode(0, 6) != "setgid" {
		t.Error("setgid")
	}
}

func TestGoVersions(t *testing.T) {
	for version, want := range map[string]Level{
		"go1.21.13": LevelOK, "go1.27rc1": LevelOK, "go1.26.8 X:nodwarf5": LevelOK,
		"go1.20.1": LevelWarn, "go1.28.1": LevelWarn,
		"devel go1.28-abcdef": LevelWarn, "mystery": LevelWarn,
	} {
		f, err := Inspect(fixture.CgoProgram(t))
		if err != nil {
			t.Fatal(err)
		}
		f.goInfo.GoVersion = version
		if c := CheckGo(f); c.Level != want {
			t.Errorf("%s: %+v, want %s", version, c, want)
		}
	}
}

// Debian 11's glibc 2.31 has no symbol newer than GLIBC_2.30.
func TestGlibcIsNamedByItsRelease(t *testing.T) {
	versions := filepath.Join(t.TempDir(), "versions")
	const oldest = "GLIBC_2.30 { __libc_start_main; };"
	if err := os.WriteFile(versions, []byte(oldest), 0o644); err != nil {
		t.Fatal(err)
	}
	for banner, want := range map[string]string{
		"GNU C Library (Debian GLIBC 2.31-13) stable release version 2.31.": "glibc 2.31",
		"GNU C Library stable release version 2.17, by Roland McGrath":      "glibc 2.17",
		"GNU C Library (GNU libc) development release version 2.35.9000.":   "glibc 2.35",
		"nothing of the kind": "glibc 2.30 or later",
	} {
		path := fixture.C(t, want, `void __libc_start_main(void) {}
			const char banner[] = "`+banner+`";`,
			"-shared", "-fPIC", "-nostdlib", "-Wl,--version-script="+versions)
		libc := openLibc(os.Open, path, nil)
		if libc == nil || libc.String() != want {
			t.Errorf("%s: %v, want %s", banner, libc, want)
		}
	}
}

func TestLibc(t *testing.T) {
	for text, want := range map[string]int{
		"GLIBC_2.34": 34, "GLIBC_2.2.5": 2, "GLIBC_PRIVATE": -1, "GCC_3.0": -1,
	} {
		if got := glibcMinor(text); got != want {
			t.Errorf("%s: %d", text, got)
		}
	}
	here := func() *Facts {
		return &Facts{Loader: "/lib64/ld-linux-x86-64.so.2", machine: elf.EM_X86_64, open: os.Open}
	}
	libc := here().Libc()
	if libc == nil || !strings.HasPrefix(libc.String(), "glibc 2.") {
		t.Fatalf("this system's %v", libc)
	}
	library := fixture.C(t, "asks", `#include <math.h>
		#include <stdlib.h>
		double ask(double x) { return pow(x, rand()); }`, "-shared", "-fPIC", "-O1",
		"-Wl,--no-as-needed", "-lm")
	if c := CheckLibrary(library, nil, here()); c.Level != LevelOK {
		t.Errorf("%+v", c)
	}
	if c := CheckLibrary(library, nil, &Facts{machine: elf.EM_X86_64}); c.Level != LevelOK {
		t.Errorf("%+v", c)
	}
	c := CheckLibrary(library, nil, &Facts{machine: elf.EM_AARCH64})
	if c.Level != LevelFail ||
		!strings.HasSuffix(c.Text, "is for x86-64, and the program for arm64") {
		t.Errorf("%+v", c)
	}
	for want, change := range map[string]func(*Libc){
		": rand@GLIBC_2.2.5": func(l *Libc) { delete(l.symbols, "rand@GLIBC_2.2.5") },
		": libm.so.6": func(l *Libc) {
			l.hasFile = func(name string) bool { return name != "libm.so.6" }
		},
	} {
		lacking := here()
		change(lacking.Libc())
		c := CheckLibrary(library, nil, lacking)
		if c.Level != LevelFail || !strings.HasSuffix(c.Text, " has not"+want) {
			t.Errorf("%+v", c)
		}
	}
	broken := filepath.Join(t.TempDir(), "broken.so")
	os.WriteFile(broken, []byte("no library"), 0o644)
	if c := CheckLibrary(broken, nil, here()); c.Level != LevelFail {
		t.Errorf("%+v", c)
	}
}

// Its symbols have no versions, and its loader takes the names of its parts for its own.
func checkMusl(t *testing.T, libc *Libc) {
	f := &Facts{Loader: "/lib/ld.so", libc: libc, machine: elf.EM_X86_64}
	for version, want := range map[string]Level{
		"1.2.5": LevelOK, "1.2.1": LevelOK, "1.2.10": LevelOK, "1.2.0": LevelWarn,
		"1.1.24": LevelWarn,
	} {
		libc.name = "musl " + version
		check := checkLibc(f)
		if check.Level != want || !strings.HasPrefix(check.Text, "musl "+version) {
			t.Errorf("%+v", check)
		}
	}
	f.machine = elf.EM_AARCH64
	if check := checkLibc(f); check.Level != LevelFail {
		t.Errorf("%+v", check)
	}
	f.machine = elf.EM_X86_64
	library := fixture.C(t, "asksmusl", `#include <stdlib.h>
		int ask(void) { return rand(); }`, "-shared", "-fPIC", "-O1", "-Wl,--no-as-needed", "-lm")
	libc.symbols["rand"] = true
	if c := CheckLibrary(library, nil, f); c.Level != LevelOK {
		t.Errorf("%+v", c)
	}
	delete(libc.symbols, "rand")
	c := CheckLibrary(library, nil, f)
	if c.Level != LevelFail || !strings.HasSuffix(c.Text, " has not: rand") {
		t.Errorf("%+v", c)
	}
	for name, want := range map[string]bool{"libc.so.6": true, "libpthread.so.0": true,
		"libz.so.1": false, "ld-linux-x86-64.so.2": false} {
		if isPartOfMusl(name) != want {
			t.Errorf("%s: not %t", name, want)
		}
	}
}

// A libc is what it has in it, under whatever name.
func TestLibcKinds(t *testing.T) {
	for _, c := range []struct {
		what, source string
		kind         libcKind
		name         string
	}{
		{"musl", `const char *const texts[] = {"musl libc (x86_64)\nVersion %s\n", "1.2.3"};
			void __libc_start_main(void) {}`, musl, "musl 1.2.3"},
		{"uclibc", "void __uClibc_main(void) {}", uClibc, "uClibc"},
		{"other", "void __libc_start_main(void) {}", unknownLibc,
			"a C library that cgoheap does not know"},
		{"none", "void main_of_a_library(void) {}", -1, ""},
	} {
		path := fixture.C(t, "libx-"+c.what, c.source, "-shared", "-fPIC")
		l := openLibc(os.Open, path, nil)
		switch {
		case l == nil && c.name != "":
			t.Errorf("%s: is no libc", c.what)
		case l != nil && (l.kind != c.kind || l.String() != c.name):
			t.Errorf("%s: %v, %q", c.what, l.kind, l)
		}
		if l == nil {
			continue
		}
		if c.kind == musl {
			checkMusl(t, l)
			continue
		}
		f := &Facts{Loader: "/lib/ld.so", libc: l}
		if check := checkLibc(f); check.Level != LevelFail || check.Text !=
			"linked against "+c.name+": the library loads there and does nothing" {
			t.Errorf("%s: %+v", c.what, check)
		}
	}
}

func TestCheckInstrumented(t *testing.T) {
	built := func(flags ...string) *Facts {
		f := &Facts{goInfo: &debug.BuildInfo{}}
		for _, flag := range flags {
			set := debug.BuildSetting{Key: flag, Value: "true"}
			f.goInfo.Settings = append(f.goInfo.Settings, set)
		}
		return f
	}
	for _, c := range []struct {
		f       *Facts
		options string
		want    Level
		text    string
	}{
		{built("-race"), "", LevelOK, "built with -race, which works with cgoheap"},
		{built("-asan"), "halt_on_error=0", LevelFail,
			"built with -asan: the sanitizer stops a program " +
				"if another library is loaded before it"},
		{built("-asan"), "halt_on_error=0:verify_asan_link_order=0", LevelOK,
			"built with -asan: its malloc comes after cgoheap, as ASAN_OPTIONS allows"},
		{built("-msan"), "", LevelWarn, "built with -msan, which is not tested with cgoheap"},
	} {
		if got := CheckInstrumented(c.f, c.options); got.Level != c.want || got.Text != c.text {
			t.Errorf("%v %q: %s %q, want %s %q",
				c.f.Instrumented(), c.options, got.Level, got.Text, c.want, c.text)
		}
	}
}

func TestFindPrivate(t *testing.T) {
	for _, c := range []struct{ functions, want string }{
		{"malloc free mallocx mallctl", ""}, // malloc itself
		{"xmalloc PyMem_Malloc git__malloc g_malloc", ""},
		{"je_malloc", "jemalloc as je_malloc"},
		{"_rjem_malloc", "jemalloc as _rjem_malloc"},
		{"duckdb_je_malloc duckdb_je_mallctl duckdb_je_mallocx", "jemalloc as duckdb_je_malloc"},
		{"db_mallocx db_malloc", "jemalloc as db_malloc"},
		{"je_malloc je_mallctl _cgo_b6ab_Cfunc_je_malloc _cgo_b6ab_Cfunc_je_mallctl",
			"jemalloc as je_malloc"},
		{"mi_malloc", "mimalloc as mi_malloc"},
		{"node_mi_malloc tc_malloc", "mimalloc as node_mi_malloc, tcmalloc as tc_malloc"},
		{"rpmalloc dlmalloc scalable_malloc sn_malloc", "dlmalloc as dlmalloc, " +
			"rpmalloc as rpmalloc, snmalloc as sn_malloc, tbbmalloc as scalable_malloc"},
		{"_ZN15partition_alloc13PartitionRoot5AllocEm _ZN15partition_alloc4FreeEPv",
			"PartitionAlloc"},
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
