package verbs

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/stacks"
)

const endOfFrame = "\x1b[K\x1b[J"

func TestTopLive(t *testing.T) {
	for what, key := range map[string]string{"q": "q", "Ctrl-C": "\x03"} {
		t.Run(what, func(t *testing.T) {
			s := startShim(t, "exact")
			term := openTerminal(t, 100, 10, "top", "--interval", "100ms", s.arg())
			first := readUntil(t, term.master, endOfFrame)
			if !strings.HasPrefix(first, enterScreen+"\x1b[H") ||
				!strings.Contains(first, "store.(*Store).lookup") {
				t.Errorf("%q", first)
			}
			readUntil(t, term.master, "+1.0 MiB")
			io.WriteString(term.master, key)
			rest, code := term.end(t)
			if code != 0 || !strings.HasSuffix(rest, leaveScreen) {
				t.Errorf("exit code %d after %q", code, rest)
			}
		})
	}
}

func TestTopLiveFollowsTheWindow(t *testing.T) {
	s := startShim(t, "exact")
	term := openTerminal(t, 100, 10, "top", "--interval", "1h", s.arg())
	readUntil(t, term.master, endOfFrame)
	term.resize(t, 50, 6)
	frame := readUntil(t, term.master, endOfFrame)
	checkFrame(t, strings.ReplaceAll(frame, "\r\r\n", "\r\n"), 50, 6)
	io.WriteString(term.master, "q")
	term.end(t)
}

func TestTopLiveWhenTheProcessEnds(t *testing.T) {
	s := startShim(t, "exact")
	term := openTerminal(t, 100, 10, "top", "--interval", "100ms", s.arg())
	readUntil(t, term.master, endOfFrame)
	s.kill()
	rest, code := term.end(t)
	want := fmt.Sprintf("cgoheap: process %d has ended\r\n", s.pid)
	if code != 0 || !strings.HasSuffix(rest, want) || !strings.Contains(rest, leaveScreen) {
		t.Errorf("exit code %d, %q", code, rest)
	}
}

// Ctrl-Z gives the terminal back before it stops, and fg takes it again.
func TestTopLiveSuspended(t *testing.T) {
	s := startShim(t, "exact")
	term := openTerminal(t, 100, 10, "top", "--interval", "1h", s.arg())
	readUntil(t, term.master, endOfFrame)
	io.WriteString(term.master, "\x1a")
	readUntil(t, term.master, leaveScreen)
	for state := byte(0); state != 'T'; {
		p, err := attach.OpenProcess(term.pid)
		if err != nil || p.State == 'Z' {
			t.Fatal("it ended instead of stopping")
		}
		state = p.State
	}
	syscall.Kill(term.pid, syscall.SIGCONT)
	readUntil(t, term.master, enterScreen)
	readUntil(t, term.master, endOfFrame)
	io.WriteString(term.master, "q")
	if rest, code := term.end(t); code != 0 || !strings.HasSuffix(rest, leaveScreen) {
		t.Errorf("exit code %d, %q", code, rest)
	}
}

func TestProfileNotOntoATerminal(t *testing.T) {
	s := startShim(t, "serve")
	term := openTerminal(t, 100, 10, "profile", "-o", "-", s.arg())
	rest, code := term.end(t)
	if code != 1 || rest != "cgoheap: a profile is binary, and stdout is a terminal: "+
		"name a file with -o, or read it as text with --text\r\n" {
		t.Errorf("%d %q", code, rest)
	}
}

func checkFrame(t *testing.T, frame string, width, height int) {
	t.Helper()
	frame = strings.TrimSuffix(strings.TrimPrefix(frame, "\x1b[H"), "\x1b[J")
	lines := strings.Split(frame, "\x1b[K\r\n")
	if len(lines) != height {
		t.Errorf("%d lines for a height of %d", len(lines), height)
	}
	for _, l := range lines {
		if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\x1b[K")); n > width {
			t.Errorf("%d columns for a width of %d: %q", n, width, l)
		}
	}
}

// Every size of window gets a frame that fits it.
func TestDrawViewFits(t *testing.T) {
	self, err := attach.OpenProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	sum, err := holders.Summarize(fakeshim.Profile(524288, 1),
		&stacks.CallerRule{Module: "cgoheap.example/cli"})
	if err != nil {
		t.Fatal(err)
	}
	v := &view{status: &attach.Status{State: "sampling", SampleBytes: 524288}, summary: sum,
		process: self, rss: 1 << 30, time: time.Now()}
	for width := 1; width < 140; width += 3 {
		for height := 1; height < 14; height++ {
			checkFrame(t, string(drawView(v, 0, "inuse", "a note", width, height)), width, height)
		}
	}
	frame := string(drawView(v, 0, "inuse", "", 90, 12))
	for _, want := range []string{"store.(*Store).lookup", "sqlite3MemMalloc", "main.compress",
		"sorted by inuse"} {
		if !strings.Contains(frame, want) {
			t.Errorf("%q is not in %q", want, frame)
		}
	}
	// A narrow one keeps the bytes and who has them.
	frame = string(drawView(v, 0, "inuse", "", 40, 12))
	for _, want := range []string{"BYTES", "~640.0 MiB  in use by  ", "(*Store).lookup\x1b",
		"main.compress"} {
		if !strings.Contains(frame, want) {
			t.Errorf("%q is not in %q", want, frame)
		}
	}
}

// What the samples may be off by is no memory that is not resident.
func TestInUseBeyondResident(t *testing.T) {
	for _, c := range []struct {
		bytes, rss int64
		estimated  bool
		want       bool
	}{
		{655 << 20, 650 << 20, true, false},
		{655 << 20, 650 << 20, false, true},
		{300 << 20, 5 << 20, true, true},
		{5 << 20, 10 << 20, false, false},
	} {
		v := &view{status: &attach.Status{SampleBytes: 512 << 10}, process: &attach.Process{},
			rss: c.rss, summary: &holders.Summary{Bytes: c.bytes, Estimated: c.estimated}}
		if got := len(v.notes()) > 0; got != c.want {
			t.Errorf("%+v: %v", c, v.notes())
		}
	}
}

func TestDormantSaysForHowLongItSampled(t *testing.T) {
	s := &attach.Status{State: "dormant", UptimeNS: 25e9, OffNS: 10e9}
	if got := cautions(s, 7); len(got) != 1 || got[0] != "dormant: new allocations are not "+
		"recorded (it sampled for 15s of 25s); cgoheap sampling 7 on" {
		t.Errorf("%q", got)
	}
}
