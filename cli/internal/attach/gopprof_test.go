package attach

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/fakeshim"
)

func TestGoPprofURL(t *testing.T) {
	const heap = "http://127.0.0.1:6060/debug/pprof/heap?debug=1"
	for given, want := range map[string]string{
		"127.0.0.1:6060":                                 heap,
		"http://127.0.0.1:6060":                          heap,
		"http://127.0.0.1:6060/":                         heap,
		"http://127.0.0.1:6060/debug/pprof/":             heap,
		"http://127.0.0.1:6060/debug/pprof/heap":         heap,
		"http://127.0.0.1:6060/debug/pprof/heap?debug=2": heap,

		"https://h/admin/pprof/heap?token=x": "https://h/admin/pprof/heap?debug=1&token=x",
	} {
		if got, err := GoPprofURL(given); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", given, got, err, want)
		}
	}
	for _, bad := range []string{"", "unix:///run/x", "http://", "://", "http://[::1"} {
		if got, err := GoPprofURL(bad); err == nil {
			t.Errorf("%q: %s", bad, got)
		}
	}
}

func TestParseMemStats(t *testing.T) {
	g, err := ParseMemStats([]byte(fakeshim.MemStats))
	if err != nil || *g.HeapInUse != 100 || *g.HeapFree != 10 || *g.HeapReleased != 20 ||
		*g.Stacks != 7 || *g.Metadata != 31 {
		t.Errorf("%+v %v", g, err)
	}
	const (
		other       = "is not a heap profile with Go's MemStats"
		contradicts = "has figures that contradict each other"
	)
	with := func(old, new string) string { return strings.Replace(fakeshim.MemStats, old, new, 1) }
	for text, want := range map[string]string{
		"":                               other,
		"hello":                          other,
		with("HeapIdle", "HeapIdol"):     other,
		with("# runtime.MemStats\n", ""): other,
		with("HeapInuse = 100", "HeapInuse = -1"):      other,
		with("HeapReleased = 20", "HeapReleased = 31"): contradicts,
	} {
		_, err := ParseMemStats([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s of\n%s", err, want, text)
		}
	}
}

// What the runtime's variables said, the service does not change.
func TestGoPprofFillsOnlyWhatIsUnknown(t *testing.T) {
	a := &account.Account{}
	from, err := ParseMemStats([]byte(fakeshim.MemStats))
	err = errors.Join(err, json.Unmarshal([]byte(fakeshim.Account("serve", 1)), a),
		a.FillGo(from, "http://x"))
	if err != nil {
		t.Fatal(err)
	}
	if *a.Go.HeapInUse != 60<<20 || a.Go.Source != "runtime.gcController" || *a.Go.Metadata != 31 {
		t.Errorf("%+v", a.Go)
	}
	a.Go.Stacks = nil
	if err := a.FillGo(from, "http://x"); err != nil {
		t.Fatal(err)
	}
	if *a.Go.Stacks != 7 || a.Go.Source != "runtime.gcController, runtime.MemStats" {
		t.Errorf("%+v", a.Go)
	}
}
