package e2e

import (
	"debug/elf"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// A program whose only C is net's and os/user's, linked by Go's linker: no unwind tables at
// all, and C functions among Go's.
func TestInternalLinking(t *testing.T) {
	for _, b := range everyBuild() {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			path := program(t, "go-netuser", b)
			if b.mode == "plain" {
				wantInternallyLinked(t, path)
			}
			h := start(t, path, hostOptions{sampleBytes: 1, env: []string{"GODEBUG=netdns=cgo"}})
			wantAllComplete(t, h)
			wantLookups(t, h)
			if code := h.finish(); code != 0 {
				t.Errorf("exit code %d\n%s", code, h.stderr.String())
			}
		})
	}
}

func wantInternallyLinked(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Section(".eh_frame") != nil {
		t.Error("the program was linked externally: this test says nothing")
	}
}

func wantLookups(t *testing.T, h *host) {
	t.Helper()
	got := map[string]figures{"LookupHost": {}, "LookupHost on a goroutine": {}, "Lookup": {},
		"Lookup on a goroutine": {}}
	add := func(name string, s *profile.Sample) {
		f := got[name]
		f.add(s)
		got[name] = f
	}
	for _, s := range h.profile("").Sample {
		list := names(s)
		text := strings.Join(list, " ")
		root := list[len(list)-1]
		viaUser := strings.Contains(text, " os/user._Cfunc_") ||
			strings.Contains(text, " os/user._C_")
		viaNet := strings.Contains(text, " getaddrinfo net._C2func_getaddrinfo "+
			"net._C_getaddrinfo.func1 net._C_getaddrinfo net.") ||
			strings.Contains(text, " net._Cfunc_freeaddrinfo ")
		switch {
		case makesThread(s):
		case viaUser && strings.HasSuffix(text, "main.lookUpUser main.main runtime.main"):
			add("Lookup", s)
		case viaUser && strings.HasSuffix(text, "main.lookUpUser main.main.func1"):
			add("Lookup on a goroutine", s)
		case viaNet && strings.HasSuffix(text, "main.lookUpHost main.main runtime.main"):
			add("LookupHost", s)
		case viaNet && strings.HasPrefix(root, "net."):
			add("LookupHost on a goroutine", s)
		case strings.Contains(text, "main.lookUp"), strings.Contains(text, "getaddrinfo"):
			t.Errorf("unlike the others:\n%s", dump(s))
		}
	}
	for name, f := range got {
		if f.allocObjects == 0 || f.allocBytes == 0 {
			t.Errorf("%s has allocated nothing", name)
		}
	}
	if t.Failed() {
		for _, s := range h.profile("?frames=all").Sample {
			t.Logf("%v\n%s", s.Value, dump(s))
		}
	}
}
