package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// bridgeProgram is the program with the Go package in it.
func bridgeProgram(t testing.TB, b build, flags ...string) string {
	t.Helper()
	root := repositoryRoot()
	dir := filepath.Join(root, "tests", "programs", "go-bridge")
	return buildPackage(t, dir, []string{dir, filepath.Join(root, "tests", "programs", "go-steps"),
		filepath.Join(root, "cgo_bridge")},
		b, ".", flags...)
}

// page fetches from the service's own port.
func (h *host) page(method, path string) (int, http.Header, []byte) {
	h.t.Helper()
	var url string
	h.fact("url", &url)
	request, err := http.NewRequest(method, url+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, response.Header, body
}

func (h *host) pageProfile(path string) *profile.Profile {
	h.t.Helper()
	status, _, body := h.page("GET", path)
	if status != 200 {
		h.t.Fatalf("%s: %d %s", path, status, body)
	}
	p, err := profile.ParseData(body)
	if err == nil {
		err = p.CheckValid()
	}
	if err != nil {
		h.t.Fatalf("%s: %v", path, err)
	}
	return p
}

// TestBridgePages: one import, and the C side is beside Go's own profiles, on the service's own
// port.
func TestBridgePages(t *testing.T) {
	for _, b := range everyBuild() {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			h := start(t, bridgeProgram(t, b), hostOptions{sampleBytes: 1})
			for i := 0; i < 10; i++ {
				h.tell("leak %d", 1<<20)
			}
			p := h.pageProfile("/debug/pprof/cgoheap")
			wantGoHeapTypes(t, p)
			if f := sum(p, "main.leak"); f.inUseBytes != 10<<20 || f.inUseObjects != 10 {
				t.Errorf("main.leak holds %+v", f)
			}
			if status, _, body := h.page("GET", "/debug/pprof/heap"); status != 200 ||
				len(body) == 0 {
				t.Errorf("Go's own heap profile: %d", status)
			}
			if below(h.pageProfile("/debug/pprof/memory?gc=1"), "c_live", "main.leak") < 10<<20 {
				t.Errorf("the memory profile lacks main.leak")
			}
			if status, header, _ := h.page("POST", "/debug/pprof/cgoheap"); status != 405 ||
				header.Get("Allow") != "GET, HEAD" {
				t.Errorf("POST: %d %v", status, header)
			}
			if status, _, body := h.page("GET", "/debug/pprof/cgoheap?debug=x"); status != 400 ||
				!strings.Contains(string(body), "debug=\"x\"") {
				t.Errorf("debug=x: %d %s", status, body)
			}
		})
	}
}

// TestBridgePprof: go tool pprof reads the service's port, and shows the refusal's own words
// without the shim.
func TestBridgePprof(t *testing.T) {
	path := bridgeProgram(t, oneBuild())
	h := start(t, path, hostOptions{sampleBytes: 1})
	h.tell("leak %d", 10<<20)
	var url string
	h.fact("url", &url)
	out := pprofOf(t, "-top", url+"/debug/pprof/cgoheap")
	if !strings.Contains(out, "main.leak") {
		t.Errorf("no main.leak in\n%s", out)
	}
	h = start(t, path, hostOptions{noShim: true})
	h.fact("url", &url)
	if out := pprofOf(t, "-top", url+"/debug/pprof/cgoheap"); !strings.Contains(out,
		"404 Not Found - libcgoheap.so is not preloaded into this process: "+
			"start it by `cgoheap run -- PROGRAM`") {
		t.Errorf("without the shim:\n%s", out)
	}
	for _, name := range []string{"allheap", "memory"} {
		if status, _, body := h.page("GET", "/debug/pprof/"+name); status != 404 ||
			!strings.Contains(string(body), "is not preloaded") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

// pprofOf is all that go tool pprof says, whether or not it succeeds.
func pprofOf(t testing.TB, args ...string) string {
	cmd := exec.Command("go", append([]string{"tool", "pprof"}, args...)...)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
	out, _ := cmd.CombinedOutput()
	return string(out)
}

type bridgeFigures struct {
	account       account
	metrics       map[string]int64
	limit         *int64
	before, after map[string]int64
}

// figures has the program take an account, with runtime/metrics read just before and just after.
func (h *host) bridgeFigures() (f bridgeFigures) {
	h.t.Helper()
	h.tell("account")
	h.fact("before", &f.before)
	h.fact("after", &f.after)
	h.fact("account", &f.account)
	var more struct {
		Go struct {
			Metrics map[string]int64 `json:"runtime_metrics"`
			Limit   *int64           `json:"memory_limit_bytes"`
		}
	}
	h.fact("account", &more)
	f.metrics, f.limit = more.Go.Metrics, more.Go.Limit
	return f
}

// between: within 1 % of the whole of what was read before, after, or of what lies between.
func between(n, before, after, whole int64) bool {
	return n >= min(before, after)-whole/100 && n <= max(before, after)+whole/100
}

// TestBridgeAccount: Go's part of the account is what Go says at the same time, within 1 %; also
// stripped.
func TestBridgeAccount(t *testing.T) {
	for _, b := range everyBuild() {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			h := start(t, bridgeProgram(t, b), hostOptions{})
			h.tell("hold %d", 96<<20)
			h.tell("leak %d", 20<<20)
			h.tell("gc")
			h.tell("limit %d", 5<<30)
			h.tell("account") // what taking one needs is there then
			f := h.bridgeFigures()
			if f.account.Go.Source != "runtime/metrics" {
				t.Fatalf("Go's figures are from %q\n%v", f.account.Go.Source, f.account)
			}
			total := f.before["/memory/classes/total:bytes"]
			if len(f.before) != 14 {
				t.Errorf("%d classes", len(f.before))
			}
			for name, before := range f.before {
				if n, ok := f.metrics[name]; !ok || !between(n, before, f.after[name], total) {
					t.Errorf("%s: %d before, %d in the account, %d after", name, before, n,
						f.after[name])
				}
			}
			in := func(values map[string]int64, names ...string) (sum int64) {
				for _, name := range names {
					sum += values["/memory/classes/"+name+":bytes"]
				}
				return sum
			}
			arenas := []string{"heap/objects", "heap/unused", "heap/free", "heap/stacks"}
			resident := f.account.bytes("go_heap") + f.account.bytes("go_stacks")
			if want := in(f.before, arenas...); !between(resident, want, in(f.after, arenas...),
				want) {
				t.Errorf("%d bytes of Go's arenas are resident, and Go has %d\n%v", resident, want,
					f.account)
			}
			stacks := f.account.owner("go_stacks")
			if stacks.Bytes == nil || !between(*stacks.Bytes, in(f.before, "heap/stacks"),
				in(f.after, "heap/stacks"), in(f.before, "heap/stacks")) {
				t.Errorf("go_stacks is %v, Go says %d", stacks, in(f.before, "heap/stacks"))
			}
			if f.limit == nil || *f.limit != 5<<30 {
				t.Errorf("the memory limit is %v", f.limit)
			}
			// The same to those who ask from outside.
			if a := h.account(); a.Go.Source != "runtime/metrics" ||
				a.owner("go_stacks").Bytes == nil {
				t.Errorf("outside, Go's figures are from %q\n%v", a.Go.Source, a)
			}
		})
	}
}

// TestBridgeNeedsNoSocket: it reaches the library inside the process, where there is no socket too.
func TestBridgeNeedsNoSocket(t *testing.T) {
	h := start(t, bridgeProgram(t, oneBuild()), hostOptions{mayPrint: true,
		env: []string{"CGOHEAP_SOCKET=/nowhere/s"}})
	h.tell("account")
	var failure string
	if h.fact("error", &failure); failure != "<nil>" {
		t.Error(failure)
	}
	if !strings.HasPrefix(h.stderr.String(), "cgoheap: no socket at ") {
		t.Errorf("stderr: %q", h.stderr.String())
	}
}

// TestBridgeGoDoesNotAnswer: a scrape does not wait for a Go that is busy, and says what is
// missing.
func TestBridgeGoDoesNotAnswer(t *testing.T) {
	h := start(t, bridgeProgram(t, oneBuild()),
		hostOptions{env: []string{"GODEBUG=asyncpreemptoff=1"}})
	h.tell("account")
	fmt.Fprintf(h.stdin, "spin %d\n", 3000000)
	for line := range h.lines {
		if line == "spinning" {
			break
		}
	}
	a := h.accountNow()
	if !strings.Contains(strings.Join(a.Warnings, "\n"), "Go's own figures did not arrive "+
		"within 100 ms") {
		t.Errorf("warnings: %q", a.Warnings)
	}
	// The binary has symbols, and the runtime's own variables are the next best.
	if a.Go.Source != "runtime.gcController" {
		t.Errorf("Go's figures are from %q", a.Go.Source)
	}
	h.ready() // it has not been disturbed
	if a := h.accountNow(); a.Go.Source != "runtime/metrics" {
		t.Errorf("afterwards, Go's figures are from %q", a.Go.Source)
	}
	var s struct {
		Package struct{ Missed int64 } `json:"go_package"`
	}
	if err := json.Unmarshal(h.get("/v1/status"), &s); err != nil || s.Package.Missed == 0 {
		t.Errorf("missed: %+v %v", s, err)
	}
}

// packageVersion is what the Go package says of itself.
func packageVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repositoryRoot(), "cgo_bridge", "version.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^const Version = "(.*)"$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("version.go has no version")
	}
	return string(found[1])
}

// TestBridgeOtherLibrary: a library of another release is refused, and the two versions are named.
func TestBridgeOtherLibrary(t *testing.T) {
	path := bridgeProgram(t, oneBuild())
	version := packageVersion(t)
	for _, c := range []struct{ name, source, want string }{
		{"newer", `
			#include "cgoheap_bridge.h"
			#include <string.h>
			int cgoheap_bridge_v1(uint32_t protocol, const char *version, enum cgoheap_bridge_want want, struct cgoheap_bridge_about *about)
			{
				memset(about, 0, sizeof *about);
				about->protocol = protocol + 6;
				strcpy(about->version, "7.5.3");
				return version && want ? -1 : 0;
			}`,
			"cgo_bridge " + version + " (protocol 1) and the preloaded libcgoheap.so 7.5.3 " +
				"(protocol 7) do not understand each other: use the two of one release"},
		{"older", "int nothing_of_ours;",
			"the libcgoheap.so that is preloaded has no way in for cgo_bridge " +
				version + ": use the library of the same release"},
		{"passive", `
			#include "cgoheap_bridge.h"
			#include <string.h>
			int cgoheap_bridge_v1(uint32_t protocol, const char *version, enum cgoheap_bridge_want want, struct cgoheap_bridge_about *about)
			{
				memset(about, 0, sizeof *about);
				about->protocol = protocol;
				about->is_passive = 1;
				strcpy(about->passive_reason, "no memory");
				return version && want ? -1 : 0;
			}`,
			"libcgoheap.so is preloaded, but passive in this process: no memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			library := filepath.Join(t.TempDir(), "libcgoheap.so")
			cc := exec.Command("cc", "-shared", "-fPIC", "-I", filepath.Join(repositoryRoot(),
				"cgo_bridge"), "-o", library, "-x", "c", "-")
			cc.Stdin = strings.NewReader(c.source)
			if text, err := cc.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			h := start(t, path, hostOptions{noShim: true, env: []string{"LD_PRELOAD=" + library}})
			h.tell("loaded")
			var loaded bool
			var failure string
			h.fact("loaded", &loaded)
			h.fact("error", &failure)
			if loaded || failure != c.want {
				t.Errorf("loaded %v, %q", loaded, failure)
			}
		})
	}
}

// TestBridgeStatic: a static binary, into which nothing can be preloaded, says so.
func TestBridgeStatic(t *testing.T) {
	b := oneBuild()
	h := start(t, bridgeProgram(t, b, "-tags=netgo,osusergo", "-ldflags=-extldflags=-static"),
		hostOptions{})
	h.tell("loaded")
	var failure string
	if h.fact("error", &failure); !strings.HasPrefix(failure, "libcgoheap.so is not preloaded "+
		"into this process") {
		t.Error(failure)
	}
}

// TestBridgeRecorder: what Go said of itself outlives the process, too.
func TestBridgeRecorder(t *testing.T) {
	dir := boxDir(t)
	h := start(t, bridgeProgram(t, build{oneBuild().goVersion, "stripped"}),
		hostOptions{env: []string{"CGOHEAP_BLACKBOX=" + dir}})
	h.tell("hold %d", 64<<20)
	h.tell("gc")
	said := cgoheap(t, h, "explain", fmt.Sprint(h.pid()), "--json")
	if !h.waitForAccount(dir) {
		t.Fatal("it ended by itself")
	}
	h.cmd.Process.Kill()
	<-h.ended
	a := readAutopsy(t, dir)
	if a.Account == nil {
		t.Fatal("there is no account")
	}
	wantSameShape(t, "account", a.account, said)
	var found struct {
		Go struct {
			Source string
			Live   int64 `json:"heap_live_bytes"`
		}
	}
	if err := json.Unmarshal(a.account, &found); err != nil ||
		found.Go.Source != "runtime/metrics" || found.Go.Live < 64<<20 {
		t.Errorf("%v %+v", err, found)
	}
}
