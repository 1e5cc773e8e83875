package verbs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/program"
	"cgoheap.example/cli/internal/verdict"
)

// explainer looks with a directory of its own for what it keeps.
func explainer(t *testing.T) func(args ...string) result {
	dir := t.TempDir()
	return func(args ...string) result {
		t.Helper()
		return finish(t, command([]string{"XDG_RUNTIME_DIR=" + dir}, args...))
	}
}

const (
	explainKernel = `
VmRSS 12.3 MiB = RssAnon 869.0 MiB + RssFile 32.0 MiB + RssShmem 0 B
VmSize 4.0 GiB  VmData 2.0 GiB  VmStk 132.0 KiB  VmSwap 4.0 KiB  threads 14
cgroup v2 /system.slice/service.service: memory.current 1.1 GiB, limit 2.0 GiB; anon 901.0 MiB,
  file 200.0 MiB, kernel 12.0 MiB, swap 4.0 KiB
The cgroup has 225.4 MiB more than this process's RSS: 168.0 MiB of page cache that this process
  does not map, 32.0 MiB of other processes.
`
	explainNote = "note: not all of the C allocator's big blocks were found: the rest of them is " +
		"in untracked mmap"
)

// cutVerdict takes the last paragraph apart, as one line: how it is broken depends on the length of
// the PID.
func cutVerdict(out string) (before, verdict string) {
	at := strings.LastIndex(out, "\n\n")
	return out[:at+1], strings.Join(strings.Fields(out[at:]), " ")
}

func TestExplain(t *testing.T) {
	verdict := ""
	s := startShim(t, "serve")
	look := explainer(t)
	r := look("explain", s.arg()).normal(s)
	r.out, verdict = cutVerdict(r.out)
	r.want(t, 0, `service (PID)  sampling 1 in 512KiB  up 4m10s  RSS 12.3 MiB

OWNER               RESIDENT    SHARE
Go heap             80.0 MiB    8.9 %
  in use 60.0 MiB, free and not returned 20.0 MiB, released 40.0 MiB (runtime.gcController)
goroutine stacks     2.0 MiB    0.2 %
  3.0 MiB by the runtime's count
Go metadata          3.0 MiB    0.3 %
C live            ~572.0 MiB   63.5 %
  in use 580.0 MiB, glibc says; ~556.0 MiB by samples (standard error 12.0 MiB)
  2.0 MiB in huge pages
C retained        ~100.0 MiB   11.1 %
  free 102.4 MiB, glibc says; 37 arenas
C mmap             101.0 MiB   11.2 %
  256.0 MiB mapped and usable
  90.0 MiB  mmap < os_pages_map < … < main._Cfunc_duckdb_query < main.query
   8.0 MiB  mmap < v8::internal::PageMemory::Grow < main.render
   2.0 MiB  mmap64 < cache_open
  and 1 stack more
  1.0 MiB freed lazily
thread stacks        4.0 MiB    0.4 %
  14 stacks, 112.0 MiB mapped
  4.0 KiB more in swap
program             12.0 MiB    1.3 %
libraries            9.0 MiB    1.0 %
mapped files        10.0 MiB    1.1 %
cgoheap itself       7.5 MiB    0.8 %
unexplained        512.0 KiB    0.1 %
RSS                901.0 MiB  100.0 %
`+explainKernel, "")
	if want := "C code holds 572.0 MiB (63 % of RSS) in blocks that are in use: `cgoheap top " +
		"PID` shows who. " +
		"To see whether it grows, run this again in a few minutes. " +
		explainNote; verdict != want {
		t.Errorf("%s\nwant\n%s", verdict, want)
	}

	r = look("explain", s.arg()).normal(s)
	r.out, verdict = cutVerdict(r.out)
	want := `
GROWN is since 01:00, 1h ago

OWNER               RESIDENT    SHARE      GROWN
Go heap             80.0 MiB    8.5 %        0 B
`
	grown := "C live            ~612.0 MiB   65.0 %  +40.0 MiB\n"
	grows := "C live grew by 40.0 MiB in 1h (40.0 MiB an hour since 01:00), to 612.0 MiB (65 " +
		"% of RSS). " +
		"If it keeps growing under a steady load, it is a leak: `cgoheap top PID` shows who " +
		"holds it, and " +
		"`cgoheap profile PID --older 10m` saves only the old blocks. " + explainNote
	total := "RSS                941.0 MiB  100.0 %  +40.0 MiB\n"
	if r.code != 0 || !strings.Contains(r.out, want) || !strings.Contains(r.out, grown) ||
		!strings.Contains(r.out, total) ||
		verdict != grows {
		t.Errorf("%s\n%s\nwant in it\n%s%s%s%s", r.out, verdict, want, grown, total, grows)
	}
}

func TestExplainJSON(t *testing.T) {
	s := startShim(t, "serve")
	look := explainer(t)
	first, second := look("explain", "--json", s.arg()), look("explain", "--json", s.arg())
	// What the shim said stays, in its order, also what this command does not know.
	var sent, got map[string]any
	check0(json.Unmarshal([]byte(fakeshim.Account("serve", 1)), &sent))
	check0(json.Unmarshal([]byte(first.out), &got))
	if got["grown"] != nil || got["grown_hour"] != nil || len(got) != len(sent)+5 {
		t.Error(first.out)
	}
	for key, value := range sent {
		if fmt.Sprint(got[key]) != fmt.Sprint(value) {
			t.Errorf("%s is %v, was %v", key, got[key], value)
		}
	}
	end := `  "later": {
    "key": "<kept>"
  },
  "grown": null,
  "grown_hour": null,
  "held": null,
  "verdict": [
    {
      "rule": "c_live",
      "text": "C code holds 572.0 MiB (63 % of RSS) in blocks that are in use: ` + "`cgoheap top PID`" +
		` shows who. To see whether it grows, run this again in a few minutes."
    }
  ]
}
`
	if r := first.normal(s); !strings.HasPrefix(r.out, "{\n  \"schema\": \"cgoheap.explain/1\",\n"+
		"  \"rss_bytes\": 1,\n  \"owners\": [\n") || !strings.HasSuffix(r.out, end) {
		t.Errorf("%s\nwant at the end\n%s", r.out, end)
	}
	var v struct {
		Grown   account.Growth
		Verdict []verdict.Finding
	}
	check0(json.Unmarshal([]byte(second.out), &v))
	if v.Grown.RSS != 40<<20 || *v.Grown.RSSRate != 40<<20 || *v.Grown.Owners[3].Rate != 40<<20 ||
		v.Grown.Elapsed != time.Hour || *v.Grown.Of(account.CLive) != 40<<20 ||
		*v.Grown.Of(account.CMmap) != 0 ||
		len(v.Grown.Owners) != 13 || v.Grown.Since.Hour() != 1 ||
		v.Verdict[0].Rule != "c_live_grows" {
		t.Errorf("%+v", v)
	}
}

// Below C live are the largest holders and what their cohorts say; what leaks is in the verdict.
func TestExplainWhy(t *testing.T) {
	s := startShim(t, "why")
	r := explainer(t)("explain", s.arg()).normal(s)
	r.out, r.err = strings.Join(strings.Fields(r.out), " "), ""
	for _, want := range []string{
		"~600.0 MiB main.audit_actor, C.CString: leak (92 % sure): of what was allocated 30m to " +
			"1h ago, all still lives; +600.0 MiB an hour",
		"~240.0 MiB main.(*Parser).Parse, ts_tree_new: a cache: of what was allocated 30m to 1h " +
			"ago, nothing lives; freed by finalizers;",
		"By the age of its blocks, 745.0 MiB is held by what leaks, 333.3 MiB is a cache and " +
			"64.0 MiB is from a warm-up; of 1.0 MiB it is too early to say whether it leaks.",
		"Leak: 720.0 MiB that stays, and 720.0 MiB an hour more: by main.audit_actor through",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%s\nwant in it\n%s", r.out, want)
		}
	}
	var v struct {
		Held []struct {
			Caller  string `json:"go_caller"`
			Class   string `json:"class"`
			Cohorts []any  `json:"cohorts"`
		} `json:"held"`
	}
	s = startShim(t, "why") // the other's clock has gone on by an hour
	r = explainer(t)("explain", "--json", s.arg())
	check0(json.Unmarshal([]byte(r.out), &v))
	if len(v.Held) != 6 || v.Held[0].Class != "leak" || len(v.Held[0].Cohorts) != 14 {
		t.Errorf("%+v", v)
	}
}

// Whatever the process answers, it does not reach the terminal, and does not end us in a panic.
func TestExplainOfStrangeAccounts(t *testing.T) {
	for part, want := range map[string]string{
		"hostile": `  90 B  mmap < \x1bgr`,
		"empty account": "RSS               0 B      -\n\nVmRSS - = RssAnon - + RssFile - + " +
			"RssShmem -\nVmSize -  VmData -  VmStk -  VmSwap -  threads -\nno memory cgroup " +
			"was found\n",
		"contradiction": "C live          ~-5 B      -\n",
	} {
		s := startShim(t, part)
		look := explainer(t)
		for range 2 {
			r := look("explain", s.arg())
			if r.code != 0 || r.err != "" || strings.ContainsRune(r.out, 0x1b) ||
				!strings.Contains(r.out, want) {
				t.Errorf("%s: %d %q\n%s\nwant in it\n%s", part, r.code, r.err, r.out, want)
			}
			if r = look("explain", "--json", s.arg()); r.code != 0 || !json.Valid([]byte(r.out)) {
				t.Errorf("%s: %+v", part, r)
			}
		}
	}
	s := startShim(t, "not an account")
	r := explainer(t)("explain", s.arg()).normal(s)
	if r.code != 1 || r.out != "" ||
		!strings.HasPrefix(r.err, "cgoheap: process PID (service) sent an answer that this "+
			"cgoheap dev cannot read: ") {
		t.Errorf("%+v", r)
	}
}

// A shim from before there were accounts.
func TestExplainOlderShim(t *testing.T) {
	s := startShim(t, "no account")
	for verb, path := range map[string]string{"explain": "/v1/account", "trim": "/v1/trim"} {
		explainer(t)(verb, s.arg()).normal(s).want(t, 1, "", "cgoheap: process PID (service) was "+
			"started with a libcgoheap.so that has no "+
			path+": restart it with the one that belongs to cgoheap dev\n")
	}
}

// ---- what grew ------------------------------------------------------------------

// ---- Go's figures from the service --------------------------------------------------

// With the Go package the account knows what Go's memory in use is made of.
func TestExplainWithTheGoPackage(t *testing.T) {
	s := startShim(t, "package")
	r := explainer(t)("explain", s.arg()).normal(s)
	for _, want := range []string{`
Go heap             80.0 MiB    8.9 %
  in use 60.0 MiB, free and not returned 20.0 MiB, released 40.0 MiB (runtime/metrics)
  in use are objects found live 50.0 MiB, dead or newer ones 8.0 MiB, gaps 2.0 MiB
goroutine stacks     2.0 MiB    0.2 %
  2.0 MiB by the runtime's count, 311 goroutines
Go metadata          3.0 MiB    0.3 %
  7.0 MiB by the runtime's count, touched or not
`} {
		if r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("%s%s\nwant in it\n%s", r.err, r.out, want)
		}
	}
}

// On a narrow screen growth stays, which is told by no other figure.
func TestExplainNarrow(t *testing.T) {
	bytes, change := int64(300<<20), int64(12<<20)
	last := &account.Account{RSS: 250 << 20}
	g := &account.Growth{RSS: 12 << 20, Owners: []account.OwnerGrowth{{Name: account.CLive,
		Bytes: &change}}, Last: last}
	e := &explanation{account: &account.Account{RSS: 400 << 20,
		Owners: []account.Owner{{Name: account.CLive, Bytes: &bytes}}},
		grown: g, hour: &account.Growth{Elapsed: time.Hour, Owners: g.Owners, Last: last}}
	for width, share := range map[int]bool{40: false, 100: true} {
		var out strings.Builder
		e.printOwners(stdio{out: &out}, width)
		e.printKernel(stdio{out: &out}, width)
		if strings.Contains(out.String(), "SHARE") != share ||
			strings.Contains(out.String(), "IN 1h") != share ||
			!strings.Contains(out.String(), "+12.0 MiB") {
			t.Errorf("%d columns:\n%s", width, out.String())
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if len([]rune(line)) > width {
				t.Errorf("%d columns: %q", width, line)
			}
		}
	}
}

// A process that was not started with the library has one candidate more for memory without a
// stack.
func TestRawMappersOfAProcess(t *testing.T) {
	s := startShim(t, "serve")
	if p := (&attach.Process{PID: s.pid}); !slices.Contains(program.RawMappers(p),
		program.PreloadedLate) {
		t.Errorf("%q", program.RawMappers(p))
	}
	s = startShim(t, "serve", "LD_PRELOAD=/none/"+attach.LibraryName)
	if p := (&attach.Process{PID: s.pid}); slices.Contains(program.RawMappers(p),
		program.PreloadedLate) {
		t.Errorf("%q", program.RawMappers(p))
	}
}
