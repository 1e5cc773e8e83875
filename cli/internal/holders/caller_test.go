package holders

import (
	"testing"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/stacks"
)

// Whom a stack is charged to, by each of the rules.
func TestCaller(t *testing.T) {
	const gotypes = "@_cgo_gotypes.go"
	wrapped := []string{"malloc", "sqlite3MemMalloc",
		"github.com/mattn/go-sqlite3._Cfunc_sqlite3_prepare_v2" + gotypes,
		"github.com/mattn/go-sqlite3.(*SQLiteConn).prepare@sqlite3.go",
		"database/sql.(*DB).query@sql.go", "example.com/svc/internal/store.(*Store).Get@store.go",
		"main.handle@main.go", "net/http.HandlerFunc.ServeHTTP@server.go",
		"net/http.(*conn).serve@server.go", "runtime.goexit@asm_amd64.s"}
	library := []string{"malloc", "rd_kafka_new",
		"github.com/confluentinc/kafka._Cfunc_poll" + gotypes,
		"github.com/confluentinc/kafka.messageToC@m.go",
		"github.com/confluentinc/kafka.(*Consumer).reader@c.go", "runtime.goexit@asm_amd64.s"}
	// C code's allocator is a Go function, which it calls back.
	allocator := []string{"malloc", "main._Cfunc__CMalloc" + gotypes, "main.goAlloc@main.go",
		"_cgoexp_1_goAlloc@_cgo_gotypes.go", "ts_parser_parse",
		"main._Cfunc_parse" + gotypes, "main.indexFile@main.go", "main.main@main.go"}
	stripped := []string{"malloc", "(in prog)", "main._Cfunc__CMalloc" + gotypes,
		"main.goAlloc@main.go", "(in prog)",
		"main._Cfunc_parse" + gotypes, "main.indexFile@main.go"}
	fake := []string{"malloc", "github.com/ebitengine/purego/internal/fakecgo.call5@trampolines.s",
		"runtime.asmcgocall@asm_amd64.s"}
	callback := []string{"malloc", "main._Cfunc__CMalloc" + gotypes,
		"main._Cfunc_CString" + gotypes, "main.onRow@main.go", "each_row",
		"main._Cfunc_each_row" + gotypes, "main.all@main.go"}
	pure := []string{"malloc", "github.com/ebitengine/purego.syscall_SyscallN@syscall.go",
		"main.render@main.go", "main.main@main.go"}
	standard := []string{"malloc", "getaddrinfo", "net._C2func_getaddrinfo" + gotypes,
		"net.cgoLookupHost@cgo_unix.go", "runtime.goexit@asm_amd64.s"}
	// Literals in functions with a linkname, as Go 1.27 names them.
	ready := []string{"pthread_create", "_cgo_sys_thread_start", "runtime.newm@proc.go",
		"_.goready.func1@proc.go", "runtime.systemstack@asm_amd64.s",
		"runtime.goready@proc.go", "runtime.bgscavenge@mgcscavenge.go"}
	linked := []string{"malloc", "main._Cfunc_f" + gotypes, "_.hold.func1@main.go",
		"runtime.goexit@asm_amd64.s"}
	escaped := []string{"malloc", "f", "example.com/svc%2ev2.Open@open.go",
		"example.com/other.Wrap@x.go", "net/http.(*conn).serve@server.go"}

	// cgo's own closures, one of them of a method that was inlined, and closures that a person
	// wrote.
	inlined := []string{"malloc", "rocksdb_open", "example.com/rocks._Cfunc_open" + gotypes,
		"main.main.Open[...].func1@o.go", "example.com/rocks.Open[...]@o.go", "main.serve@main.go"}
	copied := func(callers ...string) []string {
		return append([]string{"malloc", "vips_copy", "main._Cfunc_copy" + gotypes}, callers...)
	}
	checked := copied("main.(*store).render.func2@s.go", "main.(*store).render@s.go",
		"main.main@main.go")
	nested := copied("main.draw.func1.1@s.go", "main.draw.func1@s.go",
		"sync.(*Once).doSlow@once.go", "main.draw@s.go")
	written := copied("main.draw.func1@s.go", "main.locked@s.go", "main.draw@s.go")
	called := copied("main.decode@s.go", "main.draw.func1@s.go", "main.draw@s.go")

	module := func(path string) *stacks.CallerRule { return &stacks.CallerRule{Module: path} }
	flagged := func(value string) *stacks.CallerRule {
		r := module("example.com/svc")
		if err := r.Set(value); err != nil {
			t.Fatal(err)
		}
		return r
	}
	svc := module("example.com/svc")
	kafka := &stacks.CallerRule{Libraries: []string{"kafka"}}
	const get = "example.com/svc/internal/store.(*Store).Get"
	for _, c := range []struct {
		what   string
		rule   *stacks.CallerRule
		frames []string
		want   string
	}{
		{"the main module", svc, wrapped, get},
		{"a module whose name begins alike", module("example.com/s"), wrapped, "main.handle"},
		{"the module is not known", nil, wrapped, "main.handle"},
		{"of a library, the outermost", svc, library,
			"github.com/confluentinc/kafka.(*Consumer).reader"},
		{"a Go allocator", svc, allocator, "main.indexFile"},
		{"a Go allocator, without symbols", svc, stripped, "main.indexFile"},
		{"threads without cgo", svc, fake, "(Go runtime)"},
		{"a callback that allocates for itself", svc, callback, "main.onRow"},
		{"no cgo", svc, pure, "main.render"},
		{"the standard library alone", svc, standard, "net.cgoLookupHost"},
		{"a path with a dot", module("example.com/svc.v2"), escaped, "example.com/svc%2ev2.Open"},
		{"a module without a domain", kafka, []string{"malloc", "kafka.read@x.go", "net.x@x.go"},
			"kafka.read"},
		{"a closure that cgo wrote", svc, checked, "main.(*store).render"},
		{"a closure that cgo wrote, in a function that was inlined", svc, inlined, "main.serve"},
		{"a closure that cgo wrote, in one that a person wrote", svc, nested, "main.draw.func1"},
		{"a closure that is passed on", svc, written, "main.draw.func1"},
		{"a closure that calls a function which calls C", flagged("func"), called,
			"main.draw.func1"},
		{"--caller innermost, a closure that cgo wrote", flagged("innermost"), checked,
			"main.(*store).render"},
		{"a literal of the runtime", nil, ready, "(Go runtime)"},
		{"a literal of a program's function with a linkname", nil, linked, "_.hold.func1"},
		{"--caller innermost", flagged("innermost"), wrapped,
			"github.com/mattn/go-sqlite3.(*SQLiteConn).prepare"},
		{"--caller innermost, a Go allocator", flagged("innermost"), allocator, "main.goAlloc"},
		{"--caller module", flagged("module"), wrapped, get},
		{"--caller PATTERN", flagged("^database/sql"), wrapped, "database/sql.(*DB).query"},
		{"--caller PATTERN that nothing matches", flagged("nothing"), wrapped, get},
	} {
		b := fakeshim.NewProfileBuilder(1)
		b.Add(1, 64, c.frames...)
		s, err := Summarize(b.Profile, c.rule)
		if err != nil || len(s.Rows) != 1 || s.Rows[0].GoCaller != c.want {
			t.Errorf("%s: %+v %v, want %s", c.what, s, err, c.want)
		}
		// The account's stacks, which have no file names, are named alike.
		stack := &account.MmapStack{}
		for _, f := range stacks.FramesOf(b.Profile.Sample[0]) {
			stack.Frames = append(stack.Frames, f.Name)
		}
		if got := stack.GoCaller(c.rule); got != c.want && c.want != stacks.GoRuntime {
			t.Errorf("%s, in an account: %s, want %s", c.what, got, c.want)
		}
		if got := stack.Mapper(); got != s.Rows[0].CLeaf {
			t.Errorf("%s, in an account: C leaf %s, top has %s", c.what, got, s.Rows[0].CLeaf)
		}
	}
	if (&stacks.CallerRule{}).Set("a(") == nil {
		t.Error("a broken pattern was taken")
	}
}

// Mappings are counted by what of them is resident, and are not called in use.
func TestMappingsAreResidentBytes(t *testing.T) {
	b := fakeshim.NewProfileBuilder(524288)
	b.Add(2, 100, "malloc", "grow", "main.a@a.go")
	b.Add(1, 300, "mmap", "pool_grow", "main.a@a.go")
	b.Add(1, 50, "mmap", "gone", "main.b@a.go")
	b.Add(4, 80, "pthread_create", "start", "main.c@a.go")
	for i, origin := range []string{originMalloc, originMmap, originMmap, originStack} {
		b.Profile.Sample[i].Label["origin"] = []string{origin}
	}
	m := fakeshim.NewProfileBuilder(1)
	m.Profile.SampleType = []*profile.ValueType{{Type: "memory_space", Unit: "bytes"}}
	for bytes, frames := range map[int64][]string{
		7:  {"malloc", "grow", "main.a@a.go", "[c_live]"},
		30: {"mmap", "pool_grow", "main.a@a.go", "[c_mmap]"},
		9:  {"[stack not known]", "[c_mmap]"},
		11: {"[shim]"},
		20: {"pthread_create", "start", "main.c@a.go", "[thread_stacks]"},
		40: {"mmap", "take", "main.s@a.go", "/memfd:x (deleted)", "[shared_memory]"},
		3:  {"/memfd:x (deleted)", "[shared_memory]"},
		50: {"mmap", "index", "main.f@a.go", "/t.db", "[mapped_files]"},
	} {
		m.Add(1, 1, frames...)
		m.Profile.Sample[len(m.Profile.Sample)-1].Value = []int64{bytes}
	}
	s, err := Summarize(b.Profile, nil)
	if err != nil {
		t.Fatal(err)
	}
	line := "mapped past malloc 350 B, resident or not; thread stacks 80 B"
	if s.Bytes != 100 || s.Mapped[originMmap] != (total{350, 350}) || s.MappedLine() != line {
		t.Errorf("%+v %s", s, s.MappedLine())
	}
	found, err := ResidentBy(m.Profile, nil)
	if err != nil {
		t.Fatal(err)
	}
	inNoHeapProfile := RowKey{originMmap, "main.d", "ring"}
	found[inNoHeapProfile] = Resident{bytes: 5, stack: []string{"mmap", "ring"}}
	s.SetResident(found)
	line = "mapped past malloc 75 B resident of 395 B; thread stacks 20 B resident of 80 B"
	if s.Bytes != 100 || s.Mapped[originMmap] != (total{75, 395}) ||
		s.Mapped[originStack] != (total{20, 80}) || s.MappedLine() != line {
		t.Errorf("%+v %s", s, s.MappedLine())
	}
	for i, want := range []struct{ what, amount string }{
		{"in use by", "~100 B"}, {"mapped by", "40 B"}, {"mapped by", "30 B"},
		{"stacks by", "20 B"}, {"mapped by", "5 B"}, {"mapped by", "0 B"},
	} {
		if r := &s.Rows[i]; r.What() != want.what || r.Amount(true) != want.amount {
			t.Errorf("%+v: %s %s, want %+v", r, r.What(), r.Amount(true), want)
		}
	}
	if _, err := ResidentBy(b.Profile, nil); err == nil {
		t.Error("a heap profile was taken for one of the whole memory")
	}
}
