package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// live is in use, in the blocks of one size that main.alloc asked for.
func (h *host) live(size int64) (objects int64) {
	h.t.Helper()
	for _, s := range h.profile("").Sample {
		if blockSize(s) == size && contains(s, "main.alloc") {
			objects += s.Value[2]
		}
	}
	return objects
}

func wantLive(t *testing.T, h *host, size, want int64) {
	t.Helper()
	if got := h.live(size); got != want {
		t.Errorf("%d blocks of %d bytes are live, want %d", got, size, want)
	}
}

// What a service starts by os/exec, through shells that exec, is on its own: a
// Go program among it is sampled in its turn, and the service goes on.
func TestLifeChildren(t *testing.T) {
	path := program(t, "go-life", oneBuild())
	h := start(t, path, hostOptions{sampleBytes: 1})
	h.tell("alloc 10 1000")
	// The grandchild ends at once, at the end of its stdin; its socket is its own.
	h.tell("child exec sh -c 'CGOHEAP_SOCKET=%s.child exec %s </dev/null'", h.socket, path)
	var said string
	if h.fact("child", &said); said != "ready" {
		t.Errorf("the child said %q", said)
	}
	if _, err := os.Lstat(h.socket + ".child"); err != nil {
		t.Errorf("the child was not looked at: %v", err)
	}
	h.tell("child ls / | sort | tail -n 1 >/dev/null; (cd / && true) & wait; echo end")
	if h.fact("child", &said); said != "end" {
		t.Errorf("the shell said %q", said)
	}
	wantLive(t, h, 1000, 10)
	h.wantNothingDropped()
}

// A process that becomes a shell and then the program again has the same PID
// and the same socket: what is there is the new one's.
func TestLifeExecItself(t *testing.T) {
	path := program(t, "go-life", oneBuild())
	h := start(t, path, hostOptions{sampleBytes: 1})
	for i := 0; i < 3; i++ {
		h.tell("alloc 10 1000")
		wantLive(t, h, 1000, 10)
		h.tell("exec exec sh -c 'exec %s'", path)
		if s := h.status(); s.PID != h.pid() {
			t.Fatalf("%d answers for %d", s.PID, h.pid())
		}
		wantLive(t, h, 1000, 0)
	}
}

// Go's setuid goes to every thread of the process by way of libc, the shim's
// included, or hangs.
func TestLifeSetuid(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to have something to give up")
	}
	h := start(t, program(t, "go-life", oneBuild()), hostOptions{sampleBytes: 1})
	h.tell("alloc 10 1000")
	h.tell("setuid 65534")
	var uid int
	if h.fact("uid", &uid); uid != 65534 {
		t.Fatalf("uid %d", uid)
	}
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", h.pid()))
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err == nil && !strings.Contains(string(text), "\nUid:\t65534\t65534\t65534\t") {
			t.Errorf("a thread still has another user ID:\n%s", text)
		}
	}
	h.tell("alloc 10 1001")
	wantLive(t, h, 1000, 10)
	wantLive(t, h, 1001, 10)
}

// Go's own profiler sends SIGPROF and its tracer stops the world while the shim
// samples every allocation: each of the three gets its own right.
func TestLifeProfilers(t *testing.T) {
	b := oneBuild()
	h := start(t, program(t, "go-life", b), hostOptions{sampleBytes: 1})
	dir := t.TempDir()
	cpu, execution := filepath.Join(dir, "cpu"), filepath.Join(dir, "trace")
	h.tell("profiled %s %s", cpu, execution)
	for i := 0; i < 20; i++ {
		for _, s := range h.profile("").Sample {
			if s.Value[2] < 0 || s.Value[2] > s.Value[0] {
				t.Errorf("figures that cannot be: %v of %v", s.Value, names(s))
			}
		}
	}
	h.tell("alloc 10 1000") // its first word only ends the profiling
	h.tell("alloc 10 1000")
	wantLive(t, h, 1000, 10)
	wantLive(t, h, 777, 0)
	text, err := os.ReadFile(cpu)
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(text)
	if err != nil {
		t.Fatal(err)
	}
	worked := false
	for _, s := range p.Sample {
		worked = worked || contains(s, "main.work.func1") || contains(s, "main._Cfunc_life_alloc")
	}
	if !worked {
		t.Errorf("Go's CPU profile has %d samples and none of the work", len(p.Sample))
	}
	if out, err := goCommand(b.goVersion, dir, "tool", "trace", "-pprof=sched",
		execution).CombinedOutput(); err != nil {
		t.Errorf("go tool trace: %v\n%s", err, out)
	}
	wantUntouched(t, h)
}

// A crash leaves a core that gdb reads as it would without the shim. (From C on
// g0's stack gdb does not find the way to the goroutine's, with or without.)
func TestLifeCore(t *testing.T) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil || strings.ContainsAny(string(pattern), "|/") {
		t.Skipf("cores go to %q here, not to the working directory", pattern)
	}
	for _, c := range []struct {
		command, traceback string
		frames             []string
	}{
		{"crash-go", "main.crashInGo", []string{"main.crashInGo", "main.obey", "main.main"}},
		{"crash-c", "main.crashInC", []string{"life_crash", "signal handler called",
			"runtime.sigtramp"}},
	} {
		t.Run(c.command, func(t *testing.T) { wantCore(t, c.command, c.traceback, c.frames) })
	}
}

func wantCore(t *testing.T, command, traceback string, frames []string) {
	gdb := debugger(t)
	path := program(t, "go-life", oneBuild())
	dir := t.TempDir()
	h := start(t, "/bin/sh", hostOptions{sampleBytes: 1, dir: dir,
		args: []string{"-c", "ulimit -c unlimited && exec " + path},
		env:  []string{"GOTRACEBACK=crash"}})
	h.tell("alloc 10000 1000")
	if code := h.finish(command); code != -1 {
		t.Errorf("exit code %d, want death by a signal", code)
	}
	if text := h.stderr.String(); !strings.Contains(text, traceback) {
		t.Errorf("Go's own traceback lacks %s:\n%s", traceback, text)
	}
	cores, _ := filepath.Glob(filepath.Join(dir, "core*"))
	if len(cores) != 1 {
		t.Fatalf("cores: %v", cores)
	}
	out, err := exec.Command(gdb, "-batch", "-nx", "-ex", "thread apply all bt", path,
		cores[0]).CombinedOutput()
	if err != nil {
		t.Fatalf("gdb: %v\n%s", err, out)
	}
	for _, want := range frames {
		if !strings.Contains(string(out), want) {
			t.Errorf("gdb does not see %s in the core:\n%s", want, out)
		}
	}
}

func debugger(t *testing.T) string {
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip("gdb is not installed")
	}
	return gdb
}

// gdb stops the program, sees the shim's thread beside its own, and lets go.
func TestLifeGdb(t *testing.T) {
	gdb := debugger(t)
	h := start(t, program(t, "go-life", oneBuild()), hostOptions{sampleBytes: 1})
	h.tell("alloc 10 1000")
	out, err := exec.Command(gdb, "-batch", "-nx", "-p", fmt.Sprint(h.pid()),
		"-ex", "info threads", "-ex", "thread apply all bt", "-ex", "detach").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "main.main") {
		if strings.Contains(string(out), "ptrace: Operation not permitted") {
			t.Skip("this machine allows no ptrace")
		}
		t.Fatalf("gdb: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), `"cgoheap"`) {
		t.Errorf("the shim's thread has no name:\n%s", out)
	}
	h.tell("alloc 10 1000")
	wantLive(t, h, 1000, 20)
	wantUntouched(t, h)
}

// delve is Go's own debugger, of one release.
func delve(t *testing.T, b build) string {
	t.Helper()
	if path, err := exec.LookPath("dlv"); err == nil {
		return path
	}
	path := filepath.Join(cacheDir(t), "dlv-"+b.goVersion, "dlv")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := goCommand(b.goVersion, t.TempDir(), "install",
		"github.com/go-delve/delve/cmd/dlv@v1.27.2")
	cmd.Env = append(cmd.Env, "GOBIN="+filepath.Dir(path))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("delve is not installed, and cannot be: %v %s", err, strings.TrimSpace(string(out)))
	}
	return path
}

// delve attaches, sets a breakpoint in a Go function, lists goroutines with their stacks, and lets
// go.
func TestLifeDelve(t *testing.T) {
	b := oneBuild()
	dlv := delve(t, b)
	h := start(t, program(t, "go-life", b), hostOptions{sampleBytes: 1})
	h.tell("alloc 10 1000")
	commands := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(commands, []byte("break main.alloc\ngoroutines -t 30\nexit\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dlv, "attach", fmt.Sprint(h.pid()), "--init", commands,
		"--allow-non-terminal-interactive=true")
	cmd.Stdin = strings.NewReader("n\n") // "would you like to kill the process?"
	cmd.Env = append(cleanEnviron(), "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "operation not permitted") {
		t.Skip("this machine allows no ptrace")
	}
	if !regexp.MustCompile(`Breakpoint 1 set at .* main\.alloc`).Match(out) ||
		!strings.Contains(string(out), "main.main") {
		t.Fatalf("dlv: %v\n%s", err, out)
	}
	h.tell("alloc 10 1000")
	wantLive(t, h, 1000, 20)
	wantUntouched(t, h)
}

// doctor is what cgoheap doctor says of a program.
func doctor(t *testing.T, path string, env ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(repositoryRoot(), "build", "cgoheap"), "doctor", path)
	cmd.Env = append(cleanEnviron(), env...)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

func sanitized(t *testing.T, flag string) string {
	t.Helper()
	dir := filepath.Join(repositoryRoot(), "tests", "programs", "go-life")
	return buildPackage(t, dir, []string{dir, filepath.Join(filepath.Dir(dir), "go-steps")},
		oneBuild(), ".", flag)
}

func TestLifeRace(t *testing.T) {
	path := sanitized(t, "-race")
	h := start(t, path, hostOptions{sampleBytes: 1})
	h.tell("alloc 10 1000")
	wantLive(t, h, 1000, 10)
	h.wantNothingDropped()
	if said := doctor(t, path); !strings.Contains(said, "built with -race, which works "+
		"with cgoheap") {
		t.Errorf("doctor says\n%s", said)
	}
}

// The sanitizer's malloc wants to be first, and ends the program where it is
// not; told not to look, it works behind the shim. Doctor knows both.
func TestLifeAsan(t *testing.T) {
	if out, err := exec.Command("cc", "-fsanitize=address", "-shared", "-o", os.DevNull, "-xc",
		os.DevNull).CombinedOutput(); err != nil {
		t.Skipf("this compiler has no AddressSanitizer: %s", out)
	}
	path := sanitized(t, "-asan")
	refused := startHost(t, path, hostOptions{sampleBytes: 1})
	if refused.readUntilReady() {
		t.Error("an ASan program started without being told to")
	}
	if said := doctor(t, path); !strings.Contains(said,
		"set ASAN_OPTIONS=verify_asan_link_order=0") {
		t.Errorf("doctor says\n%s", said)
	}
	const option = "ASAN_OPTIONS=verify_asan_link_order=0"
	h := start(t, path, hostOptions{sampleBytes: 1, env: []string{option}})
	h.tell("alloc 10 1000")
	wantLive(t, h, 1000, 10)
	if said := doctor(t, path, option); !strings.Contains(said, "its malloc comes after cgoheap") {
		t.Errorf("doctor says\n%s", said)
	}
}
