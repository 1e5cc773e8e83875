package main

import (
	"debug/elf"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"cgoheap/cli/internal/attach"
	"cgoheap/cli/internal/termtext"
)

// What decides whether cgoheap can work in a program.  `doctor` shows every
// check, `run` refuses or warns by the same ones.

type level string

const (
	levelOK   level = "ok"
	levelWarn level = "warn"
	levelFail level = "fail"
)

type check struct {
	Name   string `json:"name"`
	Level  level  `json:"level"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
	// A program may be run all the same: what it starts may be what is looked for.
	runnable bool
}

func ok(name, format string, args ...any) check {
	return check{Name: name, Level: levelOK, Text: fmt.Sprintf(format, args...)}
}

func warn(name, remedy, format string, args ...any) check {
	return check{Name: name, Level: levelWarn, Text: fmt.Sprintf(format, args...), Remedy: remedy, runnable: true}
}

func fail(name, remedy, format string, args ...any) check {
	return check{Name: name, Level: levelFail, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

// unseen fails, but keeps nobody from running the program: it is not looked at itself, what it starts may be.
func unseen(name, remedy, format string, args ...any) check {
	c := fail(name, remedy, format, args...)
	c.runnable = true
	return c
}

// checkProgram looks at a program's file as the user uid, gid would start it.
func checkProgram(f *facts, uid, gid int) []check {
	checks := []check{checkFile(f)}
	if checks[0].Level == levelFail || f.isScript {
		return checks
	}
	if f.isGoLibrary {
		return append(checks, checkGo(f), checkCgo(f), checkStripped(f))
	}
	checks = append(checks, checkGo(f), checkLinking(f))
	if f.loader != "" {
		checks = append(checks, checkLibc(f))
	}
	if f.isGo() && f.loader != "" {
		checks = append(checks, checkCgo(f))
		checks = append(checks, checkPurego(f)...)
	}
	if f.opensPlugins {
		checks = append(checks, ok("plugins", "it opens Go plugins: their code is seen as the program's own"))
	}
	if f.loader != "" && (f.hasCgo || !f.isGo()) {
		checks = append(checks, checkAllocator(f))
		if c := checkPrivate(f); c != nil {
			checks = append(checks, *c)
		}
	}
	checks = append(checks, checkPrivileges(f, uid, gid))
	if len(f.instrumented()) > 0 {
		checks = append(checks, checkInstrumented(f, os.Getenv("ASAN_OPTIONS")))
	}
	if f.isGo() {
		checks = append(checks, checkStripped(f))
	}
	return checks
}

func checkFile(f *facts) check {
	const name = "file"
	switch {
	case f.mode.IsDir():
		return fail(name, "give the program's path", "it is a directory")
	case !f.mode.IsRegular():
		return fail(name, "give the program's path", "it is not a regular file")
	case f.isScript:
		return checkScript(f)
	case !f.isELF:
		return fail(name, "give the program's path", "neither an ELF program nor a script that begins with #!")
	case f.class != elf.ELFCLASS64 || f.machine != elf.EM_X86_64:
		return fail(name, "build it for linux/amd64", "%s, and cgoheap is for 64-bit x86-64 only", architecture(f))
	case f.isShared:
		return fail(name, "give the program that loads it", "a shared library, not a program")
	case f.isGoLibrary:
		return ok(name, "64-bit x86-64 %s", f.libraryKind())
	case f.mode&0o111 == 0:
		return fail(name, "chmod +x "+termtext.QuoteShell(f.path), "not executable")
	}
	return ok(name, "64-bit x86-64 program")
}

// libraryKind names the ways to build Go into a shared library.
func (f *facts) libraryKind() string {
	switch f.setting("-buildmode") {
	case "plugin":
		return "Go plugin"
	case "c-shared":
		return "shared library in Go (-buildmode=c-shared)"
	}
	return "shared library with Go in it"
}

// libraryNext says how a library is looked at: in the program that loads it.
func (f *facts) libraryNext() string {
	if f.setting("-buildmode") == "plugin" {
		return "start the Go program that opens it with cgoheap run -- PROGRAM"
	}
	return "start the program that loads it, in whatever language, with cgoheap run -- PROGRAM"
}

// checkPurego: a function of libc that is looked up in libc's own handle is not the one that stands before it.
func checkPurego(f *facts) []check {
	if !f.usesPurego() {
		return nil
	}
	return []check{warn("purego", "look up malloc and free in the program, not in libc: purego.Dlsym(purego.RTLD_DEFAULT, \"free\")",
		"it calls C by "+puregoModule+": what libraries allocate is seen, but malloc or free that it looks up in libc's own handle is not")}
}

func architecture(f *facts) string {
	bits := 64
	if f.class == elf.ELFCLASS32 {
		bits = 32
	}
	return fmt.Sprintf("a %d-bit %s program", bits, strings.ToLower(strings.TrimPrefix(f.machine.String(), "EM_")))
}

// checkScript: a script starts other programs, and they inherit the preload.
func checkScript(f *facts) check {
	c := warn("file", "",
		"a script: cgoheap stays passive in its interpreter, and starts in the Go programs that it runs, or when it loads a library with Go in it")
	words := strings.Fields(f.interpreter)
	if len(words) == 0 {
		return fail("file", "write the interpreter after #!", "a script that names no interpreter")
	}
	shell, err := inspect(words[0], words[0])
	if err != nil {
		return fail("file", "install it", "a script for %s, which is not here", termtext.Quote(words[0]))
	}
	if shell.isMusl() {
		return checkLibc(shell)
	}
	return c
}

// The range that cgoheap is tested on.
const oldestGo, newestGo = 21, 27

var goVersion = regexp.MustCompile(`\bgo1\.(\d+)`)

func checkGo(f *facts) check {
	const name = "go"
	if !f.isGo() {
		c := fail(name, "if it starts a Go program, that one is seen; CGOHEAP_ANY=1 or cgoheap run --any looks at it too",
			"not a Go program: cgoheap stays passive in it, and starts in the Go programs that it runs, or when it loads a library with Go in it")
		c.runnable = true
		return c
	}
	version := termtext.Escape(f.goInfo.GoVersion)
	found := goVersion.FindStringSubmatch(version)
	if found == nil {
		return warn(name, "", "Go of an unknown version (%s); tested are go1.%d to go1.%d", version, oldestGo, newestGo)
	}
	switch minor, _ := strconv.Atoi(found[1]); {
	case minor < oldestGo:
		return warn(name, fmt.Sprintf("build it with go1.%d or newer", oldestGo),
			"%s, older than the tested go1.%d to go1.%d: stacks may end early or lack names", version, oldestGo, newestGo)
	case minor > newestGo:
		return warn(name, "look for a newer cgoheap",
			"%s, newer than the tested go1.%d to go1.%d: stacks may end early or lack names", version, oldestGo, newestGo)
	}
	return ok(name, "%s", version)
}

func checkLinking(f *facts) check {
	const name = "linking"
	const noCode = "there is no C heap to look at; go tool pprof's heap profile shows all there is"
	switch {
	case f.loader != "" && f.external:
		return ok(name, "dynamic, by the C linker")
	case f.loader != "":
		return ok(name, "dynamic, by Go's own linker")
	case !f.isGo():
		return unseen(name, "put cgoheap run before the program that it starts",
			"statically linked: it ignores a preload, though the programs it starts do not")
	case f.setting("CGO_ENABLED") == "0":
		return unseen(name, noCode, "statically linked, built with CGO_ENABLED=0: it has no C code, and ignores a preload")
	case f.hasCgo:
		return unseen(name, "build it without -extldflags -static",
			"statically linked with -extldflags -static: it ignores a preload")
	}
	return unseen(name, noCode, "statically linked, as no package in it uses cgo: it has no C code, and ignores a preload")
}

func checkLibc(f *facts) check {
	const name = "libc"
	if f.isMusl() {
		return fail(name, "build and run it in an image with glibc, such as debian:stable-slim",
			"linked against musl (Alpine): cgoheap needs glibc")
	}
	version := systemGlibc(f.loader)
	if version < 0 {
		return ok(name, "glibc, by its loader %s", termtext.Escape(f.loader))
	}
	return ok(name, "%s", version)
}

func checkCgo(f *facts) check {
	const name = "cgo"
	switch {
	case !f.hasCgo:
		return unseen(name, "there is no C heap to look at; go tool pprof's heap profile shows all there is",
			"dynamic, but no package in it uses cgo")
	case len(f.cgoPackages) == 0:
		return ok(name, "used")
	}
	return ok(name, "used by %s", termtext.Escape(listSome(f.cgoPackages, 5)))
}

func listSome(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func checkAllocator(f *facts) check {
	const name = "allocator"
	switch {
	case f.definesMalloc():
		c := fail(name, "link the allocator as a shared library, or preload it: LD_PRELOAD=libjemalloc.so.2 cgoheap run ...",
			"malloc is defined inside the executable (%s): its calls never leave it, and only what passes through libc, "+
				"such as mmap, is seen", f.allocatorName())
		c.runnable = true
		return c
	case f.answers != "":
		return warn(name, "", "%s answers malloc and has no statistics that cgoheap knows: what it maps shows as C mmap by who mapped it, "+
			"what of that is in use is not known, and trim cannot ask it", termtext.Escape(f.answers))
	}
	return ok(name, "malloc is called in a shared library")
}

func checkPrivileges(f *facts, uid, gid int) check {
	const name = "privileges"
	const remedy = "put cgoheap run behind it (sudo cgoheap run ...), or run a copy without them"
	if why := f.secureMode(uid, gid); why != "" {
		return unseen(name, remedy, "it has %s: the loader ignores a preload in it", why)
	}
	if f.mode&(os.ModeSetuid|os.ModeSetgid) != 0 || f.fileCaps {
		return warn(name, remedy, "it has setuid, setgid or file capabilities: "+
			"started by another user than you, it ignores a preload")
	}
	return ok(name, "no setuid, setgid or file capabilities")
}

// The sanitizer's own malloc wants to be the first one, unless it is told not to look.
const asanOption = "verify_asan_link_order=0"

// checkInstrumented judges a program built with -race, -asan or -msan that starts, or has started, with these ASAN_OPTIONS.
func checkInstrumented(f *facts, asanOptions string) check {
	const name = "sanitizer"
	names := strings.Join(f.instrumented(), " ")
	switch {
	case f.setting("-msan") == "true":
		return warn(name, "build it without -msan", "built with %s, which is not tested with cgoheap", names)
	case f.setting("-asan") != "true" || f.definesMalloc():
		return ok(name, "built with %s, which works with cgoheap", names)
	case strings.Contains(asanOptions, asanOption):
		return ok(name, "built with -asan: its malloc stands behind cgoheap, as ASAN_OPTIONS allows")
	}
	return fail(name, "set ASAN_OPTIONS="+asanOption,
		"built with -asan: the sanitizer ends a program in which another library comes before its own")
}

func checkStripped(f *facts) check {
	if f.stripped {
		return ok("symbols", "stripped: Go functions keep their names, C functions inside it show as addresses")
	}
	return ok("symbols", "not stripped")
}

// checkLibrary compares the shim with the libc that it would be loaded beside.
func checkLibrary(library string, err error, libc glibcVersion) check {
	const name = "library"
	if err != nil {
		return fail(name, "", "%s", err)
	}
	needed := neededGlibc(library)
	if libc >= 0 && needed > libc {
		return fail(name, "use a "+attach.LibraryName+" built on a system as old as the target",
			"%s needs %s, the program has %s", termtext.Quote(library), needed, libc)
	}
	return ok(name, "%s", termtext.Escape(library))
}

// checkPreload looks at what LD_PRELOAD holds for a program not yet started: it is kept, behind ours.
func checkPreload(preload string) []check {
	others := attach.OtherPreloads(preload)
	if len(others) == 0 {
		return nil
	}
	return []check{ok("preload", "%s stays preloaded, behind cgoheap", termtext.Escape(strings.Join(others, ", ")))}
}
