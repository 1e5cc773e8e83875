package cohort

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/holders"
)

// eachSaved calls f with each row of the profiles in a directory of testdata. They are of real
// programs that leak nothing (tests/programs/false-leaks), cut down to some of their stacks.
func eachSaved(t *testing.T, dir string, f func(t *testing.T, key holders.RowKey, w *Why)) {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join("testdata", dir, "*.pb.gz"))
	if len(paths) == 0 {
		t.Fatal("no profile is saved in testdata/" + dir)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p, err := profile.ParseData(text)
			if err != nil {
				t.Fatal(err)
			}
			for key, row := range read(t, p).Rows {
				if row.InUse() > 0 {
					f(t, key, row.Judge(nil))
				}
			}
		})
	}
}

// Under a steady load. duckdb-fills is of its 16th minute: the queue of what may be evicted, and
// the handles that it refers to, are purged each few thousand queries, the first time at the 20th
// minute, and stay at 1.6 MiB.
func TestSavedLoads(t *testing.T) {
	eachSaved(t, "steady", func(t *testing.T, _ holders.RowKey, w *Why) {
		if w.Class == Leak {
			t.Error(w.Says)
		}
		for _, p := range w.Parts {
			if p.Class == Leak {
				t.Errorf("%d stacks are called a leak: %s", p.Stacks, w.Says)
			}
		}
	})
}

// At rest for 15 minutes: nothing of the whole process has been allocated since.
func TestSavedAtRest(t *testing.T) {
	eachSaved(t, "rest", func(t *testing.T, _ holders.RowKey, w *Why) {
		if w.Class != WarmUp {
			t.Errorf("%s: %s", w.Class, w.Says)
		}
	})
}

// known is what go-why and the example hold after half an hour, by Go function. No row may be of
// another class, unless it is too early to say.
var known = map[string]Class{
	"main.leak": Leak, "main.cacheRandom": Cache, "main.cacheFIFO": Cache, "main.warmUp": WarmUp,
	"main.churn": Churn, "main.finalized": Cache, "main.cleaned": Cache, "main.drip": Leak,
	"main.cacheLRU": Cache, "main.cacheSlow": Cache, "main.openStore": WarmUp,
	"main.compress": Leak, "main.(*store).prepare": Leak, "main.audit_actor": Leak,
}

// mayBeEarly are those whose samples are too few, or whose blocks live for as long as they were
// watched.
var mayBeEarly = map[string]bool{"main.drip": true, "main.cacheLRU": true, "main.cacheSlow": true,
	"main.openStore": true}

func TestSavedOfKnownTruth(t *testing.T) {
	found := map[string]bool{}
	eachSaved(t, "known", func(t *testing.T, key holders.RowKey, w *Why) {
		name := key.GoCaller
		if w.Class != known[name] && w.Class != TooEarly {
			t.Errorf("%s: %s, want %s", name, w.Says, known[name])
		}
		found[name] = found[name] || w.Class == known[name]
	})
	for name, want := range known {
		if !found[name] && !mayBeEarly[name] {
			t.Errorf("no row of %s is %s", name, want)
		}
	}
}
