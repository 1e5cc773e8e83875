package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// testBinary is the test program of the module at dir, kept by the hash of what went into it.
func testBinary(t testing.TB, dir string, b build, flags ...string) string {
	t.Helper()
	inputs := []string{dir, filepath.Join(repositoryRoot(), "cgo_bridge")}
	key, err := hashInputs(inputs, b, append([]string{"test"}, flags...))
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(cacheDir(t), key, filepath.Base(dir)+".test")
	if _, err := os.Stat(out); err == nil {
		return out
	}
	args := append(append([]string{"test", "-c", "-o", out + ".new"}, flags...), ".")
	if text, err := goCommand(b.goVersion, dir, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := os.Rename(out+".new", out); err != nil {
		t.Fatal(err)
	}
	return out
}

func leaksDir() string { return filepath.Join(repositoryRoot(), "tests", "programs", "go-leaks") }

func leaksTest(t testing.TB, b build, flags ...string) string {
	t.Helper()
	return testBinary(t, leaksDir(), b, flags...)
}

// ran is what a command printed, and its exit code.
type ran struct {
	text string
	code int
}

// runHere in dir, with the variables added; what it leaves in TMPDIR is a failure.
func runHere(t *testing.T, dir string, env []string, name string, args ...string) ran {
	t.Helper()
	temporary := t.TempDir()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(cleanEnviron(), "TMPDIR="+temporary), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(temporary, "cgoheap*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return ran{string(out), cmd.ProcessState.ExitCode()}
}

// leakCheck runs one test of go-leaks under cgoheap run --leak-check.
func leakCheck(t *testing.T, binary, test string, flags ...string) ran {
	t.Helper()
	args := append(append([]string{"run", "--leak-check"}, flags...), "--", binary, "-test.run",
		"^"+test+"$")
	return runHere(t, t.TempDir(), nil, built(t, "cgoheap"), args...)
}

// wants the exit code, and each of the patterns in the text; those that begin with ! not.
func (r ran) wants(t *testing.T, code int, patterns ...string) {
	t.Helper()
	ok := r.code == code
	for _, p := range patterns {
		pattern, unwanted := strings.CutPrefix(p, "!")
		if regexp.MustCompile(pattern).MatchString(r.text) == unwanted {
			t.Errorf("%q is there: %v", pattern, unwanted)
			ok = false
		}
	}
	if !ok {
		t.Errorf("exit code %d, want %d; it printed\n%s", r.code, code, r.text)
	}
}

const (
	heldAtExit    = ` of C memory at exit that was allocated after start-up:\n`
	nothingLeaked = `leak check of 1 program: nothing leaked`
)

func TestLeakCheckAtExit(t *testing.T) {
	for _, version := range outerVersions() {
		t.Run("go"+version, func(t *testing.T) {
			t.Parallel()
			p := leaksTest(t, build{version, "plain"})
			leakCheck(t, p, "TestExitClean").wants(t, 0, `(?m)^PASS$`, nothingLeaked,
				"!"+heldAtExit)
			leakCheck(t, p, "TestExitLeaks").wants(t, 1,
				`leaks.test \(\d+\) held 10.9 KiB \(11,192 bytes\) in 4 blocks`+heldAtExit,
				`(?s)8,192 bytes\) in 1 block, mapped\n.*leaks.MapPages\n +\S*/leaks.go:\d+\n`,
				`(?s)3,000 bytes\) in 3 blocks\n    malloc\n.*\n    take\n +\S*/leaks.go:\d+\n.*`+
					`leaks.Take\n.*leaks.TestExitLeaks\n +\S*/exit_test.go:\d+\n`)
			// Its own exit code is kept; nothing of the last moment is missing.
			leakCheck(t, p, "TestExitLastInstant").wants(t, 3,
				`held 7.6 KiB \(7,770 bytes\) in 777 blocks`)
			leakCheck(t, p, "TestExitKilled").wants(t, 128+9, `held 555 bytes in 1 block of`)
		})
	}
}

func TestLeakCheckOptions(t *testing.T) {
	p := leaksTest(t, oneBuild())
	file := filepath.Join(t.TempDir(), "suppressions")
	write := func(text string) string {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return "--suppressions=" + file
	}
	leakCheck(t, p, "TestExitLeaks", "--leak-check=11191").wants(t, 1, `held 10.9 KiB`)
	leakCheck(t, p, "TestExitLeaks", "--leak-check=11192").wants(t, 0, `held 10.9 KiB`)
	leakCheck(t, p, "TestExitLeaks", write(
		"# known\nmap_pages\nleaks.Tak?\nnever_called\n")).wants(t, 0,
		nothingLeaked+`; suppressed 1[01]\.[0-9] KiB`,
		`unused suppression: \S+/suppressions:4: never_called\n`,
		"!unused.*map_pages")
	leakCheck(t, p, "TestExitLeaks", write("leak:^map_pa")).wants(t, 1,
		`held 2.9 KiB \(3,000 bytes\)`)
	leakCheck(t, p, "TestExitClean", "--no-default-suppressions").wants(t, 1, `os.Setenv`)
	leakCheck(t, p, "TestExitClean", write("race:x")).wants(t, 2,
		`line 1: unknown kind of suppression`)
	leakCheck(t, p, "TestExitClean", "--dormant").wants(t, 2, `leave --dormant out`)
}

// A check that could not look does not pass.
func TestLeakCheckCannotTell(t *testing.T) {
	p := leaksTest(t, oneBuild())
	leakCheck(t, p, "TestExitFull", "--max-memory=4MiB").wants(t, 1,
		`cannot tell: .*raise --max-memory`)
	leakCheck(t, p, "TestExitSwitchedOff").wants(t, 1, `cannot tell: for a time sampling was off`,
		`of 1 program it cannot be told`)
	cgoheap := built(t, "cgoheap")
	runHere(t, "", nil, cgoheap, "run", "--leak-check", "--", "true").wants(t, 1,
		`nothing was checked`)
	limited := `ulimit -f 1000; exec "$0" -test.run TestExitClean`
	runHere(t, "", nil, cgoheap, "run", "--leak-check", "--", "sh", "-c", limited, p).wants(t, 1,
		`leaks.test.\d+: cannot tell: its recording could not be made`)
}

// Whoever a child of root's is, and whatever TMPDIR is called, nothing is missed.
func TestLeakCheckOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	p := leaksTest(t, oneBuild())
	script := `"$0" -test.run TestExitClean && exec setpriv --reuid 65534 --regid 65534 ` +
		`--clear-groups "$0" -test.run TestExitLeaks`
	place := filepath.Join(t.TempDir(), "a[b]c")
	for _, dir := range []string{filepath.Dir(filepath.Dir(place)), filepath.Dir(place), place} {
		_ = os.Mkdir(dir, 0o755)
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(place, "leaks.test") // where another user may read it
	text, err := os.ReadFile(p)
	if err == nil {
		err = os.WriteFile(program, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	runHere(t, place, []string{"TMPDIR=" + place}, built(t, "cgoheap"), "run", "--leak-check",
		"--", "sh", "-c", script, program).wants(t, 1,
		`leak check of 2 programs: 10.9 KiB \(11,192 bytes\) in 4 blocks leaked`)
}

// More programs at a time, and one after another, than the recorder keeps files of.
func TestLeakCheckOfManyPrograms(t *testing.T) {
	p := leaksTest(t, oneBuild())
	script := `for i in 1 2 3; do
		for j in 1 2 3 4 5 6 7 8; do "$0" -test.run "TestExitClean|TestExitL.*s$" & done; wait; done >/dev/null`
	r := runHere(t, "", nil, built(t, "cgoheap"), "run", "--leak-check", "--", "sh", "-c", script,
		p)
	r.wants(t, 1, `leak check of 24 programs: 262.3 KiB \(268,608 bytes\) in 96 blocks leaked`)
	if n := strings.Count(r.text, "held 10.9 KiB (11,192 bytes) in 4 blocks"); n != 24 {
		t.Errorf("%d programs with a leak", n)
	}
}

func TestLeakCheckPassesSignalsOn(t *testing.T) {
	cmd := exec.Command(built(t, "cgoheap"), "run", "--leak-check", "--",
		leaksTest(t, oneBuild()), "-test.run", "TestExitSignal")
	cmd.Env = cleanEnviron()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(pipe)
	for line := ""; !strings.HasPrefix(line, "ready "); {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	var rest bytes.Buffer
	_, _ = rest.ReadFrom(lines)
	_ = cmd.Wait()
	ran{rest.String(), cmd.ProcessState.ExitCode()}.wants(t, 128+15, nothingLeaked)
}

// go test: its programs are removed when it ends, and have C's names all the same; a second run
// is no answer from the cache.
func TestLeakCheckOfGoTest(t *testing.T) {
	for _, version := range outerVersions() {
		t.Run("go"+version, func(t *testing.T) {
			env := []string{"GOTOOLCHAIN=go" + version, "GOFLAGS=-buildvcs=false", "CGO_ENABLED=1"}
			for range 2 {
				r := runHere(t, leaksDir(), env, built(t, "cgoheap"), "run", "--leak-check", "--",
					"go", "test", "-run", "TestExitLeaks", "./...")
				r.wants(t, 1, `ok  \tcgoheap.test/leaks`, `held 10.9 KiB \(11,192 bytes\)`,
					`(?s)\n    take\n +\S*/leaks.go:\d+\n.*leaks.Take\n`)
				if strings.Contains(r.text, "cgoheap: go:") {
					t.Errorf("the go command itself is no news:\n%s", r.text)
				}
			}
			runHere(t, leaksDir(), env, "go", "test", "-count=1", "-run", "TestExitLeaks", "-exec",
				built(t, "cgoheap")+" run --leak-check --", ".").wants(t, 1, `held 10.9 KiB`,
				"FAIL")
		})
	}
}

// go-sqlite3's own tests under `go test -exec`: those that close what they open leave nothing.
func TestLeakCheckOfSqlite(t *testing.T) {
	b := oneBuild()
	dir := moduleDir(t, b, "github.com/mattn/go-sqlite3@v1.14.28")
	binary := buildTest(t, b, dir, ".")
	check := func(tests string) ran {
		return runHere(t, dir, nil, built(t, "cgoheap"), "run", "--leak-check", "--", binary,
			"-test.run", tests)
	}
	check("^(TestOpen|TestInsert|TestUpdate|TestDelete|TestTimestamp|TestTransaction|TestWAL)$").
		wants(t, 0, nothingLeaked)
	check("^TestNilAndEmptyBytes$").wants(t, 1,
		`(?s)sqlite3MemMalloc\n.*go-sqlite3.TestNilAndEmptyBytes\n +\S*/sqlite3_test.go:\d+\n`)
}

// wantTests: each test of a -test.v log whose name says so has passed or failed.
func wantTests(t *testing.T, r ran, atLeast int) {
	t.Helper()
	verdict := regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+)`)
	seen := 0
	for _, m := range verdict.FindAllStringSubmatch(r.text, -1) {
		last := m[2][strings.LastIndexByte(m[2], '/')+1:]
		want := map[bool]string{true: "FAIL", false: "PASS"}[strings.Contains(last, "Leaky")]
		if !strings.Contains(last, "Leaky") && !strings.Contains(last, "Fine") {
			continue
		}
		seen++
		if m[1] != want {
			t.Errorf("%s: %s", m[2], m[1])
		}
	}
	if seen < atLeast || t.Failed() {
		t.Errorf("%d tests, want %d; it printed\n%s", seen, atLeast, r.text)
	}
}

// leakTests are the builds: the oldest and the newest Go, and what the go line of go.mod may say.
func leakTests(t *testing.T) map[string]string {
	newest := build{goVersions()[len(goVersions())-1], "plain"}
	language := strings.Join(strings.Split(newest.goVersion, ".")[:2], ".")
	programs := map[string]string{
		"oldest": leaksTest(t, build{goVersions()[0], "plain"}), "newest": leaksTest(t, newest)}
	for _, line := range []string{"1.22", language} {
		programs["go_line_"+line] = leaksTest(t, newest, aged(t, leaksDir(), line))
	}
	return programs
}

func TestLeaktest(t *testing.T) {
	for name, p := range leakTests(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			under := func(env string, flags ...string) ran {
				args := append(append([]string{"run"}, flags...), "--", p, "-test.v",
					"-test.run", "Check|Nested|Parallel|Hidden")
				return runHere(t, t.TempDir(), []string{env}, built(t, "cgoheap"), args...)
			}
			r := under("LEAKS_MAIN=0", "--sample-bytes=1")
			wantTests(t, r, 18)
			r.wants(t, 1, `: 3000 bytes in 3 blocks of C memory were allocated in this test`,
				`(?s)12288 bytes in 1 block, mapped\n.*leaks.MapPages\n`,
				`(?s) 30 bytes in 1 block`,
				`(?s) 40 bytes in 1 block.*\n`, `leaks.TestCheckLeaky\n +\S*/check_test.go:\d+\n`,
				`(?s)33 bytes in 1 block.*leaks.TestParallel.func1.1\n`,
				`goroutines without its label allocated (44|88) bytes`, "!these tests")
			// The usual interval is made 1.  Main finds what no test could be blamed for.
			r = under("LEAKS_MAIN=1")
			wantTests(t, r, 18)
			r.wants(t, 1,
				`(?s)\nleaktest: 88 bytes in 2 blocks of C memory were allocated in these tests.*`+
					`leaks.TestHiddenFine`)
		})
	}
}

func TestLeaktestCannotTell(t *testing.T) {
	p := leaksTest(t, oneBuild())
	run := func(test string, flags ...string) ran {
		args := append(append([]string{"run", "--sample-bytes=1"}, flags...), "--", p, "-test.run",
			test)
		return runHere(t, t.TempDir(), nil, built(t, "cgoheap"), args...)
	}
	run("TestRoom").wants(t, 0, "PASS")
	run("TestRoom", "--max-memory=4MiB").wants(t, 1,
		`cannot tell whether C memory leaked: there was no room`)
	run("TestCoarse").wants(t, 1,
		`cannot tell whether C memory leaked: sampling was turned off or made coarser`)
}

// Without the library: nothing can be known.
func TestLeaktestWithoutLibrary(t *testing.T) {
	p := leaksTest(t, oneBuild())
	args := []string{"-test.v", "-test.run", "TestCheckFine(Unchecked)?$"}
	why := `libcgoheap.so is not preloaded: run the tests with go test -exec 'cgoheap run`
	runHere(t, "", nil, p, args...).wants(t, 0, why, `--- SKIP: TestCheckFine `,
		`--- PASS: TestCheckFineUnchecked `)
	runHere(t, "", []string{"CGOHEAP_REQUIRED=1"}, p, args...).wants(t, 1, why,
		`--- FAIL: TestCheckFine `, `--- FAIL: TestCheckFineUnchecked `)
	main := []string{"LEAKS_MAIN=1"}
	runHere(t, "", main, p, args...).wants(t, 0, `(?m)^leaktest: C memory is not checked`)
	runHere(t, "", append(main, "CGOHEAP_REQUIRED=1"), p, args...).wants(t, 1, "!RUN")
}

// The example's three leaks, each with the line that it comes from and its exact size, and nothing
// in the service without them, 20 times; 100 processes in make test-long.
func TestLeaktestOfTheExample(t *testing.T) {
	dir := filepath.Join(repositoryRoot(), "examples", "notes")
	p := testBinary(t, dir, oneBuild())
	under := func(fixed, mode string, args ...string) ran {
		list := append([]string{"run", mode, "--", p}, args...)
		return runHere(t, dir, []string{"NOTES_FIXED=" + fixed}, built(t, "cgoheap"), list...)
	}
	r := under("0", "--sample-bytes=1", "-test.v")
	r.wants(t, 1,
		`--- FAIL: TestSearch `,
		`(?s)bytes in \d+ blocks.*notes.\(\*store\).search\n +\S*/store.go:\d+\n`,
		`--- FAIL: TestBlobWithWrongDigest `,
		`(?s)in 3 blocks.*notes.compress\n +\S*/blobs.go:\d+\n`,
		`--- FAIL: TestAudit `,
		`(?s) 400 bytes in 50 blocks.*notes.audit_actor\n +\S*/audit.go:\d+\n`)
	processes, runs := 1, "20"
	if longTests {
		processes, runs = 100, "1"
	}
	for range processes {
		under("1", "--leak-check", "-test.count", runs).wants(t, 0, `(?m)^PASS$`, nothingLeaked)
	}
}
