package suppress

import (
	"strings"
	"testing"
)

func stack(functions ...string) (s []Frame) {
	for _, f := range functions {
		s = append(s, Frame{Function: f, File: "/src/" + f + ".c", Module: "/lib/libx.so.1"})
	}
	return s
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		rule, function string
		want           bool
	}{
		{"malloc", "malloc", true},
		{"malloc", "my_malloc", false},
		{"malloc", "malloc2", false},
		{"png_*", "png_create", true},
		{"png_*", "a_png_create", false},
		{"*cache*", "the_cache_fill", true},
		{"f?o", "foo", true},
		{"f?o", "fo", false},
		{"a*b*c", "aXbXbc", true},
		{"a*b*c", "aXbXb", false},
		{"*", "anything", true},
		{"example.com/a.(*T).f", "example.com/a.(*T).f", true},
		{"a.(*T).f", "example.com/a.(*T).f", true},
		{"a.f", "example.com/ba.f", false},
		{"a.*", "example.com/a.init.0", true},
		{"main.Map[...]", "main.Map[...]", true},
		{"std::string::_Rep::_S_create", "std::string::_Rep::_S_create", true},
		{"leak:malloc", "my_malloc2", true},
		{"leak:^malloc", "my_malloc", false},
		{"leak:malloc$", "malloc2", false},
		{"leak:^mal*c$", "malloc", true},
		{"leak:libx.so", "f", true},
		{"leak:/src/f.c", "f", true},
		{"leak:other.so", "f", false},
		{"leak:std::string", "std::string::append", true},
	} {
		r, err := NewRule(c.rule)
		if err != nil {
			t.Errorf("%s: %v", c.rule, err)
			continue
		}
		l := &List{Rules: []*Rule{r}}
		if got := l.Match(stack("leaf", c.function, "root")) != nil; got != c.want ||
			r.Used != c.want {
			t.Errorf("%q on %q: %v, want %v", c.rule, c.function, got, c.want)
		}
		if len(l.Unused()) == 1 == c.want {
			t.Errorf("%q is unused: %v", c.rule, !c.want)
		}
	}
}

func TestParse(t *testing.T) {
	l, err := Parse(strings.NewReader("\ufeff# all of it\n\n  png_*\t # why\r\nleak:zlib\n"))
	if err != nil || len(l.Rules) != 2 || l.Rules[0].Text != "png_*" || l.Rules[1].Line != 4 {
		t.Errorf("%+v, %v", l, err)
	}
	for text, want := range map[string]string{
		"a\n" +
			"race:b\n": `line 2: unknown kind of suppression "race": ` +
			`write a function, or leak:PATTERN`,
		strings.Repeat("a", 70000): "a line is longer than 64 KiB: is it a text?",

		"leak:":   "line 1: leak: has no pattern",
		"leak:^$": "line 1: leak: has no pattern",
	} {
		if _, err := Parse(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	var none *List
	if none.Match(stack("f")) != nil || none.Unused() != nil {
		t.Error("a nil list suppresses")
	}
}

// What the C library keeps is suppressed; what it gives to its caller is not.
func TestDefaults(t *testing.T) {
	for function, want := range map[string]bool{
		"pthread_create": true, "__nss_module_allocate": true, "getpwuid_r": true, "setenv": true,
		"_dl_allocate_tls": true, "setlocale": true, "runtime.newm1": true,
		"_IO_file_doallocate": true, "strerror_l": true, "mbstowcs": true, "getspnam": true,

		"strdup": false, "asprintf": false, "fopen": false, "opendir": false, "realpath": false,
		"getaddrinfo": false, "newlocale": false, "__gconv_open": false, "wcsdup": false,
		"open_wmemstream": false, "regcomp": false, "main.dlopen_it": false,
		"C.CString": false, "residual": false,
	} {
		frames := stack("malloc", function, "main.f")
		frames[1].Module = "/usr/lib/x86_64-linux-gnu/libc.so.6"
		if got := Defaults().Match(frames) != nil; got != want {
			t.Errorf("%s: %v, want %v", function, got, want)
		}
		// The same name in the program.
		ofRuntime := strings.HasPrefix(function, "runtime.")
		if got := Defaults().Match(stack(function)) != nil; got != ofRuntime {
			t.Errorf("the program's %s: %v", function, got)
		}
	}
}

// Of some functions their caller frees what they allocate, but not what those below them keep.
// What is inlined into one is its own.
func TestDefaultsBelow(t *testing.T) {
	const libc, openMP = "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/libgomp.so.1"
	in := func(module, function string) Frame { return Frame{Function: function, Module: module} }
	inlined := in(libc, "generate_addrinfo")
	inlined.Inlined = true
	malloc, own := in(libc, "malloc"), in("/bin/program", "work")
	for i, c := range []struct {
		stack []Frame
		want  bool
	}{
		{[]Frame{malloc, in(libc, "getaddrinfo"), own}, false},
		{[]Frame{malloc, inlined, in(libc, "getaddrinfo"), own}, false},
		{[]Frame{malloc, in(libc, "libc.so.6+0x124a9a"), in(libc, "getaddrinfo"), own}, true},
		{[]Frame{malloc, in(libc, "a"), in("/bin/program", "getaddrinfo")}, false},
		{[]Frame{malloc, in(openMP, "gomp_new_team"), in(openMP, "GOMP_parallel"), own}, true},
		{[]Frame{malloc, own, in(openMP, "GOMP_parallel"), own}, false},
		{[]Frame{malloc, in(openMP, "omp_alloc"), own}, false},
	} {
		if got := Defaults().Match(c.stack) != nil; got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}

func TestFirstGo(t *testing.T) {
	c, inPreamble := Frame{Function: "malloc", File: "malloc.c"},
		Frame{Function: "get", File: "a.go"}
	goFrame := Frame{Function: "main.f", File: "a.go"}
	if got := FirstGo([]Frame{c, inPreamble, goFrame, c, goFrame}); got != 2 {
		t.Error(got)
	}
	if got := FirstGo([]Frame{c, inPreamble}); got != 0 {
		t.Error(got)
	}
}

func TestStartup(t *testing.T) {
	for function, want := range map[string]bool{
		"runtime.doInit1": true, "call_init": false, "_GLOBAL__sub_I_x": true,
		"main.main": false, "testing.tRunner": false, "runtime.main": false,
	} {
		if got := IsStartup(stack("malloc", function)); got != want {
			t.Errorf("%s: %v, want %v", function, got, want)
		}
	}
	if !IsStartup([]Frame{{Function: "call_init", Module: "/lib/libc.so.6"}}) {
		t.Error("libc's call_init is not start-up")
	}
	if !IsStartup([]Frame{{Module: "/lib64/ld-linux-x86-64.so.2"}}) {
		t.Error("the loader's own is not start-up")
	}
}
