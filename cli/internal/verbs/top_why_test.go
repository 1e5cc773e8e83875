package verbs

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTopWhy(t *testing.T) {
	s := startShim(t, "why")
	cgoheap(t, "top", "--why", s.arg()).normal(s).want(t, 0, `service (PID)  sampling 1 in 512KiB  up 4m10s  RSS 12.3 MiB
C memory in use ~1.1 GiB ±4.2 % in ~292,681 objects
more is in use than resident: blocks that were never touched or are swapped out are not in the RSS

    IN USE  SURVIVES  WAITS FOR  GO CALLER             C LEAF
~600.0 MiB     100 %  nothing    main.audit_actor      C.CString         leak (92 % sure): of what was allocated 30m to 1h ago, all still lives; +600.0 MiB an hour
~240.0 MiB       5 %  Go's GC    main.(*Parser).Parse  ts_tree_new       a cache: of what was allocated 30m to 1h ago, nothing lives; freed by finalizers; the last GC was 6m ago, the next at 64.0 MiB of Go heap (now 60.0 MiB)
~145.0 MiB      <1 %  nothing    main.lookup           sqlite3MemMalloc  leak (92 % sure): of what was allocated 30m to 1h ago, all still lives; +120.0 MiB an hour (1 of 2 stacks, churn 25.0 MiB)
 ~93.3 MiB       5 %  -          main.(*Cache).Put     block_new         a cache: of what was allocated 30m to 1h ago, nothing lives
 ~64.0 MiB     100 %  -          main.initTables       tables_new        warm-up: it was allocated 40m to 1h ago, and nothing that stays came since
  ~1.0 MiB     100 %  -          main.report           buffer_new        too early to say: a leak shows after 10m; so far, of what was allocated 1m to 2m ago, all lives
`, "")
}

// On a terminal a sentence that does not fit beside its row is below it, and nothing is too wide.
func TestTopWhyNarrow(t *testing.T) {
	for _, width := range []int{40, 80, 120} {
		s := startShim(t, "why")
		term := openTerminal(t, width, 40, "top", "--why", "--once", s.arg())
		out := strings.ReplaceAll(readUntil(t, term.master, "all lives\r\n"), "\r", "")
		for _, line := range strings.Split(out, "\n") {
			if utf8.RuneCountInString(line) > width && !strings.Contains(line, "service") &&
				strings.Contains(out[strings.Index(out, "IN USE"):], line) {
				t.Errorf("%d columns: %q", width, line)
			}
		}
		joined := strings.Join(strings.Fields(out), " ")
		if !strings.Contains(joined, "churn 25.0 MiB)") {
			t.Errorf("%d columns: a sentence is cut:\n%s", width, out)
		}
	}
}

// Live, rows and their sentences fill the screen together.
func TestTopWhyLive(t *testing.T) {
	s := startShim(t, "why")
	term := openTerminal(t, 100, 12, "top", "--why", "--interval", "1h", s.arg())
	screen := readUntil(t, term.master, "i g o sort")
	if !strings.Contains(screen, "SURVIVES") || !strings.Contains(screen, "all still lives") ||
		strings.Contains(screen, "main.report") || !strings.Contains(screen, "rows more") {
		t.Errorf("%q", screen)
	}
	term.master.WriteString("q")
}

func TestTopWhyJSON(t *testing.T) {
	s := startShim(t, "why")
	r := cgoheap(t, "top", "--why", "--json", s.arg())
	var v struct {
		Rows []struct {
			Caller     string   `json:"go_caller"`
			Class      string   `json:"class"`
			Confidence *float64 `json:"confidence"`
			Survives   *float64 `json:"survives"`
			WaitsFor   *string  `json:"waits_for"`
			Leaked     int64    `json:"leak_bytes"`
			Cohorts    []struct {
				From      int64  `json:"from_ns"`
				To        *int64 `json:"to_ns"`
				Allocated int64  `json:"allocated_bytes"`
				Live      int64  `json:"live_bytes"`
			} `json:"cohorts"`
		}
	}
	check0(json.Unmarshal([]byte(r.out), &v))
	got := map[string]string{}
	for _, row := range v.Rows {
		waits := "-"
		if row.WaitsFor != nil {
			waits = *row.WaitsFor
		}
		got[row.Caller] = row.Class + " " + waits
		var live int64
		for _, c := range row.Cohorts {
			live += c.Live
		}
		if live <= 0 || row.Survives == nil ||
			(row.Confidence == nil) != (row.Class == "too_early") ||
			(row.Leaked > 0) != (row.Class == "leak") {
			t.Errorf("%+v", row)
		}
	}
	for caller, want := range map[string]string{
		"main.audit_actor": "leak nothing", "main.(*Parser).Parse": "cache gc",
		"main.lookup": "leak nothing", "main.(*Cache).Put": "cache -",
		"main.initTables": "warm_up -", "main.report": "too_early -",
	} {
		if got[caller] != want {
			t.Errorf("%s: %s, want %s", caller, got[caller], want)
		}
	}
	// Without --why nothing is added.
	if r = cgoheap(t, "top", "--json", s.arg()); strings.Contains(r.out, `"class"`) {
		t.Error(r.out)
	}
}

// A library that refuses labels=age, or that does not know it.
func TestTopWhyOlderLibrary(t *testing.T) {
	for _, part := range []string{"no ages", "ignores ages"} {
		s := startShim(t, part)
		cgoheap(t, "top", "--why", s.arg()).normal(s).want(t, 1, "", "cgoheap: process PID "+
			"(service) was started with a libcgoheap.so that has no cohorts (labels=age): restart "+
			"it with the one that belongs to cgoheap dev\n")
	}
	cgoheap(t, "top", "--why", "--stacks", "1").want(t, 2, "", "cgoheap: top: --why and --stacks "+
		"cannot be combined: a row has one text below it; see cgoheap top --help\n")
}
