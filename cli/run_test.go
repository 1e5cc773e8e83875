package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func runUnder(t *testing.T, env []string, args ...string) result {
	t.Helper()
	return finish(t, command(append(env, "CGOHEAP_LIBRARY="+emptyLibrary(t)), append([]string{"run"}, args...)...))
}

// The program gets its arguments and our environment; its exit code is ours.
func TestRun(t *testing.T) {
	path, lib := cgoProgram(t), emptyLibrary(t)
	runUnder(t, nil, "--", path, "environ", "--help", "-n").want(t, 7,
		"LD_PRELOAD="+lib+"\narguments environ --help -n\n", "")
	runUnder(t, nil, path, "environ").want(t, 7, "LD_PRELOAD="+lib+"\narguments environ\n", "")
}

func TestRunFlags(t *testing.T) {
	path, lib := cgoProgram(t), emptyLibrary(t)
	dir, _ := filepath.EvalSymlinks(testDir)
	c := command([]string{"CGOHEAP_START=sampling", "CGOHEAP_SAMPLE_BYTES=7"}, "run", "--sample-bytes", "512KiB", "--dormant",
		"--listen=localhost:6061", "--socket", "a.sock", "--max-memory", "8M", "--any", "--library", lib, "--", path, "environ")
	c.Dir = dir
	finish(t, c).want(t, 7, "LD_PRELOAD="+lib+`
CGOHEAP_START=dormant
CGOHEAP_SAMPLE_BYTES=524288
CGOHEAP_SOCKET=`+dir+`/a.sock
CGOHEAP_LISTEN=127.0.0.1:6061
CGOHEAP_MAX_MEMORY=8388608
CGOHEAP_ANY=1
arguments environ
`, "")
}

// What was preloaded stays, behind ours; what the user set for the shim stays.
func TestRunKeepsPreload(t *testing.T) {
	path, lib := cgoProgram(t), emptyLibrary(t)
	other := cFixture(t, "other.so", "", "-shared", "-fPIC")
	runUnder(t, []string{"LD_PRELOAD=" + other, "CGOHEAP_START=dormant"}, path, "environ").want(t, 7,
		"CGOHEAP_START=dormant\nLD_PRELOAD="+lib+":"+other+"\narguments environ\n", "")
	runUnder(t, []string{"LD_PRELOAD=" + lib + " " + other}, path, "environ").want(t, 7,
		"LD_PRELOAD="+lib+":"+other+"\narguments environ\n", "")
}

// The process becomes the program: the same process ID, and signals reach it.
func TestRunSignals(t *testing.T) {
	c := command([]string{"CGOHEAP_LIBRARY=" + emptyLibrary(t)}, "run", cgoProgram(t), "signal")
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
	c := exec.Command("/bin/sh", "-c", `ulimit -Sn 100; exec "$0" run /bin/sh -c "ulimit -Sn"`, self)
	c.Env = append(os.Environ(), partVariable+"=command", "CGOHEAP_LIBRARY="+emptyLibrary(t))
	if r := finish(t, c); r.out != "100\n" {
		t.Errorf("%+v", r)
	}
}

func TestRunRefuses(t *testing.T) {
	const none = "; there is no C heap to look at; go tool pprof's heap profile shows all there is"
	for path, want := range map[string]string{
		goFixture(t, "nocgo", goPlain, "0"):  "statically linked, built with CGO_ENABLED=0: it has no C code, and ignores a preload" + none,
		goFixture(t, "unused", goPlain, "1"): "statically linked, as no package in it uses cgo: it has no C code, and ignores a preload" + none,
		goFixture(t, "static", goCgo, "1", "-ldflags=-linkmode=external -extldflags=-static"): "statically linked with -extldflags -static: " +
			"it ignores a preload; build it without -extldflags -static",
		goFixture(t, "nocgopie", goPlain, "0", "-buildmode=pie"):                     "dynamic, but no package in it uses cgo" + none,
		patched(t, cgoProgram(t), "arm", 18, 183, 0):                                 "a 64-bit aarch64 program, and cgoheap is for 64-bit x86-64 only; build it for linux/amd64",
		cFixture(t, "musl", cPlain, "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"): "linked against musl (Alpine): cgoheap needs glibc; build and run it in an image with glibc, such as debian:stable-slim",
		written(t, "text", "hello\n", 0o755):                                         "neither an ELF program nor a script that begins with #!; give the program's path",
		emptyLibrary(t):                                                              "a shared library, not a program; give the program that loads it",
	} {
		runUnder(t, nil, path).want(t, 1, "", fmt.Sprintf("cgoheap: %q cannot run under cgoheap: %s\n", path, want))
	}
}

func TestRunNotFound(t *testing.T) {
	runUnder(t, nil, "no-such-program").want(t, 1, "",
		"cgoheap: there is no program \"no-such-program\" in PATH: give its path, such as ./no-such-program\n")
	runUnder(t, nil, "./no-such-program").want(t, 1, "", "cgoheap: there is no program \"./no-such-program\"\n")
	runUnder(t, nil, testDir).want(t, 1, "", fmt.Sprintf("cgoheap: %q is a directory: give the program's path\n", testDir))
	path := patchedMode(t, cgoProgram(t), 0o644)
	runUnder(t, nil, path).want(t, 1, "", fmt.Sprintf("cgoheap: %q is not executable: chmod +x %s\n", path, path))
}

func TestRunSetuid(t *testing.T) {
	path := written(t, "setuidprogram", readAll(t, cgoProgram(t)), 0o755|os.ModeSetuid)
	c := command([]string{"CGOHEAP_LIBRARY=" + emptyLibrary(t)}, "run", path)
	asNobody(t, c)
	finish(t, c).want(t, 1, "", fmt.Sprintf("cgoheap: %q cannot run under cgoheap: it has setuid: the loader ignores a preload in it; "+
		"put cgoheap run behind it (sudo cgoheap run ...), or run a copy without them\n", path))
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
	path, lib := cgoProgram(t), emptyLibrary(t)
	script := written(t, "wrapper", "#!/bin/sh\nexec "+path+" environ\n", 0o755)
	runUnder(t, nil, script).want(t, 7, "LD_PRELOAD="+lib+"\narguments environ\n",
		"cgoheap: "+script+": a script: cgoheap stays passive in its interpreter, and starts in the Go programs that it runs\n")
	runUnder(t, nil, "sh", "-c", "exec "+path+" environ").want(t, 7, "LD_PRELOAD="+lib+"\narguments environ\n",
		"cgoheap: sh: not a Go program: cgoheap stays passive in it, and starts in the Go programs that it runs\n")
	runUnder(t, nil, "--any", "sh", "-c", "exec "+path+" environ").want(t, 7,
		"LD_PRELOAD="+lib+"\nCGOHEAP_ANY=1\narguments environ\n", "")
	static := cFixture(t, "statictrue", cPlain, "-static")
	runUnder(t, nil, static).want(t, 0, "", "cgoheap: "+static+": not a Go program: cgoheap stays passive in it, and starts in the Go programs that it runs\n")
}

func TestRunWarnsOfOwnMalloc(t *testing.T) {
	r := runUnder(t, nil, goFixture(t, "malloc", goMalloc, "1"))
	if r.code != 0 || !strings.Contains(r.err, ": malloc is defined inside the executable (an allocator): ") || strings.Count(r.err, "\n") != 1 {
		t.Errorf("%+v", r)
	}
}

func TestRunLibraryPath(t *testing.T) {
	dir := filepath.Join(testDir, "with space")
	check0(os.MkdirAll(dir, 0o755))
	lib := filepath.Join(dir, libraryName)
	check0(os.WriteFile(lib, []byte(readAll(t, emptyLibrary(t))), 0o755))
	cgoheap(t, "run", "--library", lib, cgoProgram(t)).want(t, 1, "", fmt.Sprintf("cgoheap: the path of the library, %q, "+
		"holds a space or colon, which LD_PRELOAD cannot express: copy it elsewhere and name it with --library\n", lib))
	r := cgoheap(t, "run", cgoProgram(t))
	if r.code != 1 || !strings.HasPrefix(r.err, "cgoheap: libcgoheap.so is not beside this command in ") {
		t.Errorf("%+v", r)
	}
}
