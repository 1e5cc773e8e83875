package program

import (
	"os"
	"path/filepath"
	"strings"

	"cgoheap.example/cli/internal/attach"
)

// SeccompMode is the strictest mode of a process's threads, as in /proc: "0" none, "1" strict,
// "2" a filter; "": unknown.
func SeccompMode(pid int) string {
	files, _ := filepath.Glob(attach.ProcPath(pid, "task/*/status"))
	mode := ""
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		if of := seccompModeIn(string(text)); of > mode {
			mode = of
		}
	}
	return mode
}

func seccompModeIn(status string) string {
	for _, line := range strings.Split(status, "\n") {
		if value, found := strings.CutPrefix(line, "Seccomp:"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// CheckSeccomp says what does not work in a process under that mode; nil: all works.
func CheckSeccomp(mode string) *Check {
	var c Check
	switch mode {
	case "0":
		return nil
	case "1", "2":
		c = Warn("seccomp", "a filter that forbids more than systemd's @system-service "+
			"or a container runtime's default has to allow what docs/safety.md lists",
			"a seccomp filter is active: "+
				"cgoheap makes only system calls that the usual filters allow. "+
				"Not available here: seccomp: mincore, so that the account says unknown where "+
				"/proc/self/pagemap cannot be read, "+
				"and process_vm_readv, for which /proc/self/mem stands in")
	default:
		c = Warn("seccomp", "", "cannot read whether a seccomp filter is active: "+
			"cgoheap behaves as if one were")
	}
	return &c
}
