package verbs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/recorder"
	"cgoheap.example/cli/internal/recordlayout"
)

func writeRecording(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.cgoheap")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func autopsyOf(t *testing.T, data []byte) (int, string, string) {
	t.Helper()
	path := writeRecording(t, data)
	var out, errs strings.Builder
	code := execute(stdio{out: &out, err: &errs}, []string{"autopsy", path})
	return code, out.String(), strings.ReplaceAll(errs.String(), path, "FILE")
}

func TestAutopsySaysWhatIsWrong(t *testing.T) {
	good := fakeshim.Recording()
	old := append([]byte{}, good...)
	old[8]--
	for want, data := range map[string][]byte{
		"cgoheap: FILE: it is empty: the process ended before it had written anything\n": nil,
		"cgoheap: FILE: it is not a cgoheap recording\n": []byte(
			"hello"),
		fmt.Sprintf("cgoheap: FILE: it has format version %d, and this cgoheap dev reads version "+
			"%d: use the cgoheap release that recorded it\n",
			recordlayout.Version-1, recordlayout.Version): old,
		"cgoheap: FILE: it is truncated after 100 bytes, within its header\n": good[:100],
	} {
		if code, out, errs := autopsyOf(t, data); code != 1 || out != "" || errs != want {
			t.Errorf("%d %q %q, want %q", code, out, errs, want)
		}
	}
	code, out, errs := autopsyOf(t, good[:2000])
	if code != 0 || !strings.Contains(out, "unknown program (4242)") ||
		!strings.Contains(errs, fmt.Sprintf("2000 of %d bytes", len(good))) {
		t.Errorf("%d %q %q", code, out, errs)
	}
	// What is cut off is not known: it is not none.
	for _, want := range []string{"  Go unknown  ", "; its figures are missing from the file\n"} {
		if !strings.Contains(out, want) || strings.Contains(out, "(C thread)") {
			t.Errorf("%q, want %q", out, want)
		}
	}
}

// Wherever a file is cut and whatever bit is flipped, there is an answer.
func TestRecordingDamage(t *testing.T) {
	good, plain := fakeshim.Recording(), fakeshim.Recording()
	// quicker, where the account is none's concern
	clear(plain[fakeshim.RecordingAccounts:fakeshim.RecordingModules])
	read := func(data []byte) {
		if b, err := recorder.Read(data); err == nil {
			examineRecording(t, b)
		}
	}
	flip := func(from []byte, i int, value byte, seal bool) {
		bad := append([]byte{}, from...)
		bad[i] = value
		if seal {
			fakeshim.SealAccounts(bad)
		}
		read(bad)
	}
	for n := range good {
		read(plain[:n])
		if n%64 == 0 {
			read(good[:n])
		}
	}
	for i := range good {
		switch {
		case i < fakeshim.RecordingAccounts || i >= fakeshim.RecordingModules &&
			i < fakeshim.RecordingSeconds:
			for _, value := range []byte{0xff, good[i] ^ 1, good[i] ^ 0x80} {
				flip(plain, i, value, false)
			}
		case i < fakeshim.RecordingAccounts+recordlayout.AccountBytes+16 ||
			i >= fakeshim.RecordingSeconds:
			flip(good, i, 0xff, true)
			flip(good, i, good[i]^0x81, true)
		default: // in the older account: all that matters is whether it is whole
		}
	}
}

func examineRecording(t *testing.T, b *recorder.Recording) {
	symbols := recorder.FindNames(b, "")
	p := b.Profile(symbols)
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	sum, err := holders.Summarize(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	found := &postmortem{recording: b, sum: sum, symbols: symbols}
	found.explain(nil, "FILE")
	found.print(stdio{out: &out, err: &errs}, 20)
	if err := found.writeJSON(stdio{out: io.Discard}, 20); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsRune(out.String()+errs.String(), '\x1b') {
		t.Fatal("an escape reaches the terminal")
	}
}

func FuzzRecording(f *testing.F) {
	f.Add(fakeshim.Recording())
	f.Add(fakeshim.Recording()[:2000])
	f.Add(fakeshim.Recording()[:fakeshim.RecordingModules-100])
	f.Fuzz(func(t *testing.T, given []byte) {
		data := bytes.Clone(given)
		fakeshim.SealAccounts(data)
		b, err := recorder.Read(data)
		if err != nil {
			return
		}
		for i := range b.Modules { // no files of this machine
			b.Modules[i].Path = "[x]"
		}
		examineRecording(t, b)
	})
}

func TestAutopsyShowsTheAccount(t *testing.T) {
	code, out, errs := autopsyOf(t, fakeshim.Recording())
	if code != 0 {
		t.Fatal(code, errs)
	}
	for _, want := range []string{
		"What its memory was made of, 0.8 s before the last figures; GROWN is in the last 1m\n",
		"\nC live            ~572.0 MiB   63.5 %  +571.9 MiB\n  in use 580.0 MiB, glibc says; " +
			"~556.0 MiB by samples (standard error 12.0 MiB)\n",
		"\nRSS                901.0 MiB  100.0 %  +897.9 MiB\n",
		"\n  90.0 MiB  mmap < os_pages_map < … < main._Cfunc_duckdb_query < main.query\n",
		"\nnote: not all of the C allocator's big blocks were found: ",
		"If the\nload was steady, it is a leak: the table of C memory shows who held it, and\n" +
			"`cgoheap autopsy ",
		"cgroup v2 /system.slice/service.service: memory.current 1.1 GiB, limit 2.0 GiB;",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
}

// changeLast changes the last second.
func changeLast(d []byte, change func(*recordlayout.Second)) {
	s, _ := recordlayout.Get[recordlayout.Second](d, fakeshim.RecordingSeconds)
	change(&s)
	recordlayout.Put(d, fakeshim.RecordingSeconds, s)
}

// Without an account there are the last figures, unknown where they are.
func TestAutopsyWithoutAnAccount(t *testing.T) {
	d := fakeshim.Recording()
	clear(d[fakeshim.RecordingAccounts:fakeshim.RecordingModules])
	changeLast(d,
		func(s *recordlayout.Second) { s.GoHeapInUse, s.GoStacks = 3<<20, recordlayout.Unknown })
	code, out, errs := autopsyOf(t, d)
	want := "what its memory was made of is unknown: no account was written before the end\n" +
		"the C allocator says: in use 256.0 KiB, free 0 B, of 0 B from the system\n" +
		"Go says: heap in use 3.0 MiB, free 0 B, released 0 B; stacks unknown\n"
	if code != 0 || !strings.Contains(out, want) || strings.Contains(out, "OWNER") {
		t.Errorf("%d %s\n%s\nwant\n%s", code, errs, out, want)
	}
}

func TestAutopsyJSONHasTheAccount(t *testing.T) {
	d := fakeshim.Recording()
	changeLast(d, func(s *recordlayout.Second) { s.AllocatorFree = recordlayout.Unknown })
	var out strings.Builder
	if code := execute(stdio{out: &out, err: &out}, []string{"autopsy", "--json",
		writeRecording(t, d)}); code != 0 {
		t.Fatal(code, out.String())
	}
	var got struct {
		Account json.RawMessage
		Moments []struct {
			InUse *int64 `json:"allocator_in_use_bytes"`
			Free  *int64 `json:"allocator_free_bytes"`
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	o, err := document.ParseObject(got.Account)
	if err != nil || len(o) < 3 || o[len(o)-2].Key != "grown" || o[len(o)-1].Key != "verdict" ||
		!strings.Contains(string(o[len(o)-1].Value), "c_live_grows") {
		t.Fatalf("%v: %s", err, got.Account)
	}
	o = o[:len(o)-2]
	var body, want bytes.Buffer
	json.Compact(&body, []byte(fakeshim.RecordedAccountBody))
	json.HTMLEscape(&want, body.Bytes())
	if text, err := json.Marshal(o); err != nil || string(text) != want.String() {
		t.Errorf("%v: %s\nwant\n%s", err, text, want.String())
	}
	if m := got.Moments[len(got.Moments)-1]; m.InUse == nil || *m.InUse != 4<<16 || m.Free != nil {
		t.Errorf("the last second: %+v", m)
	}
}
