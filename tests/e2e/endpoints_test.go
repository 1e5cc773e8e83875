package e2e

import (
	"debug/elf"
	"encoding/hex"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func TestEndpoints(t *testing.T) {
	path := program(t, "go-driven", oneBuild())
	t.Run("text", func(t *testing.T) {
		h := start(t, path, hostOptions{sampleBytes: 1})
		h.tell("alloc A 10 1000")
		text := h.get("/debug/pprof/cgoheap?debug=1")
		if !strings.HasPrefix(string(text), "heap profile: ") {
			t.Errorf("debug=1 begins with %.80q", text)
		}
		p, err := profile.ParseData(text)
		if err != nil {
			t.Fatal(err)
		}
		var got figures
		for _, s := range p.Sample {
			if blockSize(s) == 1000 {
				got.add(s)
			}
		}
		if want := (figures{10, 10_000, 10, 10_000}); got != want {
			t.Errorf("debug=1 has %+v, want %+v in\n%s", got, want, text)
		}
		for _, name := range []string{"main.allocA", "dr_malloc", "runtime.main"} {
			if !strings.Contains(string(text), name) {
				t.Errorf("debug=1 does not name %s", name)
			}
		}
	})
	t.Run("seconds", func(t *testing.T) {
		h := start(t, path, hostOptions{sampleBytes: 1})
		h.tell("alloc A 10 1000")
		h.tell("alloc B 10 1000")
		growth := make(chan *profile.Profile)
		go func() {
			defer close(growth)
			growth <- h.profile("?seconds=4")
		}()
		h.awaitConnection()
		h.tell("alloc B 3 1000")
		h.tell("free B 5")
		h.tell("alloc C 2 500")
		p := <-growth
		if p == nil {
			t.FailNow()
		}
		for function, want := range map[string]figures{
			"main.allocA": {}, "main.allocB": {3, 3000, -2, -2000},
			"main.allocC": {2, 1000, 2, 1000},
		} {
			if got := sum(p, function); got != want {
				t.Errorf("%s grew by %+v, want %+v", function, got, want)
			}
		}
		if p.DurationNanos < 3e9 {
			t.Errorf("duration is %d ns", p.DurationNanos)
		}
	})
	t.Run("older", func(t *testing.T) {
		h := start(t, path, hostOptions{sampleBytes: 1})
		h.tell("alloc A 10 1000")
		time.Sleep(4 * time.Second) // is older than three in any case
		h.tell("alloc B 10 1000")
		p := h.profile("?older=3s")
		if got := sum(p, "main.allocA"); got.inUseObjects != 10 || got.inUseBytes != 10_000 {
			t.Errorf("older=3s has %+v of main.allocA", got)
		}
		if got := sum(h.profile("?older=1h"), "main.allocA"); got != (figures{}) {
			t.Errorf("older=1h has %+v of main.allocA", got)
		}
		if got := sum(h.profile("?older=1ms"), "main.allocA"); got.inUseObjects != 10 {
			t.Errorf("older=1ms has %+v of main.allocA", got)
		}
	})
	t.Run("index", func(t *testing.T) {
		h := start(t, path, hostOptions{})
		if body := string(h.get("/debug/pprof/")); !strings.Contains(body, "cgoheap") {
			t.Errorf("the index is %s", body)
		}
		if _, header, _ := h.request("GET", "/debug/pprof/cgoheap"); header.Get(
			"Content-Type") != "application/octet-stream" {
			t.Errorf("content type of the profile: %s", header.Get("Content-Type"))
		}
	})
	t.Run("status", func(t *testing.T) { testStatus(t, path) })
}

func testStatus(t *testing.T, path string) {
	h := start(t, path, hostOptions{sampleBytes: 1, env: []string{"CGOHEAP_MAX_MEMORY=16MiB"}})
	h.tell("alloc A 10 1000")
	s := h.status()
	if s.PID != h.pid() || s.State != "sampling" || s.SampleBytes != 1 || s.Remaining != nil {
		t.Errorf("status is %+v", s)
	}
	if s.Samples.Live < 10 || s.Samples.Taken < s.Samples.Live {
		t.Errorf("samples are %+v", s.Samples)
	}
	if s.Host.GoVersion != "go"+oneBuild().goVersion || s.Host.Allocator != "glibc" ||
		s.Host.Executable != path {
		t.Errorf("host is %+v, want %s", s.Host, path)
	}
	if s.Socket == nil || *s.Socket != h.socket || s.TCPPort != nil {
		t.Errorf("socket %v, port %v", s.Socket, s.TCPPort)
	}
	if s.Memory.Max != 16<<20 || s.Memory.Resident <= 0 {
		t.Errorf("memory is %+v", s.Memory)
	}
	if s.Stacks.Complete == 0 || s.Stacks.Truncated != 0 {
		t.Errorf("stacks are %+v", s.Stacks)
	}
}

// symbols=none: nothing but addresses, and what pprof needs to find the names
// itself: mappings with the build IDs that the files have.
func TestAddressesOnly(t *testing.T) {
	for _, b := range everyBuild() {
		if b.mode == "stripped" {
			continue
		}
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			path := program(t, "go-driven", b)
			h := start(t, path, hostOptions{sampleBytes: 1})
			h.tell("alloc A 10 1000")
			p := h.profile("?symbols=none")
			if len(p.Function) != 0 {
				t.Errorf("%d functions", len(p.Function))
			}
			files := map[string]bool{}
			for _, m := range p.Mapping {
				if m.HasFunctions {
					t.Errorf("%s says it has functions", m.File)
				}
				if strings.HasPrefix(m.File, "/") {
					files[m.File] = true
					wantBuildID(t, b, m)
				}
			}
			if !files[path] || len(files) < 2 {
				t.Errorf("mappings are %v", files)
			}
			dir := t.TempDir()
			top := pprof(t, b, dir, "-top", "-unit=b", "-nodefraction=0", path,
				save(t, h, dir, "p.pb.gz", "?symbols=none"))
			wantCum(t, top, "main.allocA", "10000B")
		})
	}
}

func wantBuildID(t *testing.T, b build, m *profile.Mapping) {
	t.Helper()
	want := gnuBuildID(t, m.File)
	if want == "" {
		out, err := goCommand(b.goVersion, "", "tool", "buildid", m.File).Output()
		if err != nil {
			t.Fatal(err)
		}
		goID := strings.TrimSpace(string(out))
		if m.BuildID != goID && m.BuildID != hex.EncodeToString([]byte(goID)) {
			t.Errorf("%s has build ID %s, go tool buildid says %s", m.File, m.BuildID, goID)
		}
		return
	}
	if m.BuildID != want {
		t.Errorf("%s has build ID %s, readelf says %s", m.File, m.BuildID, want)
	}
}

// gnuBuildID is what readelf finds; "" where the file has none.
func gnuBuildID(t *testing.T, path string) string {
	t.Helper()
	if f, err := elf.Open(path); err != nil {
		t.Fatal(err)
	} else {
		f.Close()
	}
	out, err := exec.Command("readelf", "-n", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`Build ID: ([0-9a-f]+)`).FindSubmatch(out)
	if m == nil {
		return ""
	}
	return string(m[1])
}
