// Package gosym holds the shim's reader of Go symbols to what Go itself says:
// the runtime in the same process, and go tool addr2line from outside, on real
// binaries of the oldest to the newest release, with and without symbols.
package gosym

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// GOSYM_TOOLCHAINS="1.18.10 1.20.14" tests those instead.
func toolchains() []string {
	if list := os.Getenv("GOSYM_TOOLCHAINS"); list != "" {
		return strings.Fields(list)
	}
	return []string{"1.21.13", "1.24.13", "1.26.8", "1.27.4"}
}

// oneToolchain is that of tests/e2e, too: what Go compiles for a variant is shared.
const oneToolchain = "1.26.8"

var variants = []struct {
	name string
	args []string
	c    bool // C functions lie in Go's text
	each bool // by each release in make test, too; the others there by one
}{
	{"plain", nil, false, true},
	{"pie", []string{"-buildmode=pie"}, false, false},
	{"stripped", []string{"-ldflags=-s -w"}, false, true},
	{"stripped_pie", []string{"-buildmode=pie", "-ldflags=-s -w"}, false, false},
	{"internal", []string{"-ldflags=-linkmode=internal"}, true, false},
}

// What the program includes of the shim.
var sources = []string{"base/*.h", "proc/elffile.[ch]", "proc/elfsym.[ch]", "go/gomodules.[ch]",
	"go/gosym.[ch]", "go/gotables.[ch]", "base/lock.[ch]", "proc/modules.[ch]",
	"region/region.[ch]", "base/sort.[ch]", "profile/symbolize.[ch]",
	"profile/symbol_cache.h"}

// overlay puts a file with a hash of the shim's sources into the program: go
// build does not know what its C files include from elsewhere.
func overlay(t *testing.T) string {
	t.Helper()
	hash := sha256.New()
	for _, name := range sources {
		files, err := filepath.Glob("../../shim/" + name)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", name, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			hash.Write(text)
		}
	}
	dir := t.TempDir()
	stamp := filepath.Join(dir, "stamp.h")
	program, err := filepath.Abs("program")
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(map[string]interface{}{
		"Replace": map[string]string{filepath.Join(program, "stamp.h"): stamp},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	write(t, stamp, fmt.Appendf(nil, "// %x\n", hash.Sum(nil)))
	write(t, file, list)
	return file
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

func goCommand(version string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=go"+version, "CGO_ENABLED=1",
		"GOFLAGS=-buildvcs=false")
	return cmd
}

// build keeps the program under build/, where go build finds it up to date next time.
func build(t *testing.T, overlay, version, variant string, args []string) string {
	t.Helper()
	program, err := filepath.Abs(filepath.Join("../../build/gosym", version+"-"+variant))
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"build", "-overlay", overlay, "-o", program}, args...)
	run(t, goCommand(version, append(args, "./program")...))
	return program
}

func TestAgainstTheRuntime(t *testing.T) {
	stamp := overlay(t)
	for _, version := range toolchains() {
		for _, v := range variants {
			if !v.each && !longTests && version != oneToolchain {
				continue
			}
			t.Run(version+"/"+v.name, func(t *testing.T) {
				out := run(t, exec.Command(build(t, stamp, version, v.name, v.args)))
				var pcs, functions, inlined, wrappers, c, differences int
				if _, err := fmt.Sscanf(out, "pcs %d functions %d inlined %d wrappers %d c %d "+
					"differences %d",
					&pcs, &functions, &inlined, &wrappers, &c, &differences); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				// What a program of this size has at the least: a sweep that
				// looked at nothing must not pass.
				if pcs < 40000 || functions < 2500 || inlined < 8000 || wrappers < 150 ||
					differences != 0 {
					t.Error(out)
				}
				if (c > 30) != v.c {
					t.Errorf("C functions in Go's text: %s", out)
				}
			})
		}
	}
}

// The name a runtime.Frame has: debug/gosym keeps type arguments.
func printed(name string) string {
	open, end := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']')
	if open < 0 || end <= open {
		return name
	}
	return name[:open] + "[...]" + name[end+1:]
}

func TestAgainstAddr2line(t *testing.T) {
	stamp := overlay(t)
	for _, version := range toolchains() {
		t.Run(version, func(t *testing.T) {
			program := build(t, stamp, version, "plain", nil)
			list := strings.Split(strings.TrimSpace(run(t, exec.Command(program, "-list", "-step",
				"499"))), "\n")
			if len(list) < 1000 {
				t.Fatalf("%d pcs only", len(list))
			}
			var addresses strings.Builder
			for _, line := range list {
				fmt.Fprintln(&addresses, "0x"+strings.Fields(line)[0])
			}
			cmd := goCommand(version, "tool", "addr2line", program)
			cmd.Stdin = strings.NewReader(addresses.String())
			want := strings.Split(run(t, cmd), "\n")
			for i, line := range list {
				pc, got, _ := strings.Cut(line, " ")
				if oracle := printed(want[2*i]) + " " + want[2*i+1]; got != oracle {
					t.Errorf("%s: %s, addr2line: %s", pc, got, oracle)
				}
			}
		})
	}
}
