package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"cgoheap/cli/internal/attach"
)

// Programs of the kinds that doctor tells apart, built here with the toolchains at hand.

const (
	goPlain = "package main\nfunc main() {}\n"
	goUser  = "package main\nimport \"os/user\"\nfunc main() { user.Current() }\n"
	goCgo   = `package main

// #include <stdlib.h>
// static void *grab(void) { return malloc(10); }
import "C"
import ("os"; "fmt"; "strings"; "os/signal"; "syscall")

func main() {
	C.free(C.grab())
	if len(os.Args) > 1 && os.Args[1] == "environ" {
		for _, e := range os.Environ() {
			if strings.HasPrefix(e, "CGOHEAP_") || strings.HasPrefix(e, "LD_PRELOAD=") { fmt.Println(e) }
		}
		fmt.Println("arguments", strings.Join(os.Args[1:], " "))
		os.Exit(7)
	}
	if len(os.Args) > 1 && os.Args[1] == "signal" {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGUSR1)
		fmt.Println("ready", os.Getpid())
		<-c
		os.Exit(9)
	}
}
`
	goMalloc = `package main

// #include <stdlib.h>
// static char arena[1 << 20]; static size_t used;
// void *malloc(size_t n) { void *p = arena + used; used += (n + 15) & ~15ul; return p; }
// void free(void *p) { (void)p; }
// void *calloc(size_t a, size_t b) { return malloc(a * b); }
// void *realloc(void *p, size_t n) { (void)p; return malloc(n); }
import "C"
func main() { C.free(C.malloc(1)) }
`
	goPlugin  = "package main\n// static int one(void) { return 1; }\nimport \"C\"\nfunc Handle() int { return int(C.one()) }\n"
	goShared  = "package main\n// static int one(void) { return 1; }\nimport \"C\"\n//export GoOne\nfunc GoOne() int { return int(C.one()) }\nfunc main() {}\n"
	goOpens   = "package main\n// static int one(void) { return 1; }\nimport \"C\"\nimport \"plugin\"\nfunc main() { plugin.Open(\"none\"); C.one() }\n"
	cPlain    = "int main(void) { return 0; }\n"
	cJemalloc = "#include <stdlib.h>\nvoid *je_malloc(size_t n) { return malloc(n); }\nint main(void) { return je_malloc(1) == 0; }\n"
)

var (
	fixtureLock sync.Mutex
	fixtures    = map[string]string{}
)

// fixture builds a program once.
func fixture(t *testing.T, name string, build func(path string) *exec.Cmd) string {
	t.Helper()
	fixtureLock.Lock()
	defer fixtureLock.Unlock()
	path := filepath.Join(testDir, name)
	if fixtures[name] != "" {
		return fixtures[name]
	}
	if out, err := build(path).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	fixtures[name] = path
	return path
}

func goFixture(t *testing.T, name, source, cgoEnabled string, args ...string) string {
	t.Helper()
	return fixture(t, name, func(path string) *exec.Cmd {
		dir := path + ".src"
		check0(os.MkdirAll(dir, 0o755))
		check0(os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644))
		check0(os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/fixture\n\ngo 1.21\n"), 0o644))
		c := exec.Command("go", append(append([]string{"build", "-buildvcs=false"}, args...), "-o", path, ".")...)
		c.Dir = dir
		c.Env = append(os.Environ(), "CGO_ENABLED="+cgoEnabled)
		return c
	})
}

func cFixture(t *testing.T, name, source string, args ...string) string {
	t.Helper()
	return fixture(t, name, func(path string) *exec.Cmd {
		file := path + ".c"
		check0(os.WriteFile(file, []byte(source), 0o644))
		return exec.Command("cc", append([]string{"-o", path, file}, args...)...)
	})
}

func cgoProgram(t *testing.T) string { return goFixture(t, "cgo", goCgo, "1") }

// emptyLibrary is a libcgoheap.so that does nothing.
func emptyLibrary(t *testing.T) string {
	t.Helper()
	return cFixture(t, attach.LibraryName, "", "-shared", "-fPIC")
}

// patched is a copy with bytes of the ELF header changed.
func patched(t *testing.T, path, name string, offset int, value ...byte) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(text[offset:], value)
	return written(t, name, string(text), 0o755)
}

func written(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(testDir, name)
	check0(os.WriteFile(path, []byte(text), 0o600))
	check0(os.Chmod(path, mode))
	return path
}
