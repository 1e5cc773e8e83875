package e2e

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// autopsy is what `cgoheap autopsy --json -o` says of the one file in dir.
type autopsy struct {
	Program string
	PID     int
	Alive   bool
	Copied  bool  `json:"copied_each_second"`
	Bytes   int64 `json:"in_use_bytes"`
	Rows    []struct {
		GoCaller string `json:"go_caller"`
		CLeaf    string `json:"c_leaf"`
		Bytes    int64  `json:"in_use_bytes"`
		Objects  int64  `json:"in_use_objects"`
	}
	Moments []second
	Account *struct {
		account
		Verdict []finding
	}
	Missing []string `json:"missing_binaries"`
	Notes   []string

	profile *profile.Profile
	account json.RawMessage // as it was printed
}

type second struct {
	Time            time.Time
	RSS             *int64 `json:"rss_bytes"`
	CLive           *int64 `json:"c_live_bytes"`
	AllocatorInUse  *int64 `json:"allocator_in_use_bytes"`
	AllocatorFree   *int64 `json:"allocator_free_bytes"`
	AllocatorSystem *int64 `json:"allocator_system_bytes"`
	GoHeapInUse     *int64 `json:"go_heap_in_use_bytes"`
	GoHeapFree      *int64 `json:"go_heap_free_bytes"`
	GoHeapReleased  *int64 `json:"go_heap_released_bytes"`
	GoStacks        *int64 `json:"go_stacks_bytes"`
}

func readAutopsy(t *testing.T, dir string) (a autopsy) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.cgoheap"))
	if len(files) != 1 {
		t.Fatalf("%d files: %v", len(files), files)
	}
	out := filepath.Join(t.TempDir(), "p.pb.gz")
	cmd := exec.Command(built(t, "cgoheap"), "autopsy", files[0], "--json", "-o", out)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("autopsy: %v\n%s", err, errs.String())
	}
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("autopsy: %v\n%s", err, text)
	}
	var raw struct{ Account json.RawMessage }
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	a.account = raw.Account
	data, err := os.ReadFile(out)
	if err == nil {
		a.profile, err = profile.ParseData(data)
	}
	if err == nil {
		err = a.profile.CheckValid()
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// boxDir is a directory in memory: the recorder's file has there at any moment what the process
// has.
func boxDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cgoheap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (a autopsy) row(goCaller string) (n, objects int64, leaf string) {
	for _, r := range a.Rows {
		if r.GoCaller == goCaller {
			return r.Bytes, r.Objects, r.CLeaf
		}
	}
	return 0, 0, ""
}

func (h *host) waitForMoments(dir string, n int) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		if len(readAutopsy(h.t.(*testing.T), dir).Moments) >= n {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatal("nothing is written each second")
		}
	}
}

// After kill -9 the file says what the process would have said a moment before:
// the same stacks, functions, files and lines, and the same figures.
func TestAutopsyAfterKill(t *testing.T) {
	for _, b := range everyBuild() {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			dir := boxDir(t)
			h := start(t, program(t, "go-driven", b), hostOptions{sampleBytes: 1,
				env: []string{"CGOHEAP_BLACKBOX=" + dir}})
			h.tell("alloc A 1000 1000")
			h.tell("alloc B 10 77")
			h.tell("free A 100")
			h.tell("spread 16 3 50")
			h.waitForMoments(dir, 2)
			if a := readAutopsy(t, dir); !a.Alive {
				t.Error("it is said to have ended")
			}
			live := h.profile("")
			h.cmd.Process.Kill()
			<-h.ended
			a := readAutopsy(t, dir)
			if a.Alive || a.PID != h.pid() || filepath.Base(a.Program) != "go-driven" ||
				len(a.Notes) != 0 || len(a.Missing) != 0 {
				t.Errorf("autopsy: %+v", a)
			}
			if n, objects, leaf := a.row("main.allocA"); n != 900_000 || objects != 900 ||
				(leaf != "dr_malloc" && b.mode != "stripped") {
				t.Errorf("main.allocA: %d bytes in %d objects by %s", n, objects, leaf)
			}
			if last := a.Moments[len(a.Moments)-1]; last.RSS == nil || *last.RSS < 1<<20 ||
				last.CLive == nil || *last.CLive < 900_000 {
				t.Errorf("the last second: %+v", last)
			}
			wantSameStacks(t, a.profile, live)
		})
	}
}

// On a disk the file is written once a second, by a descriptor of the library's that the host may
// close; none of it is mapped, so that the host never waits for it.
func TestAutopsyOfAFileOnADisk(t *testing.T) {
	var fs syscall.Statfs_t
	dir := t.TempDir()
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Type == 0x01021994 {
		t.Skip("the directory for temporary files is in memory")
	}
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1,
		env: []string{"CGOHEAP_BLACKBOX=" + dir}})
	// Alive from the first moment, before anything was written by the second.
	if a := readAutopsy(t, dir); !a.Alive || !a.Copied || len(a.Notes) != 0 {
		t.Errorf("autopsy: %+v", a)
	}
	waitFor := func(caller string, bytes, objects int64) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
			n, found, _ := readAutopsy(t, dir).row(caller)
			if n == bytes && found == objects {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d bytes in %d objects are written, want %d in %d", caller, n, found,
					bytes, objects)
			}
		}
	}
	h.tell("alloc A 1000 1000")
	waitFor("main.allocA", 1_000_000, 1000)
	h.tell("free A 100")
	h.tell("alloc B 10 77")
	waitFor("main.allocB", 770, 10)
	waitFor("main.allocA", 900_000, 900)
	h.waitForMoments(dir, 2)
	maps, err := os.ReadFile("/proc/" + strconv.Itoa(h.pid()) + "/maps")
	if err != nil || strings.Contains(string(maps), ".cgoheap") {
		t.Errorf("the file is mapped (%v)", err)
	}
	h.cmd.Process.Kill()
	<-h.ended
	a := readAutopsy(t, dir)
	if a.Alive || !a.Copied || len(a.Notes) != 0 || a.Account == nil || len(a.Moments) < 2 {
		t.Errorf("autopsy: %+v", a)
	}
	if n, objects, _ := a.row("main.allocA"); n != 900_000 || objects != 900 {
		t.Errorf("main.allocA: %d bytes in %d objects", n, objects)
	}
}

// Each stack of our functions, with each frame's function and file. The live profile has of C
// functions neither files nor inlined calls.
func wantSameStacks(t *testing.T, got, want *profile.Profile) {
	t.Helper()
	ours := func(p *profile.Profile) map[string]figures {
		m := map[string]figures{}
		for _, s := range p.Sample {
			if !contains(s, "main.obey") {
				continue
			}
			var text strings.Builder
			for _, l := range s.Location {
				lines := l.Line
				if n := len(lines); n > 0 && !strings.Contains(lines[n-1].Function.Name, ".") {
					text.WriteString(lines[n-1].Function.Name + "\n")
					continue
				}
				for _, line := range lines {
					text.WriteString(line.Function.Name + " " + line.Function.Filename + "\n")
				}
			}
			f := m[text.String()]
			f.add(s)
			m[text.String()] = f
		}
		return m
	}
	g, w := ours(got), ours(want)
	for stack, f := range w {
		if g[stack] != f {
			t.Errorf("%+v, want %+v of\n%s", g[stack], f, stack)
		}
	}
	if len(w) < 10 || len(g) != len(w) {
		t.Errorf("%d stacks, want %d", len(g), len(w))
	}
	if t.Failed() {
		for stack := range g {
			if _, ok := w[stack]; !ok {
				t.Logf("unexpected:\n%s", stack)
			}
		}
	}
}

// waitForAccount waits for one that was taken later than now; false: the process has ended.
func (h *host) waitForAccount(dir string) bool {
	h.t.Helper()
	asked := time.Now()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(
		100 * time.Millisecond) {
		select {
		case <-h.ended:
			return false
		default:
		}
		if a := readAutopsy(h.t.(*testing.T), dir); a.Account != nil &&
			a.Account.Time.After(asked) {
			return true
		}
	}
	h.t.Fatal("no account is written")
	return false
}

// wantAllFigures: what the allocator says and, in a program with symbols, what Go's runtime says.
func (m second) wantAllFigures(t *testing.T, stripped bool) {
	t.Helper()
	known := func(name string, n *int64, want bool) {
		if (n != nil) != want || n != nil && (*n < 0 || *n > 1<<40) {
			t.Errorf("the last second's %s: %v", name, n)
		}
	}
	known("allocator_in_use", m.AllocatorInUse, true)
	known("allocator_free", m.AllocatorFree, true)
	known("allocator_system", m.AllocatorSystem, true)
	known("go_heap_in_use", m.GoHeapInUse, !stripped)
	known("go_heap_free", m.GoHeapFree, !stripped)
	known("go_heap_released", m.GoHeapReleased, !stripped)
	known("go_stacks", m.GoStacks, !stripped)
}

// After kill -9 there is what explain said before.
func TestAutopsyIsWhatExplainSaid(t *testing.T) {
	for _, b := range everyBuild() {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			dir := boxDir(t)
			h := start(t, program(t, "go-driven", b), hostOptions{sampleBytes: 4096,
				env: []string{"CGOHEAP_BLACKBOX=" + dir}})
			h.tell("dirty A 2000 20000")
			h.tell("dirty B 1000 20000")
			h.tell("free B 900")
			h.account() // it holds still
			said := cgoheap(t, h, "explain", strconv.Itoa(h.pid()), "--json")
			var want account
			if err := json.Unmarshal(said, &want); err != nil {
				t.Fatal(err)
			}
			if !h.waitForAccount(dir) {
				t.Fatal("it ended by itself")
			}
			h.cmd.Process.Kill()
			<-h.ended
			a := readAutopsy(t, dir)
			if a.Account == nil {
				t.Fatal("there is no account")
			}
			got := a.Account.account
			wantAddsUp(t, got, want.RSS)
			for _, name := range ownerNames {
				slack := int64(512 << 10)
				if name == "shim" { // what it keeps in mind grows
					slack = 2 << 20
				}
				if !within(got.bytes(name), want.bytes(name), 0.03, slack) {
					t.Errorf("%s: autopsy says %d, explain said %d", name, got.bytes(name),
						want.bytes(name))
				}
			}
			if !within(*got.Allocator.InUse, *want.Allocator.InUse, 0.01, 64<<10) ||
				!within(*got.Allocator.Free, *want.Allocator.Free, 0.05, 256<<10) ||
				*got.Allocator.Arenas != *want.Allocator.Arenas || got.Go.Source != want.Go.Source {
				t.Errorf("autopsy says %+v %+v, explain said %+v %+v", got.Allocator, got.Go,
					want.Allocator, want.Go)
			}
			if len(a.Account.Verdict) == 0 || strings.Contains(a.Account.Verdict[0].Text,
				strconv.Itoa(h.pid())) {
				t.Errorf("the verdict: %+v", a.Account.Verdict)
			}
			wantSameShape(t, "account", a.account, said)
			a.Moments[len(a.Moments)-1].wantAllFigures(t, b.mode == "stripped")
		})
	}
}

// wantSameShape: the same members in the same order, known where they are known.
func wantSameShape(t *testing.T, where string, got, want json.RawMessage) {
	t.Helper()
	if strings.HasSuffix(where, ".grown") || strings.HasSuffix(where, ".verdict") {
		return
	}
	g, w := members(got), recorded(members(want))
	if len(w) == 0 {
		kind := func(
			text json.RawMessage) string {
			return strings.TrimLeft(string(text), " \n")[:1]
		}
		if isNull := kind(want) == "n"; isNull != (kind(got) == "n") {
			t.Errorf("%s is %s, explain said %s", where, got, want)
		}
		return
	}
	for i := range w {
		if i >= len(g) || g[i].name != w[i].name {
			t.Errorf("%s has %v, explain said %v", where, g, w)
			return
		}
		wantSameShape(t, where+"."+w[i].name, g[i].value, w[i].value)
	}
	if len(g) != len(w) {
		t.Errorf("%s has %v, explain said %v", where, g, w)
	}
}

// recorded leaves out what a recording does not have.
func recorded(list []jsonMember) []jsonMember {
	return slices.DeleteFunc(list, func(m jsonMember) bool {
		switch m.name {
		case "schema", "grown_hour", "held":
			return true
		}
		return false
	})
}

type jsonMember struct {
	name  string
	value json.RawMessage
}

func (m jsonMember) String() string { return m.name }

// members of an object; nil: it is none.
func members(text json.RawMessage) (list []jsonMember) {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	for d.More() {
		var m jsonMember
		name, err := d.Token()
		if err != nil || d.Decode(&m.value) != nil {
			return nil
		}
		m.name, _ = name.(string)
		list = append(list, m)
	}
	return list
}

// The kernel kills it for the memory that its C code leaks: the file names who, and how much, and
// of what the rest was made.
func TestAutopsyAfterOOM(t *testing.T) {
	const limit, block = 160 << 20, 64 << 10
	dir := boxDir(t)
	g := newCgroup(t, limit)
	h := start(t, program(t, "go-driven", oneBuild()),
		hostOptions{env: []string{"CGOHEAP_BLACKBOX=" + dir}, sampleBytes: 32 << 10})
	g.add(t, h.pid())
	h.tell("alloc B 100 %d", block)
	h.waitForMoments(dir, 1)
	// dirty: what is never touched is not charged.
	allocated := int64(0)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); allocated += 50 * block {
		if _, err := h.stdin.Write([]byte("dirty A 50 65536\n")); err != nil ||
			!h.readUntilReady() {
			break
		}
		// From here on an account is never older than one command.
		if allocated > limit*3/4 && !h.waitForAccount(dir) {
			break
		}
	}
	<-h.ended
	if status, ok := h.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok ||
		status.Signal() != syscall.SIGKILL {
		t.Fatalf("it ended otherwise: %v\n%s", h.cmd.ProcessState, h.stderr.String())
	}
	a := readAutopsy(t, dir)
	n, _, leaf := a.row("main.allocA")
	t.Logf("at least %d MiB leaked, the recorder says %d MiB; %d seconds", allocated>>20, n>>20,
		len(a.Moments))
	// Within the last command of 50 blocks it was killed.
	low, high := 0.9*float64(allocated), 1.1*float64(allocated+50*block)
	if float64(n) < low || float64(n) > high || leaf != "dr_malloc" {
		t.Errorf("main.allocA: %d bytes by %s, true is %d or a little more", n, leaf, allocated)
	}
	if len(a.Rows) == 0 || a.Rows[0].GoCaller != "main.allocA" ||
		math.Abs(float64(a.Bytes-n)) > 0.2*float64(n) {
		t.Errorf("main.allocA does not stand out: %+v", a.Rows)
	}
	last := a.Moments[len(a.Moments)-1]
	last.wantAllFigures(t, false)
	if a.Account == nil {
		t.Fatal("there is no account")
	}
	t.Logf("the account of %v before the last second:\n%v", last.Time.Sub(a.Account.Time),
		a.Account.account)
	wantAddsUp(t, a.Account.account, *last.RSS)
	if live := float64(a.Account.bytes("c_live")); live < low || live > high {
		t.Errorf("C live is %.0f bytes, true is %d or a little more", live, allocated)
	}
	if find(a.Account.Verdict, "near_limit") == nil || !strings.HasPrefix(a.Account.Verdict[0].Rule,
		"c_live_") {
		t.Errorf("the verdict: %+v", a.Account.Verdict)
	}
}

// One line, and the program runs on without.
func TestRecorderThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	for place, why := range map[string]string{
		missing:       "cannot open the directory: no such directory",
		file:          "cannot open the directory: ",
		"/proc/self/": "cannot create a file: ",
	} {
		h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1,
			mayPrint: true, env: []string{"CGOHEAP_BLACKBOX=" + place}})
		h.tell("alloc A 10 1000")
		wantFigures(t, h, "main.allocA", figures{10, 10_000, 10, 10_000})
		text := h.stderr.String()
		if !strings.HasPrefix(text, "cgoheap: CGOHEAP_BLACKBOX=\""+place+"\": "+why) ||
			strings.Count(text, "\n") != 1 ||
			!strings.HasSuffix(text, "; the program runs on without its recorder\n") {
			t.Errorf("it said %q", text)
		}
		if code := h.finish(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

// The file is its owner's alone, a child of fork does not write to it, a name
// that is taken gets a number, and of old ones sixteen are kept.
func TestRecorderFiles(t *testing.T) {
	dir := boxDir(t)
	path := program(t, "go-driven", oneBuild())
	h := start(t, path, hostOptions{sampleBytes: 1, env: []string{"CGOHEAP_BLACKBOX=" + dir}})
	h.tell("alloc A 10 1000")
	files, _ := filepath.Glob(filepath.Join(dir, "go-driven.*.cgoheap"))
	if len(files) != 1 {
		t.Fatalf("files: %v", files)
	}
	// Nothing cuts a file of a running process off by mistake.
	if info, err := os.Stat(files[0]); err != nil || info.Mode() != 0o400 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for i := 0; i < 5; i++ {
		h.tell("fork 5000")
	}
	h.tell("run true")
	h.waitForMoments(dir, 1)
	if n, objects, _ := readAutopsy(t, dir).row("main.allocA"); n != 10_000 || objects != 10 {
		t.Errorf("main.allocA: %d bytes in %d objects", n, objects)
	}
	for i := 0; i < 20; i++ {
		start(t, path, hostOptions{env: []string{"CGOHEAP_BLACKBOX=" + dir}}).finish()
	}
	files, _ = filepath.Glob(filepath.Join(dir, "*.cgoheap"))
	if len(files) != 16 {
		t.Errorf("%d files are kept", len(files))
	}
	if _, err := os.Stat(filepath.Join(dir, "go-driven."+strconv.Itoa(h.pid())+
		".cgoheap")); err != nil {
		t.Errorf("a running process's file was removed: %v", err)
	}
}

// The disk is full: that is known before anything is mapped, and nothing is left behind.
func TestRecorderDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1, mayPrint: true,
		env: []string{"CGOHEAP_BLACKBOX=" + dir}})
	h.tell("alloc A 1000 1000")
	wantFigures(t, h, "main.allocA", figures{1000, 1_000_000, 1000, 1_000_000})
	want := "cgoheap: CGOHEAP_BLACKBOX=\"" + dir + "\": cannot allocate the file's space: no " +
		"space left; " +
		"the program runs on without its recorder\n"
	if got := h.stderr.String(); got != want {
		t.Errorf("it said %q, want %q", got, want)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	if code := h.finish(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
