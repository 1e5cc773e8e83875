package verbs

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/fakeshim"
)

func TestPeakIsDescribed(t *testing.T) {
	t.Setenv("TZ", "UTC")
	at := "peak of C in use: 851443712 bytes at 2026-11-30T14:02:11.300000000Z, the highest " +
		"since 2026-11-30T13:00:00.000000000Z"
	for want, comments := range map[string][]string{
		" when most was; RSS was 1.2 GiB; now 312.0 MiB": {at, "RSS then: 1288490188 bytes",
			"C in use now: 327155712 bytes"},
		" when most was": {at},
		" when RSS was highest, 812.0 MiB; now 300.0 MiB": {
			strings.Replace(at, "C in use", "RSS", 1), "C in use then: 5 bytes",
			"RSS now: 314572800 bytes"},
		"": {"peak of C in use: many bytes"},
	} {
		p := fakeshim.Profile(524288, 1)
		p.Comments = comments
		said, err := describePeak(p)
		if err != nil || !strings.HasSuffix(said, want) ||
			strings.Contains(said, ", at 2026-11-30 ") != (want != "") {
			t.Errorf("%v: %q, want %q", err, said, want)
		}
	}
}

func TestPeakOfARecording(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gone.4242.cgoheap")
	check0(os.WriteFile(path, fakeshim.Recording(), 0o600))
	r := profileIn(t, dir, path, "--peak", "-o", "p.pb.gz")
	if r.code != 0 || !strings.Contains(r.err, " in use in 2 stacks, at 2023-11-14 ") ||
		!strings.Contains(r.err, " when most was; RSS was 7.0 MiB\n") {
		t.Fatal(r)
	}
	p := readProfile(t, filepath.Join(dir, "p.pb.gz"))
	if len(p.Sample) != 2 || p.Sample[0].Value[3] != 5000 {
		t.Error(p)
	}
	if r = profileIn(t, dir, path, "--peak", "--text"); r.code != 2 {
		t.Error(r)
	}
	if r = profileIn(t, dir, path+"x.cgoheap", "--peak"); r.code != 1 {
		t.Error(r)
	}
	// Its number, and the highest RSS.
	peak := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 9), 8<<20)
	if n := bytes.Count(fakeshim.Recording(), peak); n != 1 {
		t.Fatalf("the peak of RSS is there %d times", n)
	}
	unseen := bytes.Replace(fakeshim.Recording(), peak, make([]byte, 16), 1)
	check0(os.WriteFile(path, unseen, 0o600))
	r = profileIn(t, dir, path, "--peak", "--of", "rss", "-o", "none.pb.gz")
	if r.code != 1 || !strings.Contains(r.err, "has no peak of RSS") {
		t.Error(r)
	}
}
