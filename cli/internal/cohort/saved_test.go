package cohort

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/pprof/profile"
)

// eachSaved calls f with each row of the profiles in a directory of testdata. They are of real
// programs that leak nothing (tests/programs/false-leaks), cut down to some of their stacks.
func eachSaved(t *testing.T, dir string, f func(t *testing.T, w *Why)) {
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
			for _, row := range read(t, p).Rows {
				if row.InUse() > 0 {
					f(t, row.Judge(nil))
				}
			}
		})
	}
}

// Under a steady load. duckdb-fills is of its 16th minute: the queue of what may be evicted, and
// the handles that it refers to, are purged each few thousand queries, the first time at the 20th
// minute, and stay at 1.6 MiB.
func TestSavedLoads(t *testing.T) {
	eachSaved(t, "steady", func(t *testing.T, w *Why) {
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
	eachSaved(t, "rest", func(t *testing.T, w *Why) {
		if w.Class != WarmUp {
			t.Errorf("%s: %s", w.Class, w.Says)
		}
	})
}
