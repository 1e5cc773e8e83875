package e2e

import (
	"os"
	"os/exec"
	"strings"
)

// Programs for another processor: with CGOHEAP_E2E_ARCH=arm64 they are built by Debian's cross
// compilers, with CGOHEAP_E2E_CFLAGS, and run by an emulator in CGOHEAP_E2E_ROOT (`tools/roots make
// arm64`). That does for stacks, labels and profiles, not for the account: /proc shows the
// emulator's memory (tests/programs/arm64).

type processor struct{ triple, emulator string }

var processors = map[string]processor{"arm64": {"aarch64-linux-gnu", "qemu-aarch64"}}

var (
	emulatedArch = os.Getenv("CGOHEAP_E2E_ARCH")
	emulatedRoot = os.Getenv("CGOHEAP_E2E_ROOT")
	emulated     = processors[emulatedArch]
)

// compiler is the command line of "cc" or "c++", by its words.
func compiler(native string) []string {
	if emulatedArch == "" {
		return []string{native}
	}
	name := map[string]string{"cc": "gcc", "c++": "g++"}[native]
	return append([]string{emulated.triple + "-" + name, "--sysroot=" + emulatedRoot},
		strings.Fields(os.Getenv("CGOHEAP_E2E_CFLAGS"))...)
}

func compile(args ...string) *exec.Cmd {
	words := append(compiler("cc"), args...)
	return exec.Command(words[0], words[1:]...)
}

// targetEnviron is what `go build` needs to know of the processor.
func targetEnviron() []string {
	if emulatedArch == "" {
		return nil
	}
	return []string{"GOARCH=" + emulatedArch, "CC=" + strings.Join(compiler("cc"), " "),
		"CXX=" + strings.Join(compiler("c++"), " ")}
}

// hostCommand runs a program with these variables. What is preloaded into it is not for the
// emulator.
func hostCommand(path string, args, env []string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	if emulatedArch != "" {
		words := append([]string{"-L", emulatedRoot, path}, args...)
		cmd = exec.Command(emulated.emulator, words...)
		for i, e := range env {
			if strings.HasPrefix(e, "LD_PRELOAD=") {
				env[i] = "QEMU_SET_ENV=" + e
			}
		}
	}
	cmd.Env = env
	return cmd
}
