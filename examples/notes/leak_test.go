package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cgoheap.example/cgo_bridge/leaktest"
)

// Each leak in a test that finds it, under `go test -exec 'cgoheap run --sample-bytes 1 --'`.
// With NOTES_FIXED=1 they pass. Without the library they are skipped.

func TestMain(m *testing.M) {
	leaks.fixed = os.Getenv("NOTES_FIXED") == "1"
	auditSetFrees(leaks.fixed)
	os.Exit(m.Run())
}

// openForTest opens a store that is closed after the check, and uses it once: SQLite's caches
// are no leak.
func openForTest(t *testing.T) *store {
	s, err := openStore(filepath.Join(t.TempDir(), "notes.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	ctx := context.Background()
	for i := 0; i < 20; i++ {
		if _, err := s.add(ctx, note{Title: fmt.Sprint("note ", i), Body: "text"}); err != nil {
			t.Fatal(err)
		}
	}
	search(t, s, "warm")
	return s
}

func search(t *testing.T, s *store, term string) {
	t.Helper()
	if _, err := s.search(context.Background(), term); err != nil {
		t.Fatal(err)
	}
}

func TestSearch(t *testing.T) {
	s := openForTest(t)
	leaktest.Check(t)
	for i := 0; i < 10; i++ {
		search(t, s, fmt.Sprint("term ", i))
	}
}

func TestBlobWithWrongDigest(t *testing.T) {
	s := openForTest(t)
	leaktest.Check(t)
	for i := 0; i < 3; i++ {
		body := strings.NewReader(strings.Repeat("blob ", 1000))
		if _, err := s.putBlob(context.Background(), "b", "wrong", body); !errors.Is(err,
			errDigest) {
			t.Fatal(err)
		}
	}
}

func TestAudit(t *testing.T) {
	leaktest.Check(t)
	for i := 0; i < 50; i++ {
		auditRecord("someone", "something happened")
	}
}
