package verbs

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestList(t *testing.T) {
	s := startShim(t, "serve")
	bare := startShim(t, "no socket")
	r := cgoheap(t, "list")
	line, bareLine := "", ""
	for _, l := range strings.Split(r.out, "\n") {
		switch f := strings.Fields(l); {
		case len(f) > 0 && f[0] == s.arg():
			line = s.normal(strings.Join(f, " "))
		case len(f) > 0 && f[0] == bare.arg():
			bareLine = bare.normal(strings.Join(f, " "))
		}
	}
	if r.code != 0 || line != "PID sampling 1 in 512KiB 1,625 ~812.0 MiB 4m10s go1.26.8 service" {
		t.Errorf("%d %q in\n%s%s", r.code, line, r.out, r.err)
	}
	want := "PID unreachable - - - - - service: has cgoheap loaded, but its socket " +
		"DIR/cgoheap-UID/PID.sock is not there: " +
		"set CGOHEAP_SOCKET to a path the program can write, and restart it; with " +
		"CGOHEAP_VERBOSE=1 its stderr says why it could not be made"
	if bareLine != want {
		t.Errorf("%q, want %q", bareLine, want)
	}
}

// However narrow the terminal, no line is wider, and PID, what is in use and the program stay.
func TestListNarrow(t *testing.T) {
	inUse := int64(812 << 20)
	n, size, ns, text := uint64(1625), uint64(512<<10), int64(250e9), "go1.26.8"
	entries := []listEntry{
		{PID: 4242, Program: "service", State: "sampling", SampleBytes: &size, LiveSamples: &n,
			InUseBytes: &inUse, UptimeNS: &ns, GoVersion: &text},
		{PID: 4243, Program: "a-service-of-a-very-long-name-indeed", State: "unreachable",
			Reason: "process 4243 (a-service-of-a-very-long-name-indeed) gave no answer within " +
				"5s: it is stopped"},
	}
	for width, columns := range map[int]string{
		35: "PID IN USE PROGRAM", 40: "PID IN USE PROGRAM", 60: "PID STATE IN USE UPTIME PROGRAM",
		80:  "PID STATE INTERVAL IN USE UPTIME PROGRAM",
		120: "PID STATE INTERVAL LIVE IN USE UPTIME GO PROGRAM",
	} {
		rows := [][]string{strings.Split("PID,STATE,INTERVAL,LIVE,IN USE,UPTIME,GO,PROGRAM", ",")}
		for _, e := range entries {
			rows = append(rows, e.row())
		}
		var out strings.Builder
		printNarrow(stdio{out: &out}, rows, []bool{true, false, false, true, true, false, false,
			false}, entries, width)
		lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		if got := strings.Join(strings.Fields(lines[0]), " "); got != columns {
			t.Errorf("%d columns: %s, want %s", width, got, columns)
		}
		for _, line := range lines {
			if len([]rune(line)) > width {
				t.Errorf("%d columns: %q", width, line)
			}
		}
		if all := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(all,
			"~812.0 MiB") || !strings.Contains(all, "unreachable: gave no answer within 5s: it "+
			"is stopped") {
			t.Errorf("%d columns:\n%s", width, out.String())
		}
	}
}

func TestListJSON(t *testing.T) {
	s := startShim(t, "serve")
	bare := startShim(t, "no socket")
	var v struct {
		Processes  []listEntry
		Unreadable *int
	}
	r := cgoheap(t, "list", "--json")
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || v.Unreadable == nil {
		t.Fatal(err, r)
	}
	seen := 0
	for _, e := range v.Processes {
		switch e.PID {
		case s.pid:
			seen++
			if e.State != "sampling" || *e.InUseBytes != 851443808 || *e.LiveSamples != 1625 ||
				*e.UptimeNS != 250e9 || *e.GoVersion != "go1.26.8" {
				t.Errorf("%+v", e)
			}
		case bare.pid:
			seen++
			if e.State != "unreachable" || e.InUseBytes != nil || e.SampleBytes != nil ||
				e.Reason == "" {
				t.Errorf("%+v", e)
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d of 2 listed: %s", seen, r.out)
	}
}
