package verbs

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/fixture"
)

func runUnder(t *testing.T, env []string, args ...string) result {
	t.Helper()
	return finish(t, command(append(env, "CGOHEAP_LIBRARY="+fixture.EmptyLibrary(t)),
		append([]string{"run"}, args...)...))
}

// The program gets its arguments and our environment; its exit code is ours.
func TestRun(t *testing.T) {
	path, lib := fixture.CgoProgram(t), fixture.EmptyLibrary(t)
	runUnder(t, nil, "--", path, "environ", "--help", "-n").want(t, 7,
		"LD_PRELOAD="+lib+"\narguments environ --help -n\n", "")
	runUnder(t, nil, path, "environ").want(t, 7, "LD_PRELOAD="+lib+"\narguments environ\n", "")
}

func TestRunFlags(t *testing.T) {
	path, lib := fixture.CgoProgram(t), fixture.EmptyLibrary(t)
	dir, _ := filepath.EvalSymlinks(fixture.Dir)
	c := command([]string{"CGOHEAP_START=sampling", "CGOHEAP_SAMPLE_BYTES=7"}, "run",
		"--sample-bytes", "512KiB", "--dormant",
		"--listen=localhost:6061", "--socket", "a.sock", "--max-memory", "8M", "--max-cpu", "2.50%",
		"--blackbox", "box", "--follow-fork", "--any", "--library", lib, "--", path, "environ")
	c.Dir = dir
	finish(t, c).want(t, 7, "LD_PRELOAD="+lib+`
CGOHEAP_START=dormant
CGOHEAP_SAMPLE_BYTES=524288
CGOHEAP_SOCKET=`+dir+`/a.sock
CGOHEAP_LISTEN=127.0.0.1:6061
CGOHEAP_MAX_MEMORY=8388608
CGOHEAP_MAX_CPU=2.5
CGOHEAP_BLACKBOX=`+dir+`/box
CGOHEAP_ANY=1
CGOHEAP_FOLLOW_FORK=1
arguments environ
`, "")
}

// The flag has the last word over the environment, whichever state that has.
func TestRunStart(t *testing.T) {
	path, lib := fixture.CgoProgram(t), fixture.EmptyLibrary(t)
	for _, c := range []struct{ environment, flags, want string }{
		{"dormant", "--start sampling", "sampling"},
		{"sampling", "--start=dormant", "dormant"},
		{"sampling", "--dormant", "dormant"},
		{"sampling", "--dormant --start dormant", "dormant"},
		{"dormant", "--any", "dormant"},
	} {
		args := append(append([]string{"run"}, strings.Fields(c.flags)...), path, "environ")
		env := []string{"CGOHEAP_START=" + c.environment, "CGOHEAP_LIBRARY=" + lib}
		run := command(env, args...)
		if r := finish(t, run); !strings.Contains(r.out, "CGOHEAP_START="+c.want+"\n") {
			t.Errorf("CGOHEAP_START=%s run %s: %s%s", c.environment, c.flags, r.out, r.err)
		}
	}
	finish(t, command(nil, "run", "--dormant", "--start", "sampling", path)).want(t, 2, "",
		"cgoheap: run: --dormant contradicts --start sampling: give one of them; "+
			"see cgoheap run --help\n")
	finish(t, command(nil, "run", "--start", "asleep", path)).want(t, 2, "",
		"cgoheap: run: invalid --start \"asleep\": expected one of sampling, dormant; "+
			"see cgoheap run --help\n")
}

// The library's variables, as its own table has them, each have a flag.
func TestRunFlagForEachVariable(t *testing.T) {
	settings := regexp.MustCompile(`\{PREFIX "([A-Z_]+)", read_`).FindAllStringSubmatch(readAll(t,
		"../../../shim/config/config.c"), -1)
	var want, got []string
	for _, s := range settings {
		want = append(want, "CGOHEAP_"+s[1])
	}
	o := runOptions{sampleBytes: 1, maxMemory: 1, start: "dormant", any: true, followFork: true,
		verbose: true, listen: "a", socket: "a", maxCPU: "1", blackbox: "a",
		leaks: leakCheck{on: true}}
	for _, v := range o.variables() {
		if v[1] != "" {
			got = append(got, v[0])
		}
	}
	sort.Strings(want)
	sort.Strings(got)
	if len(want) < 9 || !slices.Equal(got, want) {
		t.Errorf("run sets %v, the library reads %v", got, want)
	}
}

func TestRunFlagsRefused(t *testing.T) {
	for _, args := range [][]string{{"--max-cpu", "0"}, {"--max-cpu", "101"}, {"--max-cpu", "1e1"},
		{"--max-cpu", "0x1"}, {"--max-cpu", "-1"},
		{"--max-cpu", "%"}, {"--blackbox", ""}, {"--blackbox", strings.Repeat("d", 256)}} {
		if _, _, err := parseRun(append(args, "program")); err == nil ||
			!strings.Contains(err.Error(), "invalid "+args[0]+" ") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// What was preloaded stays, behind ours; what the user set for the shim stays.
func TestRunKeepsPreload(t *testing.T) {
	path, lib := fixture.CgoProgram(t), fixture.EmptyLibrary(t)
	other := fixture.C(t, "other.so", "", "-shared", "-fPIC")
	runUnder(t, []string{"LD_PRELOAD=" + other, "CGOHEAP_START=dormant"}, path, "environ").want(t,
		7,
		"CGOHEAP_START=dormant\nLD_PRELOAD="+lib+":"+other+"\narguments environ\n", "")
	runUnder(t, []string{"LD_PRELOAD=" + lib + " " + other}, path, "environ").want(t, 7,
		"LD_PRELOAD="+lib+":"+other+"\narguments environ\n", "")
}

// The process becomes the program: the same process ID, and signals reach it.
func TestRunSignals(t *testing.T) {
	c := command([]string{"CGOHEAP_LIBRARY=" + fixture.EmptyLibrary(t)}, "run",
		fixture.CgoProgram(t), "signal")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != fmt.Sprintf("ready %d\n", c.Process.Pid) {
		t.Errorf("%q from process %d", line, c.Process.Pid)
	}
	c.Process.Signal(syscall.SIGUSR1)
	_ = c.Wait()
	if c.ProcessState.ExitCode() != 9 {
		t.Error(c.ProcessState)
	}
}

// The command's own limits are not the program's.
func TestRunKeepsLimits(t *testing.T) {
	self, _ := os.Executable()
	c := exec.Command("/bin/sh", "-c", `ulimit -Sn 100; exec "$0" run /bin/sh -c "ulimit -Sn"`,
		self)
	c.Env = append(os.Environ(), partVariable+"=command", "CGOHEAP_LIBRARY="+
		fixture.EmptyLibrary(t))
	if r := finish(t, c); r.out != "100\n" {
		t.Errorf("%+v", r)
	}
}

func TestRunRefuses(t *testing.T) {
	for path, want := range map[string]string{
		fixture.Patched(t, fixture.CgoProgram(t), "riscv", 18, 243,
			0): "a 64-bit riscv program, and cgoheap is for 64-bit x86-64 and arm64 only; build " +
			"it for linux/amd64 or linux/arm64",
		fixture.Patched(t, fixture.CgoProgram(t), "arm", 18, 183,
			0): fmt.Sprintf("%q is for x86-64, and the program for arm64; use the "+
			"libcgoheap.so for arm64: name it with --library", fixture.EmptyLibrary(t)),
		fixture.Written(t, "text", "hello\n",
			0o755): "neither an ELF program nor a script that begins with #!; give the " +
			"program's path",
		fixture.EmptyLibrary(t): "a shared library, not a program; give the program that loads it",
	} {
		runUnder(t, nil, path).want(t, 1, "",
			fmt.Sprintf("cgoheap: %q cannot run under cgoheap: %s\n", path, want))
	}
}

// What ignores a preload, or has nothing to look at, runs all the same: it may start what has.
func TestRunWarnsAndGoesOn(t *testing.T) {
	const others = "cgoheap profiles the programs that it starts if they use cgo"
	for path, want := range map[string][]string{
		fixture.Go(t, "nocgo", fixture.GoPlain, "0"): {"statically linked, built with " +
			"CGO_ENABLED=0: it has no C code, and ignores a preload", others},
		fixture.Go(t, "unused", fixture.GoPlain, "1"): {"statically linked, as no package in it " +
			"uses cgo: it has no C code, and ignores a preload", others},
		fixture.Go(t, "static", fixture.GoCgo, "1", "-ldflags=-linkmode=external "+
			"-extldflags=-static"): {
			"statically linked with -extldflags -static: it ignores a preload", others},
		fixture.Go(t, "nocgopie", fixture.GoPlain, "0", "-buildmode=pie"): {"dynamic, but no " +
			"package in it uses cgo"},
	} {
		r := runUnder(t, nil, path)
		var lines string
		for _, line := range want {
			lines += "cgoheap: " + path + ": " + line + "\n"
		}
		// Of what the program itself says and does nothing is of interest here.
		if !strings.HasPrefix(r.err, lines) || strings.Contains(r.err, "cannot run") {
			t.Errorf("%+v\nwant\n%s", r, lines)
		}
	}
}

// TestRunLaunchers: what starts a Go program, as people do it. The program shows the preload that
// it got.
func TestRunLaunchers(t *testing.T) {
	path, lib := fixture.CgoProgram(t), fixture.EmptyLibrary(t)
	got := "LD_PRELOAD=" + lib + "\narguments environ\n"
	// A launcher that is a static Go program, as the go command is.
	launcher := fixture.Go(t, "launcher", `package main

import (
	"os"
	"syscall"
)

func main() { panic(syscall.Exec(os.Args[1], os.Args[1:], os.Environ())) }
`, "0")
	runUnder(t, nil, launcher, path, "environ").want(t, 7, got,
		"cgoheap: "+launcher+": statically linked, built with CGO_ENABLED=0: it has no C code, "+
			"and ignores a preload\n"+
			"cgoheap: "+launcher+": cgoheap profiles the programs that it starts if they use cgo\n")
	// A static one of C, as tini is.
	tini := fixture.C(t, "statictini", "#include <unistd.h>\nint main(int c, char **v) { "+
		"execv(v[1], v + 1); return 1; }\n", "-static")
	if r := runUnder(t, nil, tini, path, "environ"); r.code != 7 || r.out != got {
		t.Errorf("%+v", r)
	}
	r := runUnder(t, nil, "env", "-i", path, "environ")
	if !strings.Contains(r.err, "cgoheap: env: env -i removes the preload: put cgoheap run after "+
		"it (env -i cgoheap run -- ./service)\n") ||
		r.code != 7 {
		t.Errorf("%+v", r)
	}
	if r := runUnder(t, nil, "env", "A=1", path, "environ"); strings.Contains(r.err,
		"takes the preload") || r.out != got {
		t.Errorf("%+v", r)
	}
}

// TestRunGo: the go command and what it runs.
func TestRunGo(t *testing.T) {
	lib, dir := fixture.EmptyLibrary(t), t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/launched\n\ngo 1.21\n",
		"main.go": "package main\n\n// #include <stdlib.h>\nimport \"C\"\nimport \"os\"\n\n" +
			"func main() { C.free(nil); println(os.Getenv(\"LD_PRELOAD\")) }\n",
		"main_test.go": "package main\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\n" +
			"func TestIt(t *testing.T) { t.Log(os.Getenv(\"LD_PRELOAD\")); main() }\n",
	} {
		check0(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	for _, args := range [][]string{{"go", "run", "."}, {"go", "test", "-v", "./..."}} {
		c := command([]string{"CGOHEAP_LIBRARY=" + lib}, append([]string{"run", "--"}, args...)...)
		c.Dir = dir
		if r := finish(t, c); r.code != 0 || !strings.Contains(r.out+r.err, lib) ||
			!strings.Contains(r.err, "cgoheap: go: cgoheap profiles the programs that it runs if "+
				"they use cgo") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	// As the hint says; the command is this test's binary, which plays it.
	self, _ := os.Executable()
	wrapper := fixture.Written(t, "cgoheap-exec", "#!/bin/sh\n"+partVariable+"=command exec "+self+
		" run -- \"$@\"\n", 0o755)
	c := exec.Command("go", "test", "-v", "-count=1", "-exec", wrapper, "./...")
	c.Dir, c.Env = dir, append(os.Environ(), "CGOHEAP_LIBRARY="+lib)
	if r := finish(t, c); r.code != 0 || !strings.Contains(r.out, lib) {
		t.Errorf("%+v", r)
	}
}

func TestRunNotFound(t *testing.T) {
	runUnder(t, nil, "no-such-program").want(t, 1, "",
		"cgoheap: no program \"no-such-program\" in PATH; give its path, such as "+
			"./no-such-program\n")
	runUnder(t, nil, "./no-such-program").want(t, 1, "", "cgoheap: \"./no-such-program\" does "+
		"not exist\n")
	runUnder(t, nil, fixture.Dir).want(t, 1, "",
		fmt.Sprintf("cgoheap: %q is a directory: give the program's path\n", fixture.Dir))
	path := patchedMode(t, fixture.CgoProgram(t), 0o644)
	runUnder(t, nil, path).want(t, 1, "",
		fmt.Sprintf("cgoheap: %q is not executable: chmod +x %s\n", path, path))
}

func TestRunSetuid(t *testing.T) {
	path := fixture.Written(t, "setuidprogram", readAll(t, fixture.CgoProgram(t)),
		0o755|os.ModeSetuid)
	c := command([]string{"CGOHEAP_LIBRARY=" + fixture.EmptyLibrary(t)}, "run", path)
	asNobody(t, c)
	if r := finish(t, c); !strings.Contains(r.err, "cgoheap: "+path+": it has setuid: the loader "+
		"ignores a preload in it; "+
		"put cgoheap run after it (sudo cgoheap run ...), or run a copy without them\n") ||
		strings.Contains(r.err, "cannot run") {
		t.Errorf("%+v", r)
	}
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A wrapper is run, with a word on what will be; what it starts inherits the preload.
func TestRunWrapper(t *testing.T) {
	path, lib := fixture.CgoProgram(t), fixture.EmptyLibrary(t)
	script := fixture.Written(t, "wrapper", "#!/bin/sh\nexec "+path+" environ\n", 0o755)
	runUnder(t, nil, script).want(t, 7, "LD_PRELOAD="+lib+"\narguments environ\n",
		"cgoheap: "+script+": a script: cgoheap stays passive in its interpreter, and starts in "+
			"the Go programs that it runs, or when it loads a library with Go in it\n")
	runUnder(t, nil, "sh", "-c", "exec "+path+" environ").want(t, 7, "LD_PRELOAD="+lib+"\n"+
		"arguments environ\n",
		"cgoheap: sh: not a Go program: cgoheap stays passive in it, and starts in the Go "+
			"programs that it runs, or when it loads a library with Go in it\n")
	runUnder(t, nil, "--any", "sh", "-c", "exec "+path+" environ").want(t, 7,
		"LD_PRELOAD="+lib+"\nCGOHEAP_ANY=1\narguments environ\n", "")
	static := fixture.C(t, "statictrue", fixture.CPlain, "-static")
	runUnder(t, nil, static).want(t, 0, "", "cgoheap: "+static+": not a Go program: cgoheap "+
		"stays passive in it, and starts in the Go programs that it runs, or when it loads a "+
		"library with Go in it\n")
}

func TestRunWarnsOfOwnMalloc(t *testing.T) {
	r := runUnder(t, nil, fixture.Go(t, "malloc", fixture.GoMalloc, "1"))
	if r.code != 0 || !strings.Contains(r.err, ": malloc is defined inside the executable (an "+
		"allocator): ") || strings.Count(r.err, "\n") != 1 {
		t.Errorf("%+v", r)
	}
}

func TestRunLibraryPath(t *testing.T) {
	dir := filepath.Join(fixture.Dir, "with space")
	check0(os.MkdirAll(dir, 0o755))
	lib := filepath.Join(dir, attach.LibraryName)
	check0(os.WriteFile(lib, []byte(readAll(t, fixture.EmptyLibrary(t))), 0o755))
	cgoheap(t, "run", "--library", lib, fixture.CgoProgram(t)).want(t, 1, "",
		fmt.Sprintf("cgoheap: the path of the library, %q, "+
			"contains a space or a colon, which LD_PRELOAD does not allow: copy it elsewhere and "+
			"name it with --library\n", lib))
	r := cgoheap(t, "run", fixture.CgoProgram(t))
	if r.code != 1 || !strings.HasPrefix(r.err, "cgoheap: libcgoheap.so is not beside this "+
		"command in ") {
		t.Errorf("%+v", r)
	}
}
