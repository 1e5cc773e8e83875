package account

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestUntrackedSeen(t *testing.T) {
	call := func(looks, faults int64, name string) SeenCalls {
		return SeenCalls{looks, faults, []string{"main._Cfunc_x", name, "main.main"}}
	}
	for _, c := range []struct {
		calls []SeenCalls
		want  []string
	}{
		{nil, nil},
		{[]SeenCalls{call(3, 0, "main.waits")}, nil},
		{
			[]SeenCalls{call(9, 800, "main.grows"), call(1, 100, "main.other"),
				call(1, 100, "main.third")},
			[]string{"800 pages touched, at 9 of 32 looks: main._Cfunc_x < main.grows"},
		},
		{[]SeenCalls{call(9, 1, "main.a"), call(1, 1, "main.b")},
			[]string{"1 page touched, at 9 of 32 looks: main._Cfunc_x < main.a",
				"1 page touched, at 1 of 32 looks: main._Cfunc_x < main.b"}},
	} {
		u := UntrackedSeen{Looks: 32, Calls: c.calls}
		if got := u.Lines(nil); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.calls, got, c.want)
		}
		if (u.MostSeen(nil) == "") != (len(c.want) == 0) {
			t.Errorf("%v: %q", c.calls, u.MostSeen(nil))
		}
	}
}

func TestMmapStacks(t *testing.T) {
	const jemalloc = "mmap je_pages_map je_extent_alloc pac_alloc je_malloc "
	for _, c := range []struct{ frames, want string }{
		{"mmap grab main.f", "mmap < grab < main.f"},
		{jemalloc + "duckdb::Vector::Resize duckdb::Scan worker start_thread",
			"mmap < je_pages_map < … < duckdb::Vector::Resize < duckdb::Scan"},
		{jemalloc + "_ZN6duckdb6Vector6ResizeEm b c d " +
			"main._Cfunc_query main.(*db).query runtime.main",
			"mmap < je_pages_map < … < duckdb::Vector::Resize < b < … < main.(*db).query"},
		{jemalloc + "je_mallocx", "mmap < je_pages_map < … < je_mallocx"},
		{"", "(the stack is not known)"},
	} {
		s := &MmapStack{Frames: strings.Fields(c.frames)}
		if got := s.line(nil); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.frames, got, c.want)
		}
	}
	// Stacks that differ beyond what was sent are one.
	x, y := []string{"x"}, []string{"y"}
	a := &Account{MmapTop: []MmapStack{{5, 6, x}, {3, 4, y}, {3, 3, y}}}
	got := a.MmapStacks()
	if want := []MmapStack{{6, 7, y}, {5, 6, x}}; !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v", got)
	}
	if got[0].Mapper() != "y" || a.MmapTop[1].Bytes != 3 {
		t.Errorf("%s, %+v", got[0].Mapper(), a.MmapTop)
	}
}
