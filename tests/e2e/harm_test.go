package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A C++ host takes its unwinder from where it always did.
func TestHostUnwinder(t *testing.T) {
	cmd := exec.Command(program(t, "go-stacks", oneBuild()))
	cmd.Env = append(cleanEnviron(), "LD_PRELOAD="+shimPath(t), "LD_DEBUG=bindings",
		"LD_BIND_NOW=1",
		"CGOHEAP_SOCKET="+filepath.Join(t.TempDir(), "s"))
	cmd.Stdin = strings.NewReader("")
	var stderr lockedBuffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	bound := 0
	for _, line := range strings.Split(stderr.String(), "\n") {
		if strings.Contains(line, "symbol `_Unwind_") {
			bound++
			if !strings.Contains(line, "/libgcc_s.so.1 [") {
				t.Error(line)
			}
		}
	}
	if bound == 0 {
		t.Error("nothing was bound to _Unwind_*")
	}
}

func TestErrnoKept(t *testing.T) {
	for _, interval := range []int{1, 1000, defaultInterval} {
		h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: interval})
		h.tell("errno 20000")
		var kept bool
		if h.fact("kept", &kept); !kept {
			t.Errorf("errno was changed at interval %d", interval)
		}
	}
}

// Profiles are taken all the while the program allocates on many threads: none
// is malformed, and in the end the figures are exact.
func TestProfilesWhileAllocating(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	fmt.Fprintln(h.stdin, "threads 6 150000 100")
	for i := 0; i < 40; i++ {
		for _, query := range []string{"", "?frames=all", "?debug=1", "?symbols=none",
			"?older=100ms"} {
			for _, s := range h.profile(query).Sample {
				if s.Value[2] < 0 || s.Value[3] < 0 || s.Value[2] > s.Value[0] {
					t.Errorf("figures that cannot be: %v of %v", s.Value, names(s))
				}
			}
		}
	}
	h.ready()
	wantFigures(t, h, "main.allocC", figures{900_000, 90_000_000, 0, 0})
	h.wantNothingDropped()
	wantUntouched(t, h)
}

// A library is unloaded and another takes its place, with other frames at the
// same addresses: what is remembered of the first must not be applied to it.
func TestReloadedLibrary(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	dir := t.TempDir()
	var places []uint64
	for i, frame := range []int{512, 4096, 1024, 65536} {
		path := filepath.Join(dir, fmt.Sprintf("plugin%d.so", i))
		text, err := exec.Command("cc", "-O2", "-fomit-frame-pointer", "-fno-stack-protector",
			"-fno-stack-clash-protection",
			"-shared", "-fPIC", fmt.Sprintf("-DFRAME=%d", frame), "-o", path,
			filepath.Join("testdata", "plugin.c")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		size := 123_000 + i
		h.tell("plugin %s %d", path, size)
		var place uint64
		if h.fact("plugin", &place); place == 0 {
			t.Fatal("the library could not be loaded")
		}
		places = append(places, place)
		s := bySize(h.profile(""))[int64(size)]
		if s == nil {
			t.Fatalf("no sample of %d bytes", size)
		}
		text = []byte(strings.Join(names(s), " "))
		if !strings.HasSuffix(string(text), "main.plugin main.obey main.main runtime.main") {
			t.Errorf("library %d at %#x:\n%s", i, place, dump(s))
		}
	}
	if places[0] != places[1] {
		t.Logf("the libraries lay at %#x: this run says little", places)
	}
}

// Threads that end are forgotten; what they leave is not.
func TestThreadsComeAndGo(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	h.tell("short-threads 320 32 333")
	before := h.status()
	h.tell("short-threads 3200 32 333")
	after := h.status()
	var left figures
	for _, s := range h.profile("").Sample {
		if blockSize(s) == 333 && contains(s, "short_thread") {
			left.add(s)
		}
	}
	if want := (figures{3520, 3520 * 333, 3520, 3520 * 333}); left != want {
		t.Errorf("the threads left %+v, want %+v", left, want)
	}
	if after.Threads > before.Threads+8 || after.Threads > 64 {
		t.Errorf("%d threads after 320, %d after 3520", before.Threads, after.Threads)
	}
	h.wantNothingDropped()
}

// More stacks than there is room for: of each its ends are kept, and in them who called the
// function that calls C.
func TestStacksFull(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1,
		env: []string{"CGOHEAP_MAX_MEMORY=8MiB"}})
	h.tell("maze 15 16")
	if ends := h.status().Stacks.NoRoom; ends < 1000 {
		t.Fatalf("%d of 32768 stacks were cut to their ends", ends)
	}
	p := h.profile("")
	all, called := sum(p, "main._Cfunc_dr_maze"), sum(p, "main.maze")
	if all.allocObjects != 1<<15 || called != all {
		t.Errorf("C was called for %+v, by main.maze for %+v", all, called)
	}
}

// The shim's memory is full: it drops, counts and says so, the host runs on,
// and what is recorded still balances.
func TestMemoryFull(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1,
		env: []string{"CGOHEAP_MAX_MEMORY=4MiB"}})
	h.tell("alloc A 10 1000")
	h.tell("alloc B 500000 16")
	s := h.status()
	if s.Dropped["live_full"] == 0 || s.Samples.Live == 0 {
		t.Fatalf("half a million live samples in 4 MiB: %+v", s)
	}
	if s.Memory.Resident > 4<<20 {
		t.Errorf("%d bytes resident", s.Memory.Resident)
	}
	p := h.profile("")
	if comments := strings.Join(p.Comments, "\n"); !strings.Contains(comments,
		fmt.Sprint(s.Dropped["live_full"])) {
		t.Errorf("the profile does not say that %d samples were dropped:\n%s",
			s.Dropped["live_full"], comments)
	}
	if got := sum(p, "main.allocB"); got.allocObjects+s.Dropped["live_full"] < 500_000 ||
		got.allocObjects > 500_000 {
		t.Errorf("main.allocB has %+v, %d were dropped", got, s.Dropped["live_full"])
	}
	h.tell("free B 500000")
	h.tell("free A 10")
	p = h.profile("")
	for _, name := range []string{"main.allocA", "main.allocB"} {
		if got := sum(p, name); got.inUseObjects != 0 || got.inUseBytes != 0 {
			t.Errorf("all is freed, %s has %+v", name, got)
		}
	}
	h.tell("alloc A 7 1000") // there is room again
	if got := sum(h.profile(""), "main.allocA"); got.inUseObjects != 7 {
		t.Errorf("main.allocA has %+v", got)
	}
	wantUntouched(t, h)
}

// Only the owner gets in.
func TestOthersAreRefused(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()),
		hostOptions{env: []string{"CGOHEAP_LISTEN=127.0.0.1:0"}})
	s := h.status()
	t.Run("other names for loopback", func(t *testing.T) {
		// A page in a browser can make it ask 127.0.0.1 under its own name.
		request, _ := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/v1/status",
			*s.TCPPort), nil)
		request.Host = "evil.example"
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode/100 != 4 {
			t.Errorf("answered %s", response.Status)
		}
	})
	t.Run("other users", func(t *testing.T) {
		curl, err := exec.LookPath("curl")
		if os.Getuid() != 0 || err != nil {
			t.Skip("needs curl, and root to become another user")
		}
		if info, err := os.Stat(h.socket); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("the socket's mode is %v, %v", info.Mode(), err)
		}
		// Take away what stands in front of the last defence.
		os.Chmod(filepath.Dir(h.socket), 0o755)
		os.Chmod(h.socket, 0o777)
		ask := exec.Command(curl, "-s", "-m", "20", "-w", "%{http_code}", "--unix-socket", h.socket,
			"http://x/v1/status")
		if out, _ := ask.Output(); !strings.HasSuffix(string(out), "}\n200") &&
			!strings.HasSuffix(string(out), "}200") {
			t.Fatalf("the owner gets %s", out)
		}
		ask = exec.Command(curl, ask.Args[1:]...)
		ask.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534,
			Gid: 65534}}
		out, _ := ask.Output()
		if strings.Contains(string(out), "sample_bytes") || len(out) == 0 {
			t.Errorf("another user gets %q", out)
		}
	})
}
