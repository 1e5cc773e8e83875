package leak

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cgoheap.example/cgo_bridge/leaktest/suppress"
	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/recorder"
	"cgoheap.example/cli/internal/recordlayout"
)

func judged(t *testing.T, flags uint32, rules Rules) *Result {
	t.Helper()
	data := fakeshim.Recording()
	header, _ := recordlayout.Get[recordlayout.RegionHeader](data, 0)
	header.Flags = flags
	recordlayout.Put(data, 0, header)
	b, err := recorder.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return Judge(b, "", rules)
}

// The recording's two stacks hold 10 blocks of 100 and 2 of 10 bytes.
func TestJudge(t *testing.T) {
	r := judged(t, 0, Rules{Default: suppress.Defaults()})
	if r.Total != (Amount{1020, 12}) || len(r.Leaks) != 2 ||
		r.Leaks[0].Amount != (Amount{1000, 10}) || r.Suppressed != (Amount{}) ||
		len(r.Unknown) != 0 || r.Name() != "gone (4242)" {
		t.Errorf("%+v", r)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "no names from /nowhere/gone") {
		t.Errorf("notes: %q", r.Notes)
	}
	var text strings.Builder
	r.Print(&text, 1)
	if want := `cgoheap: gone (4242) held 1,020 bytes in 12 blocks of C memory at exit that was allocated after start-up:

  1,000 bytes in 10 blocks
    gone+0x0
    gone+0x1

  and 1 stack more

`; text.String() != want {
		t.Errorf("it prints\n%s", text.String())
	}
}

func TestJudgeSuppresses(t *testing.T) {
	user, err := suppress.Parse(strings.NewReader("leak:nowhere\nother\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := judged(t, 0, Rules{User: user})
	if r.Total != (Amount{}) || r.Suppressed.Bytes == 0 || len(user.Unused()) != 1 {
		t.Errorf("%+v, %d rules unused", r, len(user.Unused()))
	}
}

// What could not be seen is no acquittal.
func TestJudgeSaysWhatIsUnknown(t *testing.T) {
	for flags, want := range map[uint32]string{
		recordlayout.Lost: "raise --max-memory", recordlayout.Coarse: "sampling was off",
		recordlayout.IsCopied: "last second is missing",
	} {
		r := judged(t, flags, Rules{})
		if len(r.Unknown) != 1 || !strings.Contains(r.Unknown[0], want) {
			t.Errorf("flags %d: %q, want %q", flags, r.Unknown, want)
		}
	}
	r := judged(t, recordlayout.Coarse, Rules{IsEstimate: true})
	if len(r.Unknown) != 0 || !r.IsEstimate {
		t.Errorf("%+v", r)
	}
}

func TestDirectory(t *testing.T) {
	d := &Directory{Path: t.TempDir()}
	write := func(name string, data []byte) *os.File {
		t.Helper()
		path := filepath.Join(d.Path, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	write("ended.1.cgoheap", fakeshim.Recording())
	write("ended.1.cgoheap.exe", nil)
	write("failed.2.cgoheap", nil)
	write("being_made.3.cgoheap", make([]byte, 8192))
	running := write("running.4.cgoheap", fakeshim.Recording())
	if err := syscall.Flock(int(running.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	d.Take()
	if left := d.recordings(); len(d.Results) != 1 || len(left) != 3 {
		t.Errorf("%d results, left %v", len(d.Results), left)
	}
	d.TakeAll()
	unknown := map[string]string{}
	for _, r := range d.Results {
		unknown[r.Name()] += strings.Join(r.Unknown, "; ")
	}
	for name, want := range map[string]string{
		"failed.2": "could not be made", "being_made.3": "not a cgoheap recording",
		"gone (4242)": "it is still running",
	} {
		if !strings.Contains(unknown[name], want) {
			t.Errorf("of %s it says %q, want %q", name, unknown[name], want)
		}
	}
	if left, _ := os.ReadDir(d.Path); len(left) != 0 || len(d.Results) != 4 {
		t.Errorf("%d results, left %v", len(d.Results), left)
	}
}
