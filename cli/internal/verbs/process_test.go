package verbs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/fixture"
)

// normal replaces what differs from run to run.
func (s *shimmed) normal(text string) string {
	self, _ := os.Executable()
	for _, r := range []struct{ pattern, with string }{
		{fmt.Sprintf(`\b%d\b`, s.pid), "PID"},
		{regexp.QuoteMeta(filepath.Base(self)), "service"},
		{`RSS [0-9.]+ [KMG]iB`, "RSS 12.3 MiB"},
		{`see sanitizer, `, "see "}, // these tests themselves may be built with -race
		{`"rss_bytes": \d+`, `"rss_bytes": 1`},
		{`"time": "[^"]+"`, `"time": "T"`},
		{regexp.QuoteMeta(s.dir), "DIR"},
		{fmt.Sprintf(`cgoheap-%d/`, os.Geteuid()), "cgoheap-UID/"},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	return text
}

func (r result) normal(s *shimmed) result {
	return result{s.normal(r.out), s.normal(r.err), r.code}
}

func TestNamesAreEscaped(t *testing.T) {
	s := startShim(t, "hostile")
	r := cgoheap(t, "top", s.arg())
	if strings.ContainsRune(r.out, 0x1b) || !strings.Contains(r.out, `main.\x1b]0;owned\af`) &&
		!strings.Contains(r.out, `\x1b]0;owned`) {
		t.Errorf("%q", r.out)
	}
	s = startShim(t, "refuse")
	r = cgoheap(t, "top", s.arg()).normal(s)
	r.want(t, 1, "", `cgoheap: process PID (service) refused: older is not a time: \x1b[2Jgive 10m`+
		"\n")
}

// ---- what cannot be reached, and what is said of it ---------------------------

func TestUnreachable(t *testing.T) {
	for part, want := range map[string]string{
		"no socket": "process PID (service) has cgoheap loaded, but its socket " +
			"DIR/cgoheap-UID/PID.sock is not there: " +
			"set CGOHEAP_SOCKET to a path the program can write, and restart it; with " +
			"CGOHEAP_VERBOSE=1 its stderr says why it could not be made",
		"stale": "process PID (service): nothing listens on its socket DIR/cgoheap-UID/PID.sock, " +
			"which an earlier process left behind; " +
			"restart the program",
		"garbage": `process PID (service) answers on its socket, but not in HTTP: `,
		"not json": "process PID (service) answers on its socket, but not as a library that this " +
			"cgoheap dev knows: invalid character 'h' looking for beginning of value",
	} {
		t.Run(part, func(t *testing.T) {
			s := startShim(t, part)
			if part == "garbage" { // which comes before the question, or after it
				for i := 0; i < 20; i++ {
					r := cgoheap(t, "top", s.arg()).normal(s)
					if r.code != 1 || !strings.HasPrefix(r.err, "cgoheap: "+want) ||
						strings.ContainsRune(r.err, 0x1b) {
						t.Errorf("%d %q", r.code, r.err)
					}
				}
				return
			}
			cgoheap(t, "top", s.arg()).normal(s).want(t, 1, "", "cgoheap: "+want+"\n")
		})
	}
}

func TestSilentAndStopped(t *testing.T) {
	s := startShim(t, "silent")
	cgoheap(t, "sampling", s.arg()).normal(s).want(t, 1, "",
		"cgoheap: process PID (service) gave no answer within 5s; it may be very busy: try again\n")
	if err := syscall.Kill(s.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cgoheap(t, "sampling", s.arg()).normal(s).want(t, 1, "",
		"cgoheap: process PID (service) gave no answer within 5s: it is stopped; continue it "+
			"with kill -CONT PID\n")
}

func TestGone(t *testing.T) {
	s := startShim(t, "serve")
	s.kill()
	for _, verb := range []string{"top", "profile", "sampling", "doctor", "explain", "trim"} {
		cgoheap(t, verb, s.arg()).normal(s).want(t, 1, "",
			"cgoheap: process PID does not exist (it may have ended); cgoheap list shows the "+
				"processes that have cgoheap loaded\n")
	}
}

func startSleep(t *testing.T, env ...string) *shimmed {
	t.Helper()
	c := exec.Command("sleep", "1000")
	c.Env = append(os.Environ(), env...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return &shimmed{cmd: c, pid: c.Process.Pid, dir: "/tmp"}
}

// waitMapped: until the loader has run, a process maps nothing of what it will.
func waitMapped(t *testing.T, pid int, name string) {
	t.Helper()
	for {
		text, err := os.ReadFile(attach.ProcPath(pid, "maps"))
		if p, openErr := attach.OpenProcess(pid); err != nil || openErr != nil || p.State == 'Z' {
			t.Fatalf("process %d ended before it mapped %s", pid, name)
		}
		if strings.Contains(string(text), name) {
			return
		}
	}
}

func TestNotLoaded(t *testing.T) {
	s := startSleep(t)
	waitMapped(t, s.pid, "libc.so")
	exe, _ := os.Readlink(attach.ProcPath(s.pid, "exe"))
	cgoheap(t, "top", s.arg()).normal(s).want(t, 1, "", "cgoheap: process PID ("+filepath.Base(exe)+
		") does not have cgoheap loaded, and it cannot be loaded into a running process: restart "+
		"it with cgoheap run -- "+exe+"\n")
}

func TestPassive(t *testing.T) {
	s := startSleep(t, "LD_PRELOAD="+fixture.EmptyLibrary(t))
	waitMapped(t, s.pid, attach.LibraryName)
	cgoheap(t, "top", s.arg()).normal(s).want(t, 1, "", "cgoheap: process PID (sleep) has "+
		"cgoheap loaded but passive: "+
		"it is not a Go program; start it with cgoheap run --any to profile it anyway\n")
	r := cgoheap(t, "list")
	if !regexp.MustCompile(fmt.Sprintf(`(?m)^ *%d  passive .* sleep: it is not a Go program$`,
		s.pid)).MatchString(r.out) {
		t.Error(r.out)
	}
}

// A fork shares the library's address with its parent; a program started anew does not.
func TestFork(t *testing.T) {
	path := fixture.C(t, "forker", "#include <unistd.h>\n#include <stdio.h>\n"+
		"int main(void) { int p = fork(); if (p) { printf(\"%d\\n\", p); fflush(stdout); } "+
		"sleep(1000); return 0; }\n")
	c := exec.Command(path)
	c.Env = append(os.Environ(), "LD_PRELOAD="+fixture.EmptyLibrary(t), "CGOHEAP_ANY=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	child := 0
	fmt.Sscan(readUntil(t, out, "\n"), &child)
	t.Cleanup(func() { c.Process.Kill(); syscall.Kill(child, syscall.SIGKILL); c.Wait() })
	s := &shimmed{pid: child, dir: "/none"}
	cgoheap(t, "top", s.arg()).normal(s).want(t, 1, "", fmt.Sprintf(
		"cgoheap: process PID (forker) has cgoheap loaded but passive: it is a fork of process "+
			"%d; profile that one\n", c.Process.Pid))
}

func TestThreadID(t *testing.T) {
	s := startShim(t, "serve")
	threads, err := os.ReadDir(attach.ProcPath(s.pid, "task"))
	if err != nil || len(threads) < 2 {
		t.Fatal(threads, err)
	}
	thread := threads[len(threads)-1].Name()
	cgoheap(t, "top", thread).normal(s).want(t, 1, "",
		fmt.Sprintf("cgoheap: %s is a thread of process PID: use the ID of the process\n", thread))
}

func asNobody(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	// The test binary lies where others may not look.
	path := filepath.Join(fixture.Dir, "command")
	if _, err := os.Stat(path); err != nil {
		text, err := os.ReadFile(c.Path)
		if err == nil {
			err = os.WriteFile(path, text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.Path, c.Dir = path, "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

func TestOtherUser(t *testing.T) {
	s := startShim(t, "serve")
	for _, verb := range []string{"top", "doctor", "sampling", "profile", "explain", "trim"} {
		c := command(nil, verb, s.arg())
		asNobody(t, c)
		r := finish(t, c).normal(s)
		r.want(t, 1, "", "cgoheap: process PID (service) belongs to user root: run this as root\n")
	}
	c := command(nil, "list")
	asNobody(t, c)
	if r := finish(t, c); !regexp.MustCompile(
		`cgoheap: \d+ processes? could not be inspected: run this as root to see those of other ` +
			`users too\n$`).MatchString(r.err) {
		t.Errorf("%q", r.err)
	}
	// Beside a list it is not said.
	if r := cgoheap(t, "list"); strings.Contains(r.err, "inspected") {
		t.Errorf("%q", r.err)
	}
}

// ---- finding the socket -------------------------------------------------------

func TestSocketElsewhere(t *testing.T) {
	// As long as a path can be; through /proc/PID/root it is longer than an address may be.
	dir := filepath.Join(fixture.Dir, "deep")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := dir + "/" + strings.Repeat("s", attach.MaxSocketBytes-len(dir)-1)
	s := startShim(t, "serve", "CGOHEAP_SOCKET="+path)
	if r := cgoheap(t, "sampling", s.arg()).normal(s); r.code != 0 ||
		r.out != "process PID (service): sampling, 1 in 512KiB\n" {
		t.Errorf("%+v", r)
	}
	// Another process with the same setting has no socket of its own.
	other := startShim(t, "no socket", "CGOHEAP_SOCKET="+path)
	cgoheap(t, "sampling", other.arg()).normal(other).want(t, 1, "", fmt.Sprintf(
		"cgoheap: process PID (service) has no socket: process %d listens at %s; "+
			"give each its own CGOHEAP_SOCKET, or set none\n", s.pid, path))
}

// In a container: another PID namespace, and a /tmp that is not ours.
func TestContainer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make namespaces")
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	c := exec.Command("/bin/sh", "-c", "mount --make-rprivate / && mount -t tmpfs none /tmp && "+
		"exec /proc/self/fd/3")
	c.Env = append(os.Environ(), "XDG_RUNTIME_DIR=/tmp", "TMPDIR=/tmp")
	c.ExtraFiles = []*os.File{self}
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	s := begin(t, c, "serve", "/tmp")
	if _, err := os.Stat(fmt.Sprintf("/tmp/cgoheap-0/%d.sock", s.pid)); err == nil {
		t.Fatal("the socket is in our own /tmp: this tests nothing")
	}
	if r := cgoheap(t, "sampling", s.arg()).normal(s); r.code != 0 ||
		r.out != "process PID (service): sampling, 1 in 512KiB\n" {
		t.Errorf("%+v", r)
	}
}

func TestSymlinkStaysInRoot(t *testing.T) {
	self, err := attach.OpenProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink("/proc/self/exe", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if fd, err := self.OpenInRoot(dir + "/link"); err == nil {
		syscall.Close(fd)
		t.Error("a magic link was followed")
	}
	file, err := self.OpenFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	if file, err := self.OpenFile(dir + "/pipe"); err == nil {
		file.Close()
		t.Error("a pipe was opened")
	}
}
