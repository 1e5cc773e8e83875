package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

type callerRow struct {
	Origin string `json:"origin"`
	Caller string `json:"go_caller"`
	Leaf   string `json:"c_leaf"`
	Bytes  int64  `json:"in_use_bytes"`
	Mapped *int64 `json:"mapped_bytes"`
}

func (h *host) callerRows(flags ...string) (rows []callerRow) {
	h.t.Helper()
	var said struct{ Rows []callerRow }
	out := cgoheap(h.t, h, append([]string{"top", "--json", "-n", "100", fmt.Sprint(h.pid())},
		flags...)...)
	if err := json.Unmarshal(out, &said); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	return said.Rows
}

// bytesBy sums the rows of an origin with a caller.
func bytesBy(rows []callerRow, origin, caller string) (sum int64) {
	for _, r := range rows {
		if r.Origin == origin && r.Caller == caller {
			sum += r.Bytes
		}
	}
	return sum
}

// The function that a person of the program would look at, and what its bytes are.
func TestCallers(t *testing.T) {
	one, stripped := oneBuild(), oneBuild()
	stripped.mode = "stripped"
	for _, b := range []build{one, stripped} {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			h := start(t, program(t, "go-callers", b), hostOptions{sampleBytes: 1})
			file := filepath.Join(filepath.Dir(h.socket), "users.db")
			h.play([]string{"driver 8", "library 9", "allocator 10", "pool 11", "back 12",
				"threads 200", "file 13 " + file})
			rows := h.callerRows()
			for _, c := range []struct {
				origin, caller string
				bytes          int64
			}{
				{"malloc", "cgoheap.test/callers/store.Load", 8 * mib},
				{"malloc", "cgoheap.test/driver.Run", 9 * mib},
				{"malloc", "main.indexFile", 10 * mib},
				{"mmap", "main.handleClean", 11 * mib},
				{"mmap", "main.giveBack", 0},
				{"malloc", "main.goAlloc", 0},
			} {
				if got := bytesBy(rows, c.origin, c.caller); !within(got, c.bytes, 0.01, 16<<10) {
					t.Errorf("%s of %s: %d, want %d among %+v", c.origin, c.caller, got,
						c.bytes, rows)
				}
			}
			if got := bytesBy(rows, "thread_stack", "main.notify"); got < 200*4096 {
				t.Errorf("stacks of ended threads: %d among %+v", got, rows)
			}
			inner := h.callerRows("--caller", "innermost")
			if got := bytesBy(inner, "malloc", "main.goAlloc"); !within(got, 10*mib, 0.01, 16<<10) {
				t.Errorf("--caller innermost: %+v", inner)
			}
			h.wantSameCallers(t, file)
		})
	}
}

// wantSameCallers: explain names the same functions, and the file.
func (h *host) wantSameCallers(t *testing.T, file string) {
	t.Helper()
	text := string(cgoheap(t, h, "explain", fmt.Sprint(h.pid())))
	for _, want := range []string{" stacks, of which 200 belong to threads that have ended " +
		"(not joined)",
		"< main.handleClean\n", "13.0 MiB  " + file + ", mapped by ", "main.openIndex\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	profile := filepath.Join(t.TempDir(), "memory.pb.gz")
	cgoheap(t, h, "profile", "--memory", "-o", profile, fmt.Sprint(h.pid()))
	traces, err := exec.Command("go", "tool", "pprof", "-traces", profile).Output()
	if err != nil {
		t.Fatal(err)
	}
	if below := file + "\n             [mapped_files]\n"; !strings.Contains(string(traces),
		below) || !strings.Contains(string(traces), "main.openIndex") {
		t.Errorf("no %q in\n%s", below, traces)
	}
}
