package verbs

import (
	"net/http/pprof"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/fixture"
)

// examplesIn are the command lines of a help text, with $ before them or in its list of examples.
func examplesIn(help string) (lines []string) {
	at := strings.Index(help, "\nExample")
	if at < 0 {
		return nil
	}
	for _, line := range strings.Split(help[at:], "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		if strings.HasPrefix(line, "cgoheap ") && !strings.Contains(line, " saves ") &&
			!regexp.MustCompile(`^cgoheap [0-9]`).MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestHelpExamples runs what the help texts show, as a shell does.
func TestHelpExamples(t *testing.T) {
	s := named(t, "service", "serve")
	service := servePprof(t, pprof.Index)
	dir := t.TempDir()
	self, err := os.Executable()
	check0(err)
	// What they speak of: the command itself, a service to start, a host with the same process.
	check0(os.WriteFile(filepath.Join(dir, "cgoheap"), []byte("#!/bin/sh\n"+partVariable+
		"=command exec "+self+` "$@"`+"\n"), 0o755))
	check0(os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\nshift\nexec \"$@\"\n"),
		0o755))
	check0(os.WriteFile(filepath.Join(dir, "service"), []byte(readAll(t, fixture.CgoProgram(t))),
		0o755))
	later := fakeshim.Profile(524288, 3)
	later.Comments = []string{"cgoheap 0.1.0"}
	for _, name := range []string{"before.pb.gz", "after.pb.gz", "canary.pb.gz",
		"scenes/001/cgoheap.pb.gz", "scenes/002/cgoheap.pb.gz"} {
		check0(os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		check0(os.WriteFile(filepath.Join(dir, name), fakeshim.Encode(later), 0o644))
	}
	check0(os.WriteFile(filepath.Join(dir, "service.4242.cgoheap"), fakeshim.Recording(), 0o644))
	ran := 0
	for _, v := range verbs() {
		lines := examplesIn(v.help)
		if len(lines) == 0 {
			t.Errorf("the help of %s has no example", v.name)
		}
		for _, line := range lines {
			switch {
			case strings.Contains(line, "-- go run ."): // TestRunGo
				continue
			// another program than the recorded one
			case strings.HasSuffix(line, "--binary ./service"):
				continue
			}
			line = regexp.MustCompile(`\b4242\b([^.]|$)`).ReplaceAllString(line, s.arg()+"$1")
			line = strings.ReplaceAll(line, "/var/lib/cgoheap", ".")
			line = strings.ReplaceAll(line, "--seconds 60", "--seconds 1")
			line = regexp.MustCompile(`(cgoheap watch .*)--for \w+`).ReplaceAllString(line,
				"$1--interval 100ms --for 1s")
			// Others on this machine may have that name.
			line = strings.ReplaceAll(line, "watch service", "watch "+s.arg())
			line = strings.ReplaceAll(line, "--for 1m", "")
			// It reads until it is interrupted.
			line = regexp.MustCompile(`cgoheap events \S+`).ReplaceAllString(line, "$0 --for 1s")
			line = strings.ReplaceAll(line, "--every 10m --for 2h", "--every 1s --for 1s")
			line = regexp.MustCompile(`--url \S+`).ReplaceAllString(line, "--url "+service)
			c := exec.Command("sh", "-c", line)
			c.Dir = dir
			c.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CGOHEAP_LIBRARY="+
				fixture.EmptyLibrary(t), "XDG_RUNTIME_DIR="+t.TempDir(), "TERM=dumb")
			r := finish(t, c)
			// The program that run starts ends as this test's own does.
			// What grows there fails the watch.
			mayFail := strings.Contains(line, "cgoheap run") ||
				strings.Contains(line, "--fail-on")
			if r.code != 0 && !mayFail ||
				strings.Contains(r.err, "cgoheap: run:") || strings.Contains(r.err, "there is no") {
				t.Errorf("%s: exit code %d\n%s%s", line, r.code, r.out, r.err)
			}
			ran++
		}
	}
	if ran < 15 {
		t.Errorf("%d examples", ran)
	}
}

// TestSocketDirectory: what the shim says of its directory when it starts, the command says of it,
// too.
func TestSocketDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("another user's directory takes root")
	}
	s := startShim(t, "no socket")
	dir := filepath.Join(s.dir, "cgoheap-0")
	const end = ", or set CGOHEAP_SOCKET to another path; then restart it\n"
	for _, c := range []struct {
		make func()
		want string
	}{
		{func() { check0(os.Chown(dir, 65534, 65534)) }, " belongs to user nobody, not to " +
			"root; remove it"},
		{func() { check0(os.Chown(dir, 0, 0)); check0(os.Chmod(dir, 0o777)) },
			" can be written by others (mode 0777); chmod 700 it"},
		{func() { check0(os.Remove(dir)); check0(os.WriteFile(dir, nil, 0o600)) },
			" is not a directory (or a symbolic link to one); remove it"},
	} {
		c.make()
		cgoheap(t, "top", s.arg()).normal(s).want(t, 1, "",
			"cgoheap: process PID (service) has cgoheap loaded, but no socket: DIR/cgoheap-0"+
				c.want+end)
	}
}
