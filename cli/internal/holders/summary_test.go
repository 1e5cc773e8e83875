package holders

import (
	"testing"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/fakeshim"
)

func summaryOf(t *testing.T, frames ...string) RowKey {
	t.Helper()
	b := fakeshim.NewProfileBuilder(1)
	b.Add(1, 64, frames...)
	s, err := Summarize(b.Profile, nil)
	if err != nil || len(s.Rows) != 1 {
		t.Fatal(s, err)
	}
	return s.Rows[0].RowKey
}

// Who asked, and who called the allocator, in the stacks that happen.
func TestClassify(t *testing.T) {
	const gotypes = "@_cgo_gotypes.go"
	for _, c := range []struct {
		what         string
		caller, leaf string
		frames       []string
	}{
		{"a C function called from Go", "main.open", "make_buffer",
			[]string{"malloc", "make_buffer", "open_file", "main._Cfunc_open_file" + gotypes,
				"main.open@main.go", "main.main@main.go"}},
		{"C.malloc itself", "main.grab", "malloc",
			[]string{"malloc", "main._Cfunc__CMalloc" + gotypes, "main.grab@main.go"}},
		{"C.CString with all of cgo's frames", "main.name", "C.CString",
			[]string{"malloc", "_cgo_1234_Cfunc__Cmalloc", "runtime.asmcgocall@asm_amd64.s",
				"runtime.cgocall@cgocall.go", "main._cgo_cmalloc@_cgo_gotypes.go",
				"main._Cfunc_CString" + gotypes, "main.name@main.go"}},
		{"with all of cgo's frames kept", "main.grab", "malloc",
			[]string{"malloc", "_cgo_1234_Cfunc__Cmalloc", "runtime.asmcgocall@asm_amd64.s",
				"runtime.cgocall@cgocall.go",
				"main._Cfunc__Cmalloc" + gotypes, "main.grab@main.go"}},
		{"C.calloc", "main.grab", "calloc",
			[]string{"calloc", "main._Cfunc_calloc" + gotypes, "main.grab@main.go"}},
		{"C.CString", "main.name", "C.CString",
			[]string{"malloc", "main._Cfunc__CMalloc" + gotypes, "main._Cfunc_CString" + gotypes,
				"main.name@main.go"}},
		{"C.CBytes with all frames", "main.name", "C.CBytes",
			[]string{"malloc", "_cgo_1234_Cfunc__Cmalloc", "runtime.asmcgocall@asm_amd64.s",
				"runtime.cgocall@cgocall.go", "main._Cfunc__CMalloc" + gotypes,
				"main._Cfunc_CBytes" + gotypes, "main.name@main.go"}},
		{"C++", "main.query", "duckdb::Buffer::Grow",
			[]string{"malloc", "_Znwm", "_ZN6duckdb6Buffer4GrowEm", "main._Cfunc_query" + gotypes,
				"main.query@main.go"}},
		{"a callback: the innermost Go function", "main.onRow", "dup_row",
			[]string{"malloc", "dup_row", "main._Cfunc_dup_row" + gotypes, "main.onRow@main.go",
				"_cgoexp_9_onRow@_cgo_gotypes.go", "runtime.cgocallbackg1@cgocall.go",
				"runtime.cgocallback@asm_amd64.s", "crosscall2@asm_amd64.s",
				"each_row", "main._Cfunc_each_row" + gotypes, "main.all@main.go"}},
		{"a C thread", "(C thread) worker", "grow",
			[]string{"malloc", "grow", "worker", "start_thread", "clone3"}},
		{"a thread of the runtime", "(Go runtime)", "x_cgo_thread_start",
			[]string{"malloc", "x_cgo_thread_start", "runtime.asmcgocall@asm_amd64.s",
				"runtime.newosproc@os_linux.go", "runtime.newm@proc.go"}},
		{"a compiler's clone is not Go", "main.f", "grow.part.0",
			[]string{"malloc", "grow.part.0", "main._Cfunc_f" + gotypes, "main.f@main.go"}},
		{"Go without file names", "example.com/a/b.(*T).f", "g",
			[]string{"malloc", "g", "example.com/a/b._Cfunc_g", "example.com/a/b.(*T).f"}},
		{"the loader's inlined calloc", "(Go runtime)", "_dl_allocate_tls",
			[]string{"calloc", "calloc", "_dl_allocate_tls", "pthread_create",
				"runtime.asmcgocall@asm_amd64.s", "runtime.newm@proc.go"}},
		{"a stack of which the ends were kept", "main.f", "malloc",
			[]string{"malloc", "_Znwm", "[frames omitted]", "main._Cfunc_f" + gotypes,
				"main.f@main.go"}},
		{"qsort that allocates for itself", "main.f", "qsort",
			[]string{"malloc", "qsort", "main._Cfunc_f" + gotypes, "main.f@main.go"}},
		{"nothing known", "(C thread) (unknown)", "(unknown)", nil},
	} {
		got := summaryOf(t, c.frames...)
		if got.GoCaller != c.caller || got.CLeaf != c.leaf {
			t.Errorf("%s: %+v, want %s and %s", c.what, got, c.caller, c.leaf)
		}
	}
}

// Code without symbols is named by its file, where no function above it has a name.
func TestClassifyWithoutSymbols(t *testing.T) {
	for want, frames := range map[string][]string{
		"libssl.so.3+0x20": {"malloc", "x", "main.f@main.go"},
		"SSL_new":          {"malloc", "x", "SSL_new", "main.f@main.go"},
		"CRYPTO_init":      {"malloc", "x", "__pthread_once_slow", "CRYPTO_init", "main.f@main.go"},
	} {
		b := fakeshim.NewProfileBuilder(1)
		b.Add(1, 64, frames...)
		leaf := b.Profile.Sample[0].Location[1]
		leaf.Line = nil
		leaf.Mapping = &profile.Mapping{ID: 1, File: "/usr/lib/libssl.so.3"}
		s, err := Summarize(b.Profile, nil)
		if err != nil || s.Rows[0].CLeaf != want {
			t.Errorf("%+v, %v, want %s", s, err, want)
		}
	}
}

// What was freed again is not a row.
func TestNoRowsOfNothing(t *testing.T) {
	b := fakeshim.NewProfileBuilder(1)
	b.Add(0, 0, "malloc", "f", "main.a@a.go")
	if s, err := Summarize(b.Profile, nil); err != nil || len(s.Rows) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSummarizeRefusesOtherProfiles(t *testing.T) {
	cpu := []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}
	_, err := Summarize(&profile.Profile{SampleType: cpu}, nil)
	if err == nil {
		t.Error("a CPU profile was taken for a heap profile")
	}
}

func TestSumsAndOrder(t *testing.T) {
	b := fakeshim.NewProfileBuilder(524288)
	b.Add(1, 100, "malloc", "f", "main.a@a.go", "main.main@a.go")
	b.Add(2, 50, "malloc", "f", "main.a@a.go", "main.other@a.go")
	b.Add(9, 90, "malloc", "g", "main.b@a.go")
	s, err := Summarize(b.Profile, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Bytes != 240 || s.Objects != 12 || !s.Estimated || len(s.Rows) != 2 {
		t.Errorf("%+v", s)
	}
	if a := s.Rows[0]; a.GoCaller != "main.a" || a.Bytes != 150 || a.Objects != 3 ||
		a.Stacks != 2 || a.Growth != nil {
		t.Errorf("%+v", a)
	}
	s.SortBy("objects")
	if s.Rows[0].GoCaller != "main.b" {
		t.Errorf("by objects: %+v", s.Rows)
	}
}

func TestGrowth(t *testing.T) {
	first := fakeshim.NewProfileBuilder(1)
	first.Add(1, 100, "malloc", "f", "main.a@a.go")
	first.Add(1, 70, "malloc", "g", "main.gone@a.go")
	second := fakeshim.NewProfileBuilder(1)
	second.Add(1, 40, "malloc", "f", "main.a@a.go")
	second.Add(1, 10, "malloc", "h", "main.new@a.go")
	before, _ := Summarize(first.Profile, nil)
	after, _ := Summarize(second.Profile, nil)
	after.GrowSince(before)
	after.SortBy("growth")
	want := []struct {
		caller        string
		bytes, growth int64
	}{{"main.new", 10, 10}, {"main.a", 40, -60}, {"main.gone", 0, -70}}
	for i, w := range want {
		r := after.Rows[i]
		if r.GoCaller != w.caller || r.Bytes != w.bytes || *r.Growth != w.growth {
			t.Errorf("row %d: %+v (%d), want %+v", i, r, *r.Growth, w)
		}
	}
	if *after.Growth != -120 {
		t.Errorf("total growth %d", *after.Growth)
	}
}
