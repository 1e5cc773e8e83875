package stacks

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cgoheap.example/cli/internal/fixture"
)

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// The module is the binary's own, also where it is stripped.
func TestModuleOfABinary(t *testing.T) {
	var r CallerRule
	r.Know(fixture.Go(t, "stripped-module", fixture.GoPlain, "0", "-ldflags=-s -w"))
	if r.Module != "example.com/fixture" {
		t.Errorf("%+v", r)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(fixture.GoPlain), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", "x", "x.go")
	build.Dir, build.Env = dir, append(os.Environ(), "GO111MODULE=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	r = CallerRule{}
	r.Know(filepath.Join(dir, "x"))
	r.Know(filepath.Join(dir, "missing"))
	if r.Module != "" {
		t.Errorf("%+v", r)
	}
}
