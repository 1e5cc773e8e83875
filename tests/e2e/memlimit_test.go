package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// GOMEMLIMIT beside C memory, in a cgroup of its own of 512 MiB: set once, to 90 %,
// and by cgo_bridge/memlimit.

const memlimitBytes = 512 * mib

func memlimitProgram(t *testing.T, b build) string {
	t.Helper()
	root := repositoryRoot()
	dir := filepath.Join(root, "tests", "programs", "go-memlimit")
	return buildPackage(t, dir, []string{dir, filepath.Join(root, "tests", "programs", "go-steps"),
		filepath.Join(root, "cgo_bridge")}, b, ".")
}

// startIn starts it within the cgroup, so that all it has is charged there. GOGC=off: the
// heap fills what GOMEMLIMIT leaves it.
func startIn(t *testing.T, g *cgroup, path string, preload bool) *host {
	t.Helper()
	return start(t, "/bin/sh", hostOptions{noShim: !preload, env: []string{"GOGC=off"},
		args: []string{"-c", `echo $$ > "$0" && exec "$1"`, filepath.Join(g.path, "cgroup.procs"),
			path}})
}

func newMemlimitCgroup(t *testing.T) *cgroup {
	t.Helper()
	g := newCgroup(t, memlimitBytes)
	// No way out into swap. Not there: no swap is counted.
	for file, n := range map[string]int64{"memory.memsw.limit_in_bytes": memlimitBytes,
		"memory.swap.max": 0} {
		os.WriteFile(filepath.Join(g.path, file), []byte(strconv.FormatInt(n, 10)), 0)
	}
	return g
}

// memlimitState is what the program says.
type memlimitState struct {
	Limit, Used, NonGo, Go, Untouched, Headroom, Floor int64
	NoRoom                                             bool
	Now                                                int64
	Events                                             []string
}

func (s *memlimitState) has(kind string) bool {
	for _, e := range s.Events {
		if strings.HasPrefix(e, kind+": ") {
			return true
		}
	}
	return false
}

func (h *host) memlimit() (s memlimitState) {
	h.t.Helper()
	h.tell("state")
	h.fact("state", &s)
	return s
}

func (h *host) memlimitUntil(what string, is func(memlimitState) bool) memlimitState {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		s := h.memlimit()
		if is(s) {
			return s
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("not %s: %+v", what, s)
		}
	}
}

// killed gives it the command that it does not survive.
func (h *host) killed(command string) bool {
	h.t.Helper()
	fmt.Fprintln(h.stdin, command)
	if h.readUntilReady() {
		return false
	}
	status, ok := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signal() == syscall.SIGKILL
}

func TestMemoryLimitKnowsOfC(t *testing.T) {
	for _, version := range outerVersions() {
		for name, preload := range map[string]bool{"preloaded": true, "alone": false} {
			t.Run("go"+version+"-"+name, func(t *testing.T) {
				path := memlimitProgram(t, build{version, "plain"})
				begin := func(t *testing.T, how string) (*cgroup, *host) {
					g := newMemlimitCgroup(t)
					h := startIn(t, g, path, preload)
					h.tell("live %d", 60*mib)
					h.tell(how)
					h.tell("fill")
					h.tell("churn on")
					return g, h
				}
				t.Run("90-percent", func(t *testing.T) {
					_, h := begin(t, fmt.Sprintf("plain %d", memlimitBytes*9/10))
					if !h.killed(fmt.Sprintf("c %d", 300*mib)) {
						t.Error("it lives, or ended otherwise")
					}
				})
				t.Run("memlimit", func(t *testing.T) {
					g, h := begin(t, "follow 3s")
					full := h.memlimitUntil("full",
						func(s memlimitState) bool { return s.Go > 400*mib })
					h.tell("c %d", 300*mib)
					h.tell("fill")
					s := h.memlimitUntil("looked at",
						func(s memlimitState) bool { return s.NonGo > 290*mib && s.Go < 220*mib })
					t.Logf("Go had %d MiB of %d, with 300 MiB of C %d of %d; the cgroup has %d",
						full.Go/mib, full.Now/mib, s.Go/mib, s.Now/mib, g.usage(t)/mib)
					if s.Now > 210*mib || s.Now != s.Limit || s.NoRoom || !s.has("lowered") {
						t.Errorf("%+v, before %+v", s, full)
					}
					if preload {
						h.wantNonGo()
					}
					h.tell("stop")
					if now := h.memlimit().Now; now != 1<<63-1 {
						t.Errorf("the limit is %d when it was stopped", now)
					}
				})
			})
		}
	}
}

// wantNonGo compares with the account: what of the RSS is neither Go's nor a file's. The
// cgroup also has the kernel's memory for the process.
func (h *host) wantNonGo() {
	h.t.Helper()
	h.tell("churn off")
	a, s := h.accountNow(), h.memlimit()
	want := a.RSS - a.bytes("go_heap") - a.bytes("go_stacks") - a.bytes("go_metadata") - a.bytes(
		"program") - a.bytes("libraries") - a.bytes("mapped_files")
	h.t.Logf("not Go's: %d, the account says %d", s.NonGo, want)
	if s.NonGo < want-8*mib || s.NonGo > want+24*mib {
		h.t.Errorf("not Go's: %d, the account says %d", s.NonGo, want)
	}
}

// What C gives back, Go may have again.
func TestMemoryLimitRises(t *testing.T) {
	h := startIn(t, newMemlimitCgroup(t), memlimitProgram(t, oneBuild()), false)
	h.tell("live %d", 60*mib)
	h.tell("follow 200ms")
	h.tell("churn on")
	h.tell("c %d", 200*mib)
	h.memlimitUntil("lowered",
		func(s memlimitState) bool { return s.Now < 310*mib && s.NonGo > 185*mib })
	h.tell("cfree")
	// The limit holds before the event is told.
	h.memlimitUntil("raised",
		func(s memlimitState) bool { return s.Now > 420*mib && s.has("raised") })
	h.memlimitUntil("filled by Go", func(s memlimitState) bool { return s.Go > 380*mib })
}

// A program that does not allocate keeps its garbage, whatever the limit is, until memlimit has it
// returned. (The little that this one does allocate may start a collection first.)
func TestMemoryLimitOfAnIdleProgram(t *testing.T) {
	h := startIn(t, newMemlimitCgroup(t), memlimitProgram(t, oneBuild()), false)
	h.tell("live %d", 60*mib)
	h.tell("follow 3s")
	h.tell("fill")
	h.tell("c %d", 300*mib)
	if s := h.memlimit(); s.Go > 300*mib || !s.has("returned") && s.Go > s.Now {
		t.Errorf("%+v", s)
	}
}

// What is made and not written to does not make room, so that it can be written to.
func TestMemoryLimitOfUntouchedMemory(t *testing.T) {
	h := startIn(t, newMemlimitCgroup(t), memlimitProgram(t, oneBuild()), false)
	h.tell("live %d", 20*mib)
	h.tell("follow 200ms")
	h.tell("c %d", 100*mib)
	h.tell("untouched %d", 200*mib)
	before := h.memlimit()
	time.Sleep(5 * time.Second) // of which it would take 2 for a raise
	s := h.memlimit()
	if s.Now > 400*mib || s.Untouched < 150*mib || s.NonGo < 85*mib {
		t.Errorf("%+v, before %+v", s, before)
	}
	h.tell("fill")
	h.tell("touch")
	h.tell("fill")
	h.memlimitUntil("all of it touched, and with room for it", func(s memlimitState) bool {
		return s.Untouched <= 30*mib && s.Now >= 310*mib
	})
}

// A pool that finalizers free is beyond the limit before Go collects by itself: its heap is small.
func TestMemoryLimitCollectsForC(t *testing.T) {
	for _, version := range collectVersions() {
		path := memlimitProgram(t, build{version, "plain"})
		for name, preload := range map[string]bool{"preloaded": true, "alone": false} {
			t.Run("go"+version+"-"+name, func(t *testing.T) {
				t.Parallel()
				g := newMemlimitCgroup(t)
				h := startIn(t, g, path, preload)
				h.tell("collect 3s")
				h.tell("pool %d", 2*memlimitBytes)
				s := h.memlimit()
				if !s.has("collected") {
					t.Errorf("%+v", s)
				}
				t.Logf("%d MiB not Go's at last\n%s", s.NonGo/mib, strings.Join(s.Events, "\n"))
			})
		}
		t.Run("go"+version+"-off", func(t *testing.T) {
			t.Parallel()
			h := startIn(t, newMemlimitCgroup(t), path, false)
			h.tell("follow 3s")
			if !h.killed(fmt.Sprintf("pool %d", 2*memlimitBytes)) {
				t.Error("it lives, or ended otherwise")
			}
		})
	}
}

// collectVersions: runtime/metrics and finalizers are the same in between.
func collectVersions() []string {
	if longTests {
		return append(outerVersions(), "1.22.12")
	}
	return outerVersions()
}
