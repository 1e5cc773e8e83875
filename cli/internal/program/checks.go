// Package program says whether cgoheap can work in a program or in a process that runs
// one.  doctor shows the checks; run refuses or warns by the same ones.
package program

import (
	"debug/elf"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"cgoheap.example/cli/internal/termtext"
)

// Level is the result of a check.
type Level string

// The levels, as --json has them.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn"
	LevelFail Level = "fail"
)

// Check is one line of doctor's output.
type Check struct {
	Name   string `json:"name"`
	Level  Level  `json:"level"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
	// The program may still be run: the programs that it starts may be the ones to profile.
	Runnable bool `json:"-"`
}

// OK is a check that passed.
func OK(name, format string, args ...any) Check {
	return Check{Name: name, Level: LevelOK, Text: fmt.Sprintf(format, args...)}
}

// Warn is a check that found something missing; cgoheap works.
func Warn(name, remedy, format string, args ...any) Check {
	return Check{Name: name, Level: LevelWarn, Text: fmt.Sprintf(format, args...), Remedy: remedy,
		Runnable: true}
}

// Fail is a check that found why cgoheap cannot work.
func Fail(name, remedy, format string, args ...any) Check {
	return Check{Name: name, Level: LevelFail, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

// unseen fails, but lets the program run: cgoheap does not see it, but may see what it starts.
func unseen(name, remedy, format string, args ...any) Check {
	c := Fail(name, remedy, format, args...)
	c.Runnable = true
	return c
}

// CheckProgram checks a program's file, as if started by the user uid and group gid.
func CheckProgram(f *Facts, uid, gid int) []Check {
	checks := []Check{checkFile(f)}
	if checks[0].Level == LevelFail || f.isScript {
		return checks
	}
	if f.IsGoLibrary {
		return append(checks, CheckGo(f), checkCgo(f), checkStripped(f))
	}
	checks = append(checks, CheckGo(f), checkLinking(f))
	if f.Loader != "" {
		checks = append(checks, checkLibc(f))
	}
	checks = append(checks, CheckTables(f)...)
	if f.IsGo() && f.Loader != "" {
		checks = append(checks, checkCgo(f))
		checks = append(checks, checkPurego(f)...)
	}
	if f.opensPlugins {
		checks = append(checks, OK("plugins",
			"it opens Go plugins: their code is profiled like the program's own"))
	}
	if f.Loader != "" && (f.HasCgo || !f.IsGo()) {
		checks = append(checks, CheckAllocator(f))
		if c := CheckPrivate(f); c != nil {
			checks = append(checks, *c)
		}
	}
	checks = append(checks, checkPrivileges(f, uid, gid))
	if len(f.Instrumented()) > 0 {
		checks = append(checks, CheckInstrumented(f, os.Getenv("ASAN_OPTIONS")))
	}
	if f.IsGo() {
		checks = append(checks, checkStripped(f))
	}
	return checks
}

func checkFile(f *Facts) Check {
	const name = "file"
	switch {
	case f.mode.IsDir():
		return Fail(name, "give the program's path", "it is a directory")
	case !f.mode.IsRegular():
		return Fail(name, "give the program's path", "it is not a regular file")
	case f.isScript:
		return checkScript(f)
	case !f.isELF:
		return Fail(name, "give the program's path",
			"neither an ELF program nor a script that begins with #!")
	case f.class != elf.ELFCLASS64 || machines[f.machine] == "":
		return Fail(name, "build it for linux/amd64 or linux/arm64",
			"%s, and cgoheap is for 64-bit x86-64 and arm64 only", architecture(f))
	case f.isShared:
		return Fail(name, "give the program that loads it", "a shared library, not a program")
	case f.IsGoLibrary:
		return OK(name, "64-bit %s %s", machines[f.machine], f.libraryKind())
	case f.mode&0o111 == 0:
		return Fail(name, "chmod +x "+termtext.QuoteShell(f.Path), "not executable")
	}
	return OK(name, "64-bit %s program", machines[f.machine])
}

// machines are those that there is a library for.
var machines = map[elf.Machine]string{elf.EM_X86_64: "x86-64", elf.EM_AARCH64: "arm64"}

// libraryKind names the ways to build Go into a shared library.
func (f *Facts) libraryKind() string {
	switch f.setting("-buildmode") {
	case "plugin":
		return "Go plugin"
	case "c-shared":
		return "shared library in Go (-buildmode=c-shared)"
	}
	return "shared library with Go in it"
}

// LibraryNext says how to profile a library: in the program that loads it.
func (f *Facts) LibraryNext() string {
	if f.setting("-buildmode") == "plugin" {
		return "start the Go program that opens it with cgoheap run -- PROGRAM"
	}
	return "start the program that loads it, in whatever language, with cgoheap run -- PROGRAM"
}

// checkPurego: a lookup in libc's own handle finds libc's function, not the preloaded one.
func checkPurego(f *Facts) []Check {
	if !f.usesPurego() {
		return nil
	}
	return []Check{Warn("purego", "look up malloc and free in the program, not in libc: "+
		"purego.Dlsym(purego.RTLD_DEFAULT, \"free\")",
		"it calls C through "+puregoModule+": what libraries allocate is seen, "+
			"but malloc or free that it looks up in libc's own handle is not")}
}

func architecture(f *Facts) string {
	bits := 64
	if f.class == elf.ELFCLASS32 {
		bits = 32
	}
	machine := strings.TrimPrefix(f.machine.String(), "EM_")
	return fmt.Sprintf("a %d-bit %s program", bits, strings.ToLower(machine))
}

// checkScript: the programs that a script starts inherit the preload.
func checkScript(f *Facts) Check {
	c := Warn("file", "", "a script: cgoheap stays passive in its interpreter, "+startsLater)
	words := strings.Fields(f.interpreter)
	if len(words) == 0 {
		return Fail("file", "write the interpreter after #!", "a script that names no interpreter")
	}
	shell, err := Inspect(words[0])
	if err != nil {
		return Fail("file", "install it",
			"a script for %s, which does not exist", termtext.Quote(words[0]))
	}
	if checked := checkLibc(shell); checked.Level == LevelFail {
		return checked
	}
	return c
}

// The range that cgoheap is tested on.
const oldestGo, newestGo = 21, 27

var goVersion = regexp.MustCompile(`\bgo1\.(\d+)`)

// What follows "passive in it".
const startsLater = "and starts in the Go programs that it runs, " +
	"or when it loads a library with Go in it"

// CheckGo checks the Go release that built it.
func CheckGo(f *Facts) Check {
	const name = "go"
	if !f.IsGo() {
		c := Fail(name, "if it starts a Go program, cgoheap profiles that one; "+
			"to profile this one, set CGOHEAP_ANY=1 or use cgoheap run --any",
			"not a Go program: cgoheap stays passive in it, "+startsLater)
		c.Runnable = true
		return c
	}
	version := termtext.Escape(f.goInfo.GoVersion)
	found := goVersion.FindStringSubmatch(version)
	if found == nil {
		return Warn(name, "", "unknown Go version (%s); go1.%d to go1.%d are tested",
			version, oldestGo, newestGo)
	}
	const untested = "%s, %s than the tested go1.%d to go1.%d: stacks may end early or lack names"
	switch minor, _ := strconv.Atoi(found[1]); {
	case minor < oldestGo:
		return Warn(name, fmt.Sprintf("build it with go1.%d or newer", oldestGo),
			untested, version, "older", oldestGo, newestGo)
	case minor > newestGo:
		return Warn(name, "look for a newer cgoheap",
			untested, version, "newer", oldestGo, newestGo)
	}
	return OK(name, "%s", version)
}

func checkLinking(f *Facts) Check {
	const name = "linking"
	const noCode = "there is no C heap to profile; go tool pprof's heap profile shows all there is"
	switch {
	case f.Loader != "" && f.external:
		return OK(name, "dynamic, by the C linker")
	case f.Loader != "":
		return OK(name, "dynamic, by Go's own linker")
	case !f.IsGo():
		return unseen(name, "put cgoheap run in front of the program that it starts",
			"statically linked: it ignores a preload, though the programs it starts do not")
	case f.setting("CGO_ENABLED") == "0":
		return unseen(name, noCode, "statically linked, built with CGO_ENABLED=0: "+
			"it has no C code, and ignores a preload")
	case f.HasCgo:
		return unseen(name, "build it without -extldflags -static",
			"statically linked with -extldflags -static: it ignores a preload")
	}
	return unseen(name, noCode, "statically linked, as no package in it uses cgo: "+
		"it has no C code, and ignores a preload")
}

func checkLibc(f *Facts) Check {
	const name = "libc"
	const image = "build and run it in an image with glibc, such as debian:stable-slim"
	switch libc := f.Libc(); {
	case libc == nil:
		return Warn(name, "", "no C library was found beside its loader %s",
			termtext.Escape(f.Loader))
	case libc.kind == glibc:
		return OK(name, "%s", libc)
	case libc.kind == musl && f.machine != elf.EM_X86_64:
		return Fail(name, image, "linked against %s: the library knows it on x86-64 only, "+
			"and does nothing on %s", libc, architecture(f))
	case libc.kind == musl && libc.isBefore(mallocngSince):
		return Warn(name, "use musl "+mallocngSince+" or newer (Alpine 3.13)",
			"%s, whose malloc cgoheap cannot read: what it has in use is estimated by samples, "+
				"and it has no trim", libc)
	case libc.kind == musl:
		return OK(name, "%s: what malloc has in use is read from its structures, "+
			"and it has no trim", libc)
	default:
		return Fail(name, image,
			"linked against %s: the library loads there and does nothing", libc)
	}
}

// mallocngSince is the first musl with the malloc whose structures the library reads.
const mallocngSince = "1.2.1"

// CheckTables warns if nothing leads to the program's unwind tables. The linker of each
// distribution does, but musl's wrapper of gcc tells it not to.
func CheckTables(f *Facts) []Check {
	if !f.lacksTables || f.Loader == "" {
		return nil
	}
	return []Check{Warn("unwinding", "link it with -Wl,--eh-frame-hdr; "+
		"in Go, build it with -ldflags '-extldflags -Wl,--eh-frame-hdr'",
		"linked without .eh_frame_hdr, as musl-gcc does: "+
			"stacks through its C functions lack these, and some end there")}
}

func checkCgo(f *Facts) Check {
	const name = "cgo"
	switch {
	case !f.HasCgo:
		return unseen(name, "there is no C heap to profile; "+
			"go tool pprof's heap profile shows all there is",
			"dynamic, but no package in it uses cgo")
	case len(f.cgoPackages) == 0:
		return OK(name, "used")
	}
	return OK(name, "used by %s", termtext.Escape(listSome(f.cgoPackages, 5)))
}

func listSome(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// CheckAllocator checks who answers malloc.
func CheckAllocator(f *Facts) Check {
	const name = "allocator"
	switch {
	case f.definesMalloc():
		c := Fail(name, "link the allocator as a shared library, or preload it: "+
			"LD_PRELOAD=libjemalloc.so.2 cgoheap run ...",
			"malloc is defined inside the executable (%s): its calls stay inside, "+
				"and only what goes through libc, such as mmap, is seen", f.allocatorName())
		c.Runnable = true
		return c
	case f.answers != "":
		return Warn(name, "", "%s provides malloc and has no statistics that cgoheap knows: "+
			"what it maps is shown as C mmap, by who mapped it; "+
			"how much of that is in use is unknown, and trim does not work",
			termtext.Escape(f.answers))
	}
	return OK(name, "malloc comes from a shared library")
}

func checkPrivileges(f *Facts, uid, gid int) Check {
	const name = "privileges"
	const remedy = "put cgoheap run after it (sudo cgoheap run ...), or run a copy without them"
	if why := f.secureMode(uid, gid); why != "" {
		return unseen(name, remedy, "it has %s: the loader ignores a preload in it", why)
	}
	if f.mode&(os.ModeSetuid|os.ModeSetgid) != 0 || f.fileCaps {
		return Warn(name, remedy, "it has setuid, setgid or file capabilities: "+
			"started by another user than you, it ignores a preload")
	}
	return OK(name, "no setuid, setgid or file capabilities")
}

// The sanitizer refuses to start unless its malloc comes first, or this option is set.
const asanOption = "verify_asan_link_order=0"

// CheckInstrumented checks a program built with -race, -asan or -msan, under these ASAN_OPTIONS.
func CheckInstrumented(f *Facts, asanOptions string) Check {
	const name = "sanitizer"
	names := strings.Join(f.Instrumented(), " ")
	switch {
	case f.setting("-msan") == "true":
		return Warn(name, "build it without -msan",
			"built with %s, which is not tested with cgoheap", names)
	case f.setting("-asan") != "true" || f.definesMalloc():
		return OK(name, "built with %s, which works with cgoheap", names)
	case strings.Contains(asanOptions, asanOption):
		return OK(name, "built with -asan: its malloc comes after cgoheap, as ASAN_OPTIONS allows")
	}
	return Fail(name, "set ASAN_OPTIONS="+asanOption,
		"built with -asan: the sanitizer stops a program if another library is loaded before it")
}

func checkStripped(f *Facts) Check {
	if f.stripped {
		return OK("symbols",
			"stripped: Go functions keep their names, C functions in it are shown as addresses")
	}
	return OK("symbols", "not stripped")
}
