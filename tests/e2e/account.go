package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// account is /v1/account.
type account struct {
	RSS           int64 `json:"rss_bytes"`
	Owners        []owner
	Unexplained   int64 `json:"unexplained_bytes"`
	Took          int64 `json:"took_ns"`
	Time          time.Time
	Mappings      int64
	SplitMappings int64 `json:"split_mappings"`
	ThreadStacks  int64 `json:"thread_stacks"`
	Allocator     struct {
		Name        string
		InUse       *int64 `json:"in_use_bytes"`
		Free        *int64 `json:"free_bytes"`
		Mapped      *int64 `json:"mapped_bytes"`
		System      *int64 `json:"system_bytes"`
		Arenas      *int64
		Nanoseconds *int64
	}
	Estimate struct {
		Bytes         *int64
		StandardError *int64 `json:"standard_error_bytes"`
		SampleBytes   *int64 `json:"sample_bytes"`
	} `json:"c_live_estimate"`
	Go struct {
		Source       string
		HeapInUse    *int64 `json:"heap_in_use_bytes"`
		HeapFree     *int64 `json:"heap_free_bytes"`
		HeapReleased *int64 `json:"heap_released_bytes"`
		Stacks       *int64 `json:"stacks_bytes"`
		MappedReady  *int64 `json:"mapped_ready_bytes"`
	}
	Process  map[string]*int64
	Cgroup   json.RawMessage
	CMmapTop []json.RawMessage `json:"c_mmap_top"`

	Untracked struct {
		Looks int64 `json:"looks"`
		Calls []struct {
			Looks  int64    `json:"looks"`
			Frames []string `json:"frames"`
		} `json:"in_cgo_calls"`
	} `json:"untracked_candidates"`
	Warnings []string
}

type owner struct {
	Name     string
	Bytes    *int64
	Exact    bool
	Huge     int64  `json:"huge_bytes"`
	LazyFree int64  `json:"lazy_free_bytes"`
	Swap     int64  `json:"swap_bytes"`
	Mapped   *int64 `json:"mapped_bytes"`
}

// The owners there are, in the order they are shown.
var ownerNames = []string{"go_heap", "go_stacks", "go_metadata", "c_live", "c_retained", "c_mmap",
	"c_brk", "file_copies", "device_maps",
	"thread_stacks", "program", "libraries", "mapped_files", "shared_memory", "shim", "kernel",
	"untracked_mmap"}

func (a account) owner(name string) owner {
	for _, o := range a.Owners {
		if o.Name == name {
			return o
		}
	}
	return owner{}
}

// bytes is what the owner has; 0 where that is included in another's.
func (a account) bytes(name string) int64 {
	if b := a.owner(name).Bytes; b != nil {
		return *b
	}
	return 0
}

func (a account) String() string {
	var text strings.Builder
	for _, o := range a.Owners {
		if o.Bytes == nil {
			fmt.Fprintf(&text, "  %-15s unknown\n", o.Name)
		} else if *o.Bytes != 0 {
			fmt.Fprintf(&text, "  %-15s %11d\n", o.Name, *o.Bytes)
		}
	}
	fmt.Fprintf(&text, "  %-15s %11d\n  %-15s %11d", "unexplained", a.Unexplained, "RSS", a.RSS)
	for _, w := range a.Warnings {
		fmt.Fprintf(&text, "\n  warning: %s", w)
	}
	return text.String()
}

func (h *host) accountNow() (a account) {
	h.t.Helper()
	body := h.get("/v1/account")
	if err := json.Unmarshal(body, &a); err != nil {
		h.t.Fatalf("/v1/account: %v\n%s", err, body)
	}
	return a
}

// account is one taken while the program held still, which adds up.
func (h *host) account() account {
	h.t.Helper()
	var before, after int64
	for try := 0; try < 20; try++ {
		before = h.rollup()
		a := h.accountNow()
		after = h.rollup()
		if within(before, after, 0.001, 64<<10) {
			wantAddsUp(h.t, a, after)
			return a
		}
		time.Sleep(100 * time.Millisecond)
	}
	h.t.Fatalf("the program does not hold still: %d, then %d bytes resident", before, after)
	panic("not reached")
}

// wantAddsUp: the owners and what is unexplained are the RSS that the kernel
// sees, and little is unexplained.
func wantAddsUp(t testing.TB, a account, rollup int64) {
	t.Helper()
	sum := a.Unexplained
	var list []string
	for _, o := range a.Owners {
		list = append(list, o.Name)
		if o.Bytes != nil {
			sum += *o.Bytes
			if *o.Bytes < 0 {
				t.Errorf("%s has %d bytes", o.Name, *o.Bytes)
			}
		}
	}
	if got, want := strings.Join(list, " "), strings.Join(ownerNames, " "); got != want {
		t.Errorf("owners are %s, want %s", got, want)
	}
	if sum != a.RSS {
		t.Errorf("owners and unexplained are %d, rss_bytes is %d\n%v", sum, a.RSS, a)
	}
	// The shim has given back what it took to take one.
	if !within(a.RSS, rollup, 0.01, max(256<<10, a.bytes("shim"))) {
		t.Errorf("rss_bytes is %d, smaps_rollup says %d\n%v", a.RSS, rollup, a)
	}
	if limit := max(a.RSS/100, 1<<20); a.Unexplained < 0 || a.Unexplained > limit {
		t.Errorf("%d bytes are unexplained, at most %d may\n%v", a.Unexplained, limit, a)
	}
}

// within: a is b but for a fraction of it and some bytes.
func within(a, b int64, fraction float64, bytes int64) bool {
	difference := float64(a - b)
	return max(difference, -difference) <= fraction*float64(b)+float64(bytes)
}

// rollup is what the kernel says is resident.
func (h *host) rollup() int64 {
	h.t.Helper()
	return procField(h.t, h.pid(), "smaps_rollup", "Rss")
}

// procField is one "Name: 123 kB" of /proc/PID/file, in bytes.
func procField(t testing.TB, pid int, file, name string) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == name+":" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if len(fields) == 3 {
				n <<= 10 // "kB"
			}
			return n
		}
	}
	t.Fatalf("no %s in /proc/%d/%s", name, pid, file)
	return 0
}

// growth is how each owner's bytes changed.
func growth(before, after account) map[string]int64 {
	grown := map[string]int64{}
	for _, name := range ownerNames {
		grown[name] = after.bytes(name) - before.bytes(name)
	}
	return grown
}

// wantGrowth: those named grew by as much as the program knows, within 2 %;
// the others did not, but for those that may.
func wantGrowth(t testing.TB, before, after account, want map[string]int64, may ...string) {
	t.Helper()
	var total int64
	for _, bytes := range want {
		total += max(bytes, -bytes)
	}
	free := strings.Join(may, " ")
	for name, got := range growth(before, after) {
		bytes, known := want[name]
		switch {
		case known && !within(got, bytes, 0.02*sign(bytes), 64<<10):
			t.Errorf("%s grew by %d, true is %d", name, got, bytes)
		case !known && !strings.Contains(free, name) && !within(got, 0, 0, max(total/50, 512<<10)):
			t.Errorf("%s grew by %d, true is nothing", name, got)
		}
	}
	if t.Failed() {
		t.Logf("before:\n%v\nafter:\n%v", before, after)
	}
}

func sign(n int64) float64 {
	if n < 0 {
		return -1
	}
	return 1
}
