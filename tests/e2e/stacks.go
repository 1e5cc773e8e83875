package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// A frame is one source frame of a sample.
type frame struct {
	function, file string
	line           int64
	address        uint64
	mapping        *profile.Mapping
}

// frames of a sample, leaf first, inlined calls as frames of their own. An
// address without a name is one frame with none.
func frames(s *profile.Sample) (list []frame) {
	for _, l := range s.Location {
		f := frame{address: l.Address, mapping: l.Mapping}
		if len(l.Line) == 0 {
			list = append(list, f)
		}
		for _, line := range l.Line {
			f.line = line.Line
			f.function, f.file = "", ""
			if line.Function != nil {
				f.function, f.file = line.Function.Name, line.Function.Filename
			}
			list = append(list, f)
		}
	}
	return list
}

func names(s *profile.Sample) (list []string) {
	for _, f := range frames(s) {
		list = append(list, f.function)
	}
	return list
}

// figures are the four values of Go's heap profile.
type figures struct {
	allocObjects, allocBytes, inUseObjects, inUseBytes int64
}

func (f *figures) add(s *profile.Sample) {
	f.allocObjects += s.Value[0]
	f.allocBytes += s.Value[1]
	f.inUseObjects += s.Value[2]
	f.inUseBytes += s.Value[3]
}

// blockSize is the label "bytes"; 0 where a sample has none: blocks of no size, or of many.
func blockSize(s *profile.Sample) int64 {
	if v := s.NumLabel["bytes"]; len(v) == 1 {
		return v[0]
	}
	return 0
}

// cgo wraps a call that passes a pointer in a function literal.
var closure = regexp.MustCompile(`\.func\d+$`)

// goCaller is the Go function of the program that asked C, "" where none did.
func goCaller(s *profile.Sample) string {
	for _, name := range names(s) {
		if strings.HasPrefix(name, "main.") && !strings.HasPrefix(name, "main._Cfunc_") {
			return closure.ReplaceAllString(name, "")
		}
	}
	return ""
}

// makesThread: the Go runtime makes a thread on whatever goroutine it happens
// to be; the functions on its stack did not ask for what that allocates.
func makesThread(s *profile.Sample) bool {
	for _, name := range names(s) {
		if strings.HasPrefix(name, "runtime.newm") {
			return true
		}
	}
	return false
}

func contains(s *profile.Sample, function string) bool {
	for _, name := range names(s) {
		if name == function {
			return true
		}
	}
	return false
}

// sum is the figures of all samples that have the function on their stack.
func sum(p *profile.Profile, function string) (f figures) {
	for _, s := range p.Sample {
		if contains(s, function) && !makesThread(s) {
			f.add(s)
		}
	}
	return f
}

// wantGoHeapTypes: the sample types must be those of Go's heap profile, or
// pprof can neither merge nor compare.
func wantGoHeapTypes(t testing.TB, p *profile.Profile) {
	t.Helper()
	var types []string
	for _, v := range p.SampleType {
		types = append(types, v.Type+"/"+v.Unit)
	}
	const want = "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes"
	if got := strings.Join(types, " "); got != want {
		t.Fatalf("sample types are %s, want %s", got, want)
	}
	if p.PeriodType.Type != "space" || p.PeriodType.Unit != "bytes" || p.DefaultSampleType != "" &&
		p.DefaultSampleType != "inuse_space" {
		t.Fatalf("period type %v, default %s", p.PeriodType, p.DefaultSampleType)
	}
}

// isPlumbing: how cgo calls, not who calls.
func isPlumbing(name string) bool {
	name = strings.TrimSuffix(name, ".abi0")
	switch name {
	case "runtime.asmcgocall", "runtime.cgocall", "runtime.cgocallbackg", "runtime.cgocallbackg1",
		"runtime.cgocallback", "crosscall2", "runtime.systemstack_switch", "runtime.systemstack",
		"runtime.goexit", "runtime.cgocallbackg1.func1", "runtime.asmcgocall_landingpad":
		return true
	}
	return strings.HasPrefix(name, "_cgo_") || strings.HasSuffix(name, "._cgo_cmalloc") ||
		strings.HasPrefix(name, "_cgoexp_") ||
		strings.HasPrefix(name, "runtime.goexit")
}

// isGo: a Go function by its name, which has a package; the C and C++ of the
// test programs have no dots in theirs.
func isGo(name string) bool {
	for _, clone := range []string{".part.", ".constprop.", ".isra.", ".cold"} {
		if strings.Contains(name, clone) {
			return false
		}
	}
	return strings.Contains(name, ".") && !strings.Contains(name, "::") ||
		strings.HasPrefix(name, "_cgoexp_")
}
