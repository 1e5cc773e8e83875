package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// A shape is what the program's oracles say of one block's stack; see
// programs/go-stacks/oracle.
type shape struct {
	Shape string
	Size  int64
	Go    []struct {
		Func, File string
		Line       int64
	}
	C [][]uint64
}

// shapeTest is one process with its two views and Go's own profile of it.
type shapeTest struct {
	build       build
	symbols     *symbols
	all, view   map[int64]*profile.Sample // by block size
	goexitInGo  bool                      // Go's own profile shows runtime.goexit
	inlinedLine int64
}

// Every shape of stack, frame by frame: the Go part is what runtime.Callers
// said in the same goroutine, the C part what libgcc's unwinder said.
func TestStackShapes(t *testing.T) {
	for _, b := range everyBuild() {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			path := program(t, "go-stacks", b)
			heap := filepath.Join(t.TempDir(), "heap.pb.gz")
			h := start(t, path, hostOptions{sampleBytes: 1, args: []string{heap}})
			all, view := h.profile("?frames=all"), h.profile("")
			s := shapeTest{b, readSymbols(t, path), bySize(all), bySize(view), showsGoexit(t, heap),
				int64(sourceLine(t, "go-stacks/main.go", "// the inlined call"))}
			var shapes []shape
			h.fact("stacks", &shapes)
			for _, want := range shapes {
				t.Run(want.Shape, func(t *testing.T) { s.check(t, want) })
			}
			t.Run("threads made by Go", func(t *testing.T) { wantThreadsMadeByGo(t, all) })
			t.Run("status", func(t *testing.T) { wantAllComplete(t, h) })
			if code := h.finish(); code != 0 {
				t.Errorf("exit code %d\n%s", code, h.stderr.String())
			}
		})
	}
}

func bySize(p *profile.Profile) map[int64]*profile.Sample {
	list := map[int64]*profile.Sample{}
	for _, s := range p.Sample {
		if s.Value[2] > 0 && list[blockSize(s)] == nil {
			list[blockSize(s)] = s
		}
	}
	return list
}

func showsGoexit(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Sample {
		if contains(s, "runtime.goexit") {
			return true
		}
	}
	return false
}

func (st *shapeTest) check(t *testing.T, want shape) {
	s := st.all[want.Size]
	if s == nil || st.view[want.Size] == nil {
		t.Fatalf("no sample of %d bytes", want.Size)
	}
	if s.Value[2] != 1 || s.Value[3] != want.Size {
		t.Errorf("in use: %d objects, %d bytes", s.Value[2], s.Value[3])
	}
	for i := range want.Go {
		if want.Go[i].Func == "main.inlined" {
			want.Go[i].Line = st.inlinedLine
		}
	}
	if want.Shape == "inlined" && !hasInlined(s) {
		t.Error("main.inlined is not a line of its caller's location")
	}
	st.checkGo(t, st.view[want.Size], want)
	st.checkC(t, s, want)
	if st.build.mode != "stripped" {
		st.checkNames(t, s)
	}
	st.checkView(t, s, want)
	if got := contains(s, framesOmitted); got != isDeep(want) {
		t.Errorf("frames omitted: %v", got)
	}
	if t.Failed() {
		t.Logf("frames=all:\n%s", dump(s))
	}
}

func hasInlined(s *profile.Sample) bool {
	for _, l := range s.Location {
		if len(l.Line) > 1 && l.Line[0].Function.Name == "main.inlined" {
			return true
		}
	}
	return false
}

func dump(s *profile.Sample) string {
	var b strings.Builder
	for _, f := range frames(s) {
		fmt.Fprintf(&b, "%#12x %s %s:%d\n", f.address, f.function, f.file, f.line)
	}
	return b.String()
}

func isDeep(want shape) bool { return strings.HasPrefix(want.Shape, "recursion 200") }

// The Go frames that pprof opens with are those of runtime.Callers, file and
// line too; in front of them is the cgo stub of the innermost call, which
// runtime.Callers was asked too early to see.
func (st *shapeTest) checkGo(t *testing.T, s *profile.Sample, want shape) {
	t.Helper()
	var got, wanted []string
	for _, f := range frames(s) {
		if isGo(f.function) {
			got = append(got, fmt.Sprintf("%s %s:%d", shortName(f.function), f.file, f.line))
		}
	}
	if len(want.Go) > 0 {
		if len(got) == 0 || !strings.Contains(got[0], "._Cfunc_") {
			t.Errorf("the innermost Go frame is no cgo stub: %q", got)
			return
		}
		got = got[1:]
	}
	for _, f := range want.Go {
		if !isPlumbing(f.Func) {
			wanted = append(wanted, fmt.Sprintf("%s %s:%d", f.Func, f.File, f.Line))
		}
	}
	if isDeep(want) && contains(s, framesOmitted) && endsMatch(got, wanted) {
		return
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("Go frames:\n%s\nruntime.Callers says:\n%s", strings.Join(got, "\n"),
			strings.Join(wanted, "\n"))
	}
}

// shortName is what runtime.Frame says of a generic function, where Go's profiles, and so ours,
// have the shapes of its types (runtime/symtab.go, funcNameForPrint).
func shortName(function string) string {
	first, last := strings.IndexByte(function, '['), strings.LastIndexByte(function, ']')
	if first < 0 || last < first {
		return function
	}
	return function[:first] + "[...]" + function[last+1:]
}

// framesOmitted stands where frames of a stack that is too deep are left out.
const framesOmitted = "[frames omitted]"

// A stack that is too deep keeps its leaf end and its root end, and no frame
// that is not there.
func endsMatch(got, wanted []string) bool {
	leaf := 0
	for leaf < len(got) && leaf < len(wanted) && got[leaf] == wanted[leaf] {
		leaf++
	}
	root := 0
	for root < len(got)-leaf && got[len(got)-1-root] == wanted[len(wanted)-1-root] {
		root++
	}
	return leaf+root == len(got) && len(got) > 0 && got[len(got)-1] == wanted[len(wanted)-1]
}

// Each run of C frames, by return address.
func (st *shapeTest) checkC(t *testing.T, s *profile.Sample, want shape) {
	t.Helper()
	at := 0
	for i := len(want.C) - 1; i >= 0; i-- {
		run := want.C[i]
		next := findRun(s.Location, at, run[1:])
		if next < 0 {
			if isDeep(want) && deepC(s.Location, run) {
				return
			}
			t.Errorf("C frames of run %d are not there: libgcc says %#x", i, run)
			return
		}
		// Between the runs lie the leaf or the exported stub, and the
		// function that asked, at another of its addresses.
		start := s.Location[next-1]
		if a, b := st.symbols.at(start.Mapping, start.Address), st.symbols.at(start.Mapping,
			run[0]); !slices.Equal(a, b) {
			t.Errorf("below run %d is %v, libgcc says %v", i, a, b)
		}
		at = next + len(run) - 1
	}
}

// findRun is where in list, from `from` on, the addresses are those of the run;
// -1 where nowhere. The end of a run that is a thread's start lies in libc,
// where a profile may end too.
func findRun(list []*profile.Location, from int, run []uint64) int {
	for i := from; i < len(list); i++ {
		n := 0
		for n < len(run) && i+n < len(list) && isAddress(list[i+n], run[n]) {
			n++
		}
		inLibc := i+n == len(list) && n > 0 && n >= len(run)-2
		if n == len(run) || inLibc {
			return i
		}
	}
	return -1
}

// A location is at its call, a return address right behind it.
func isAddress(l *profile.Location, pc uint64) bool { return l.Address == pc || l.Address == pc-1 }

// deepC: the frames that a too deep C stack keeps are those of its leaf end.
func deepC(list []*profile.Location, run []uint64) bool {
	const leafFrames = 60
	return findRun(list, 0, run[1:leafFrames]) > 0
}

// Names of C functions are those of the executable's own symbol table.
func (st *shapeTest) checkNames(t *testing.T, s *profile.Sample) {
	t.Helper()
	for _, f := range frames(s) {
		names := st.symbols.at(f.mapping, f.address)
		if isGo(f.function) || len(names) == 0 {
			continue
		}
		if !slices.Contains(names, f.function) {
			t.Errorf("%#x is %s, the symbol table says %v", f.address, f.function, names)
		}
	}
}

var goWrapper = regexp.MustCompile(`\.gowrap\d+$|-fm$`)

// isElided: Go's own tracebacks leave the frame out. The compiler made it, for a
// method value, a promoted method or a go statement with arguments (to 1.21 a
// function literal by its name, at the root), or it is how 1.21 runs a defer.
func isElided(list []frame, i int) bool {
	switch f := list[i]; f.function {
	case "runtime.deferCallSave", "runtime.runOpenDeferFrame":
		return true
	default:
		isRoot := i+1 < len(list) && strings.HasPrefix(list[i+1].function, "runtime.goexit")
		return f.file == "<autogenerated>" || goWrapper.MatchString(f.function) || isRoot &&
			closure.MatchString(f.function)
	}
}

// The view that pprof opens with is frames=all without how cgo calls, and
// without what Go's own tracebacks leave out; its root is the one that Go's own
// profile has.
func (st *shapeTest) checkView(t *testing.T, all *profile.Sample, want shape) {
	t.Helper()
	view, list := frames(st.view[want.Size]), frames(all)
	for _, f := range [][]frame{view, list} {
		for i := range f {
			f[i].mapping = nil // of two profiles
		}
	}
	shown := 0
	for i, f := range list {
		if shown < len(view) && f == view[shown] {
			shown++
			if isPlumbing(f.function) {
				t.Errorf("the default view shows %s", f.function)
			}
		} else if !isPlumbing(f.function) && !isElided(list, i) {
			t.Errorf("the default view lacks %s", f.function)
		}
	}
	if shown != len(view) {
		t.Errorf("the default view has frames that frames=all has not: %+v", view[shown:])
	}
	if strings.HasPrefix(want.Shape, "C thread") || len(want.Go) == 0 {
		return
	}
	if root := want.Go[len(want.Go)-1].Func; view[len(view)-1].function != root {
		t.Errorf("the root is %s, in Go's own profile %s", view[len(view)-1].function, root)
	}
	if st.goexitInGo {
		t.Error("Go's own profile shows runtime.goexit")
	}
}

// The runtime makes threads on its system stack: C frames of runtime/cgo, then
// Go over runtime.systemstack to a goroutine's or a thread's root.
func wantThreadsMadeByGo(t *testing.T, p *profile.Profile) {
	found := 0
	for _, s := range p.Sample {
		if !makesThread(s) {
			continue
		}
		found++
		list := names(s)
		root := list[len(list)-1]
		if root == "runtime.goexit" && len(list) > 1 {
			root = list[len(list)-2]
		}
		switch {
		case root == "runtime.main", root == "runtime.mstart", strings.HasPrefix(root, "main."),
			strings.HasPrefix(root, "runtime."), strings.HasPrefix(root, "cgoheap.test/"):
		default:
			t.Errorf("ends at %s:\n%s", root, dump(s))
		}
	}
	if found == 0 {
		t.Error("no thread was made")
	}
}

// A stack that is too deep is complete too: both its ends are there.
func wantAllComplete(t *testing.T, h *host) {
	t.Helper()
	s := h.status()
	for end, n := range s.Stacks.ByEnd {
		if n != 0 && !strings.HasPrefix(end, "complete_") {
			t.Errorf("%d stacks end in %s", n, end)
		}
	}
	if s.Stacks.Truncated != 0 {
		t.Errorf("%d stacks truncated", s.Stacks.Truncated)
	}
}
