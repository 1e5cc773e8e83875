package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

type trimmed struct {
	Before, After account
	Released      int64 `json:"released_bytes"`
	What          string
}

func (h *host) trim() (r trimmed) {
	h.t.Helper()
	code, _, body := h.request("POST", "/v1/trim")
	if code != 200 {
		h.t.Fatalf("POST /v1/trim: %d %s", code, body)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		h.t.Fatalf("%v\n%s", err, body)
	}
	return r
}

// What is free in the allocator goes back to the kernel, and nothing else does.
func TestTrim(t *testing.T) {
	for _, c := range []struct {
		name, library, what string
		env                 []string
		first               []string
		live                int64
		cannot              bool
	}{
		{name: "glibc", what: "malloc_trim", first: []string{"churn 50 2000 1016 16376 0",
			"malloc 1000 1016 1"}, live: 50*16*kib + 1000*1024},
		{name: "jemalloc", library: "libjemalloc.so.2", what: "arena",
			env:   []string{"MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1"},
			first: []string{"malloc 20000 8192 1", "free 0", "malloc 100 8192 1"},
			live:  100 * 8192},
		{name: "tcmalloc", library: "libtcmalloc_minimal.so.4", what: "ReleaseFreeMemory",
			env:   []string{"TCMALLOC_RELEASE_RATE=0"},
			first: []string{"malloc 20000 8192 1", "free 0", "malloc 100 8192 1"},
			live:  100 * 8192},
		// A thread's free pages are its own: mi_collect can return those of threads that ended, and
		// its caller's.
		{name: "mimalloc", cannot: true, library: "libmimalloc.so.[0-9]*", what: "mi_collect",
			env:   []string{"MIMALLOC_PURGE_DELAY=-1", "CGOHEAP_SAMPLE_BYTES=1"},
			first: []string{"malloc 20000 8192 1", "free 0", "malloc 100 8192 1"},
			live:  100 * 8192},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := hostOptions{env: c.env}
			if c.library != "" {
				if o.preload = findLibrary(c.library); o.preload == "" {
					t.Skipf("%s is not installed", c.library)
				}
			}
			h := start(t, program(t, "go-account", oneBuild()), o)
			h.tellAll(c.first)
			h.accountNow()
			before := h.account()
			r := h.trim()
			after := h.account()
			t.Logf("%s: %s, %d bytes released; retained %d, then %d", c.name, r.What, r.Released,
				r.Before.bytes("c_retained"), r.After.bytes("c_retained"))
			if !strings.Contains(r.What, c.what) {
				t.Errorf("it called %q", r.What)
			}
			wantAddsUp(t, r.Before, before.RSS)
			wantAddsUp(t, r.After, after.RSS)
			if r.Released != r.Before.RSS-r.After.RSS {
				t.Errorf("released_bytes is %d, rss_bytes %d and then %d", r.Released, r.Before.RSS,
					r.After.RSS)
			}
			if had := before.bytes("c_retained"); had < 90*mib ||
				after.bytes("c_retained") > had/10 && !c.cannot {
				t.Errorf("c_retained was %d, is %d", had, after.bytes("c_retained"))
			}
			fell := before.bytes("c_retained") - after.bytes("c_retained")
			if !within(before.RSS-after.RSS, fell, 0.02, 512*kib) {
				t.Errorf("c_retained fell by %d, RSS by %d", fell, before.RSS-after.RSS)
			}
			wantGrowth(t, before, after, map[string]int64{"c_retained": -fell}, "shim")
			if got := after.bytes("c_live"); !within(got, c.live, 0.1, 256*kib) {
				t.Errorf("c_live is %d, true is %d", got, c.live)
			}
		})
	}
}

// `cgoheap trim` says the same, by owner.
func TestTrimCommand(t *testing.T) {
	h := start(t, program(t, "go-account", oneBuild()), hostOptions{})
	h.tell("churn 50 2000 1016 16376 0")
	text := string(cgoheap(t, h, "trim", fmt.Sprint(h.pid())))
	for _, want := range []string{"malloc_trim returned ", "OWNER", "C retained", "RSS"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if got := h.account().bytes("c_retained"); got > 10*mib {
		t.Errorf("c_retained is %d", got)
	}
}

// Trim is no GET: what a browser or a crawler can follow changes nothing.
func TestTrimIsPost(t *testing.T) {
	h := start(t, program(t, "go-account", oneBuild()), hostOptions{})
	h.tell("churn 20 2000 1016 16376 0")
	if code, _, body := h.request("GET", "/v1/trim"); code != 405 {
		t.Errorf("GET /v1/trim: %d %s", code, body)
	}
	if got := h.account().bytes("c_retained"); got < 30*mib {
		t.Errorf("c_retained is %d", got)
	}
}
