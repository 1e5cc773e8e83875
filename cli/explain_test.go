package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cgoheap/cli/internal/account"
	"cgoheap/cli/internal/attach"
	"cgoheap/cli/internal/fakeshim"
	"cgoheap/cli/internal/program"
	"cgoheap/cli/internal/verdict"
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
	explainNote = "note: not all of the C allocator's big blocks were found: the rest of them is in untracked mmap"
)

// cutVerdict takes the last paragraph apart, as one line: how it is broken depends on the length of the PID.
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
	if want := "C code holds 572.0 MiB (63 % of RSS) in blocks that are in use: `cgoheap top PID` shows who. " +
		"To see whether it grows, run this again in some minutes. " + explainNote; verdict != want {
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
	grows := "C live grew by 40.0 MiB in 1h (40.0 MiB an hour since 01:00), to 612.0 MiB (65 % of RSS). " +
		"If that goes on at a steady load it is a leak: `cgoheap top PID` shows who holds it, and " +
		"`cgoheap profile PID --older 10m` saves the blocks that are old. " + explainNote
	total := "RSS                941.0 MiB  100.0 %  +40.0 MiB\n"
	if r.code != 0 || !strings.Contains(r.out, want) || !strings.Contains(r.out, grown) || !strings.Contains(r.out, total) ||
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
	if got["grown"] != nil || got["grown_hour"] != nil || len(got) != len(sent)+4 {
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
  "verdict": [
    {
      "rule": "c_live",
      "text": "C code holds 572.0 MiB (63 % of RSS) in blocks that are in use: ` + "`cgoheap top PID`" +
		` shows who. To see whether it grows, run this again in some minutes."
    }
  ]
}
`
	if r := first.normal(s); !strings.HasPrefix(r.out, "{\n  \"schema\": \"cgoheap.explain/1\",\n  \"rss_bytes\": 1,\n  \"owners\": [\n") || !strings.HasSuffix(r.out, end) {
		t.Errorf("%s\nwant at the end\n%s", r.out, end)
	}
	var v struct {
		Grown   account.Growth
		Verdict []verdict.Finding
	}
	check0(json.Unmarshal([]byte(second.out), &v))
	if v.Grown.RSS != 40<<20 || *v.Grown.RSSRate != 40<<20 || *v.Grown.Owners[3].Rate != 40<<20 || v.Grown.Elapsed != time.Hour || *v.Grown.Of(account.CLive) != 40<<20 || *v.Grown.Of(account.CMmap) != 0 ||
		len(v.Grown.Owners) != 13 || v.Grown.Since.Hour() != 1 || v.Verdict[0].Rule != "c_live_grows" {
		t.Errorf("%+v", v)
	}
}

// Whatever the process answers, it does not reach the terminal, and does not end us in a panic.
func TestExplainOfStrangeAccounts(t *testing.T) {
	for part, want := range map[string]string{
		"hostile":       `  90 B  mmap < \x1bgr`,
		"empty account": "RSS               0 B      -\n\nVmRSS - = RssAnon - + RssFile - + RssShmem -\nVmSize -  VmData -  VmStk -  VmSwap -  threads -\nno memory cgroup was found\n",
		"contradiction": "C live          ~-5 B      -\n",
	} {
		s := startShim(t, part)
		look := explainer(t)
		for range 2 {
			r := look("explain", s.arg())
			if r.code != 0 || r.err != "" || strings.ContainsRune(r.out, 0x1b) || !strings.Contains(r.out, want) {
				t.Errorf("%s: %d %q\n%s\nwant in it\n%s", part, r.code, r.err, r.out, want)
			}
			if r = look("explain", "--json", s.arg()); r.code != 0 || !json.Valid([]byte(r.out)) {
				t.Errorf("%s: %+v", part, r)
			}
		}
	}
	s := startShim(t, "not an account")
	r := explainer(t)("explain", s.arg()).normal(s)
	if r.code != 1 || r.out != "" || !strings.HasPrefix(r.err, "cgoheap: process PID (service) answered what this cgoheap dev cannot read: ") {
		t.Errorf("%+v", r)
	}
}

// A shim from before there were accounts.
func TestExplainOlderShim(t *testing.T) {
	s := startShim(t, "no account")
	for verb, path := range map[string]string{"explain": "/v1/account", "trim": "/v1/trim"} {
		explainer(t)(verb, s.arg()).normal(s).want(t, 1, "", "cgoheap: process PID (service) was started with a libcgoheap.so that has no "+
			path+": restart it with the one that belongs to cgoheap dev\n")
	}
}

func TestTrim(t *testing.T) {
	s := startShim(t, "serve")
	cgoheap(t, "trim", s.arg()).normal(s).want(t, 0, `process PID (service): malloc_trim returned 80.0 MiB

OWNER          BEFORE      AFTER     CHANGE
C retained  100.0 MiB   20.0 MiB  -80.0 MiB
RSS         901.0 MiB  821.0 MiB  -80.0 MiB

It was free memory, and no leak. It comes back with the next peak; to keep it small, have the
program call malloc_trim(0) after its peaks, or run it with jemalloc preloaded. 20.0 MiB of memory
that is not in use stays.
`, "")
	var v trimmed
	r := cgoheap(t, "trim", "--json", s.arg())
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != 0 || v.Released != 80<<20 || v.What != "malloc_trim" ||
		v.Before.RSS-v.After.RSS != 80<<20 || !strings.HasPrefix(r.out, "{\n  \"schema\": \"cgoheap.trim/1\",\n  \"before\": {\n    \"rss_bytes\": ") {
		t.Errorf("%v %s", err, r.out)
	}
	s = startShim(t, "trims nothing")
	cgoheap(t, "trim", s.arg()).normal(s).want(t, 0, `process PID (service): malloc_trim returned nothing

OWNER     BEFORE      AFTER  CHANGE
RSS    901.0 MiB  901.0 MiB     0 B

100.0 MiB of memory that is not in use stays. cgoheap does not know why.
`, "")
	s = startShim(t, "trims in silence")
	cgoheap(t, "trim", s.arg()).normal(s).want(t, 0, `process PID (service): malloc_trim returned nothing

OWNER     BEFORE      AFTER  CHANGE
RSS    901.0 MiB  901.0 MiB     0 B

How much of the 100.0 MiB that stay is free is unknown: the allocator has no figures.
`, "")
	s = startShim(t, "no trim")
	cgoheap(t, "trim", s.arg()).normal(s).want(t, 1, "",
		"cgoheap: process PID (service) refused: snmalloc has no call for that which cgoheap knows\n")
}

// ---- what grew ------------------------------------------------------------------

func keptFor(t *testing.T, started string) (accountStore, *attach.Process) {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	store := openAccountStore()
	if store.dir == "" {
		t.Fatal("no place to keep accounts")
	}
	return store, &attach.Process{PID: os.Getpid(), Started: started}
}

// look keeps one that is as old, as explain does.
func (s accountStore) look(p *attach.Process, body string) {
	kept, a := s.read(p), parseAccount(body)
	kept.add(a, []byte(body))
	s.keep(p, kept.thinned(a.Time))
}

func TestAccountsAreKeptForOneProcess(t *testing.T) {
	store, p := keptFor(t, attach.StartTime(os.Getpid()))
	if store.read(p).accounts != nil {
		t.Error("an account before the first")
	}
	store.look(p, fakeshim.Account("serve", 2))
	if l := store.read(p); len(l.accounts) != 1 || l.accounts[0].RSS != 941<<20 {
		t.Errorf("%+v", l)
	}
	info, err := os.Stat(store.path(p))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	later := &attach.Process{PID: p.PID, Started: p.Started + "1"}
	if store.read(later).accounts != nil {
		t.Error("the account of a process that had the same ID")
	}
	if store.read(&attach.Process{PID: p.PID}).accounts != nil {
		t.Error("an account though nobody knows when the process started")
	}
	// Those of processes that are no more are cleaned away, others' files never.
	store.look(later, "{}")
	other := filepath.Join(store.dir, "1.sock")
	check0(os.WriteFile(other, nil, 0o600))
	store.look(p, "{}")
	if _, err := os.Stat(store.path(later)); !os.IsNotExist(err) {
		t.Error("kept for a process that does not exist:", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	for _, damaged := range []string{"{ not JSON", `{"looks":[1]}`, `{"looks":[{}` + strings.Repeat(",{}", maxLooks) + "]}"} {
		check0(os.WriteFile(store.path(p), []byte(damaged), 0o600))
		if l := store.read(p); l.accounts != nil || l.Bodies != nil {
			t.Errorf("accounts of %s", damaged)
		}
	}
}

// A directory that others can write, and a link in its place, are passed over.
func TestAccountsAreNotKeptWhereOthersWrite(t *testing.T) {
	for name, spoil := range map[string]func(dir string){
		"writable": func(dir string) { check0(os.Mkdir(dir, 0o700)); check0(os.Chmod(dir, 0o777)) },
		"link":     func(dir string) { check0(os.Symlink(t.TempDir(), dir)) },
		"file":     func(dir string) { check0(os.WriteFile(dir, nil, 0o600)) },
	} {
		base := t.TempDir()
		dir := filepath.Join(base, fmt.Sprintf("cgoheap-%d", os.Geteuid()))
		spoil(dir)
		t.Setenv("XDG_RUNTIME_DIR", base)
		if got := openAccountStore().dir; got == dir {
			t.Errorf("%s: it is used", name)
		}
	}
	// And a link in place of the file is not followed.
	store, p := keptFor(t, attach.StartTime(os.Getpid()))
	target := filepath.Join(t.TempDir(), "a.json")
	check0(os.WriteFile(target, []byte(`{"looks":[{}]}`), 0o600))
	check0(os.Symlink(target, store.path(p)))
	if store.read(p).accounts != nil {
		t.Error("a link was followed")
	}
}

// However often somebody looks, after an hour there is an hour's evidence, of few looks.
func TestAnHourOfEvidence(t *testing.T) {
	begin := time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)
	for _, every := range []time.Duration{time.Second, time.Minute, 7 * time.Minute, 40 * time.Minute, time.Hour, 26 * time.Hour} {
		l := looks{}
		for at := time.Duration(0); at <= 5*time.Hour || at <= 3*every; at += every {
			now := &account.Account{Time: begin.Add(at), RSS: int64(at)}
			last, hour := l.growth(now)
			if (last != nil) != (at > 0) || last != nil && last.Elapsed != every {
				t.Fatalf("every %s, at %s: the last look is %+v", every, at, last)
			}
			if want := at >= time.Hour && every < time.Hour; (hour != nil) != want {
				t.Fatalf("every %s, at %s: an hour's growth is %+v", every, at, hour)
			}
			if hour != nil && (hour.Elapsed < time.Hour || hour.Elapsed > time.Hour+max(every, lookSpacing+every) || hour.RSS != int64(hour.Elapsed)) {
				t.Fatalf("every %s, at %s: %+v", every, at, hour)
			}
			l.add(now, nil)
			if l = l.thinned(now.Time); len(l.accounts) > maxLooks || len(l.Bodies) != len(l.accounts) {
				t.Fatalf("every %s, at %s: %d looks are kept", every, at, len(l.accounts))
			}
		}
	}
	// A clock that was set back: what is of later is forgotten.
	l := looks{}
	for _, at := range []time.Duration{0, time.Hour, 2 * time.Hour, 30 * time.Minute} {
		l.add(&account.Account{Time: begin.Add(at)}, nil)
	}
	if len(l.accounts) != 2 || len(l.Bodies) != 2 {
		t.Errorf("%d", len(l.accounts))
	}
}

// The column of the longer window, and what is said of it.
func TestExplainAfterAnHour(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	store, p := openAccountStore(), &attach.Process{PID: s.pid, Started: attach.StartTime(s.pid)}
	store.look(p, fakeshim.Account("serve", 0)) // the first that the shim sends is of an hour later
	store.look(p, strings.Replace(fakeshim.Account("serve", 1), "T01:00", "T00:59", 1))
	r := finish(t, command([]string{"XDG_RUNTIME_DIR=" + dir}, "explain", s.arg())).normal(s)
	for _, want := range []string{
		"\nGROWN is since 00:59, 1m ago; IN 1h since 00:00\n\n",
		"\nOWNER               RESIDENT    SHARE  GROWN      IN 1h\n",
		"\nRSS                901.0 MiB  100.0 %    0 B  +40.0 MiB\n",
		"\nC live grew by 40.0 MiB in 1h (40.0 MiB an hour since 00:00), but not in the last 1m, to",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%s\nwant in it\n%s", r.out, want)
		}
	}
	if l := store.read(p); len(l.accounts) != 3 {
		t.Errorf("%d looks are kept", len(l.accounts))
	}
}

// ---- Go's figures from the service --------------------------------------------------

func servePprof(t *testing.T, h http.HandlerFunc) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func TestExplainGoPprof(t *testing.T) {
	s := startShim(t, "stripped")
	look := explainer(t)
	r := look("explain", s.arg())
	unknown := `Go heap             82.0 MiB    9.1 %
  what of it is in use is not known: --go-pprof URL asks the service
goroutine stacks           -        -
  not known apart: they are in Go heap's figure
`
	if !strings.Contains(r.out, unknown) {
		t.Errorf("%s\nwant in it\n%s", r.out, unknown)
	}
	text := fakeshim.MemStats
	for old, mib := range map[string]int{"HeapInuse = 100": 60, "HeapIdle = 30": 30, "HeapReleased = 20": 20, "Stack = 7": 2} {
		name, _, _ := strings.Cut(old, " = ")
		text = strings.Replace(text, old, fmt.Sprintf("%s = %d", name, mib<<20), 1)
	}
	address := servePprof(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/debug/pprof/heap?debug=1" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	})
	r = look("explain", s.arg(), "--go-pprof", address)
	filled := `Go heap             82.0 MiB    8.7 %       0 B
  in use 60.0 MiB, free and not returned 10.0 MiB, released 20.0 MiB (runtime.MemStats)
goroutine stacks           -        -         -
  in Go heap's figure: 2.0 MiB by the runtime's count
Go metadata          3.0 MiB    0.3 %       0 B
  31 B by the runtime's count, touched or not
`
	filled = strings.ReplaceAll(filled, "     0 B\n", "      0 B\n")
	filled = strings.ReplaceAll(filled, "-         -\n", "-          -\n")
	if r.code != 0 || !strings.Contains(r.out, filled) {
		t.Errorf("%s%s\nwant in it\n%s", r.err, r.out, filled)
	}
	var v struct {
		Go map[string]any
	}
	r = look("explain", s.arg(), "--json", "--go-pprof", address)
	check0(json.Unmarshal([]byte(r.out), &v))
	want := "map[heap_free_bytes:1.048576e+07 heap_in_use_bytes:6.291456e+07 heap_released_bytes:2.097152e+07 " +
		"mapped_ready_bytes:<nil> metadata_bytes:31 source:runtime.MemStats stacks_bytes:2.097152e+06]"
	if fmt.Sprint(v.Go) != want {
		t.Errorf("%v\nwant\n%s", v.Go, want)
	}
}

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

func TestExplainGoPprofErrors(t *testing.T) {
	s := startShim(t, "serve")
	look := explainer(t)
	fails := func(address, want string) {
		t.Helper()
		r := look("explain", s.arg(), "--go-pprof", address)
		r.want(t, 1, "", "cgoheap: "+want+"\n")
	}
	address := servePprof(t, http.NotFound)
	fails(address, "'"+address+"/debug/pprof/heap?debug=1' answers 404 Not Found: is net/http/pprof served there?")
	address = servePprof(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello\x1b") })
	fails(address, "'"+address+"/debug/pprof/heap?debug=1' is no heap profile with Go's MemStats: give the service's own /debug/pprof/heap")
	address = servePprof(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Replace(fakeshim.MemStats, "HeapInuse = 100", "HeapInuse = 209715200", 1))
	})
	fails(address, "'"+address+"/debug/pprof/heap?debug=1' tells of another process: 200.0 MiB of Go heap in use there, 128.0 MiB mapped here")
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	fails(server.URL, "'"+server.URL+"/debug/pprof/heap?debug=1' cannot be fetched: nobody listens there")
}

// Go's own handler writes what is parsed here.
func TestGoPprofOfARealService(t *testing.T) {
	address := servePprof(t, pprof.Index)
	target, err := attach.GoPprofURL(address)
	check0(err)
	g, err := attach.FetchGoSplit(target)
	if err != nil || *g.InUse < 100<<10 || *g.Stacks < 10<<10 || *g.Metadata < 100<<10 || *g.Free < 0 {
		t.Errorf("%+v %v", g, err)
	}
}

// On a narrow screen growth stays, which is told by no other figure.
func TestExplainNarrow(t *testing.T) {
	bytes, change := int64(300<<20), int64(12<<20)
	last := &account.Account{RSS: 250 << 20}
	g := &account.Growth{RSS: 12 << 20, Owners: []account.OwnerGrowth{{Name: account.CLive, Bytes: &change}}, Last: last}
	e := &explanation{account: &account.Account{RSS: 400 << 20, Owners: []account.Owner{{Name: account.CLive, Bytes: &bytes}}},
		grown: g, hour: &account.Growth{Elapsed: time.Hour, Owners: g.Owners, Last: last}}
	for width, share := range map[int]bool{40: false, 100: true} {
		var out strings.Builder
		e.printOwners(stdio{out: &out}, width)
		e.printKernel(stdio{out: &out}, width)
		if strings.Contains(out.String(), "SHARE") != share || strings.Contains(out.String(), "IN 1h") != share || !strings.Contains(out.String(), "+12.0 MiB") {
			t.Errorf("%d columns:\n%s", width, out.String())
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if len([]rune(line)) > width {
				t.Errorf("%d columns: %q", width, line)
			}
		}
	}
}

func parseAccount(text string) *account.Account {
	a := &account.Account{}
	check0(json.Unmarshal([]byte(text), a))
	return a
}

// A process that was not started with the library has one candidate more for memory without a stack.
func TestRawMappersOfAProcess(t *testing.T) {
	s := startShim(t, "serve")
	if p := (&attach.Process{PID: s.pid}); !slices.Contains(program.RawMappers(p), program.PreloadedLate) {
		t.Errorf("%q", program.RawMappers(p))
	}
	s = startShim(t, "serve", "LD_PRELOAD=/none/"+attach.LibraryName)
	if p := (&attach.Process{PID: s.pid}); slices.Contains(program.RawMappers(p), program.PreloadedLate) {
		t.Errorf("%q", program.RawMappers(p))
	}
}
