package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A profiler is a way to run a workload: with nothing, with the library, with a peer.
type profiler struct {
	name  string
	title string
	base  string // the run of the same round that its costs are against; "" for glibc itself
	// env is what the program gets; LIB is the library that it preloads, DIR a directory for files.
	env     []string
	library func(setup) (path, lacks string)
	// It does a share of the work (workload.share), and figures are by unit: under callgrind, and
	// always.
	isExact, isSlow bool
	dump            *dumper // nil where there is no profile
}

// What every run has in common.
type setup struct {
	root, out, shim string
}

var profilers = []profiler{
	{name: "glibc", title: "no profiler", library: noLibrary},
	{name: "dormant", title: "cgoheap, dormant", base: "glibc",
		env: ours("CGOHEAP_START=dormant"), library: ourLibrary},
	{name: "512KiB", title: "cgoheap, 512 KiB", base: "glibc",
		env: ours("CGOHEAP_SAMPLE_BYTES=512KiB"), library: ourLibrary,
		dump: &dumper{live: fromSocket}},
	{name: "64KiB", title: "cgoheap, 64 KiB", base: "glibc",
		env: ours("CGOHEAP_SAMPLE_BYTES=64KiB"), library: ourLibrary,
		dump: &dumper{live: fromSocket}},
	{name: "every", title: "cgoheap, every allocation", base: "glibc", isExact: true,
		env: ours("CGOHEAP_SAMPLE_BYTES=1"), library: ourLibrary,
		dump: &dumper{live: fromSocket}},
	{name: "heaptrack", title: "heaptrack, every allocation", base: "glibc",
		env:     []string{"LD_PRELOAD=LIB", "DUMP_HEAPTRACK_OUTPUT=DIR/heaptrack.raw"},
		library: findHeaptrack, isExact: true, dump: &dumper{after: fromHeaptrack}},
	{name: "jemalloc", title: "jemalloc", base: "glibc",
		env: []string{"LD_PRELOAD=LIB"}, library: debian("libjemalloc.so.2", "libjemalloc2")},
	{name: "jemalloc-prof", title: "jemalloc, profiling, 512 KiB", base: "jemalloc",
		env: []string{"LD_PRELOAD=LIB",
			"MALLOC_CONF=prof:true,prof_active:true,lg_prof_sample:19"},
		library: jemallocWithProf, dump: inProcess("jemalloc", "jemalloc.heap")},
	{name: "tcmalloc", title: "tcmalloc", base: "glibc",
		env: []string{"LD_PRELOAD=LIB"}, library: tcmalloc},
	{name: "tcmalloc-sampler", title: "tcmalloc, sampling, 512 KiB", base: "tcmalloc",
		env:     []string{"LD_PRELOAD=LIB", "TCMALLOC_SAMPLE_PARAMETER=524288"},
		library: tcmalloc, dump: inProcess("tcmalloc", "sample.heap")},
	{name: "gperftools", title: "tcmalloc, heap profiler", base: "tcmalloc",
		env:     []string{"LD_PRELOAD=LIB", "HEAPPROFILE=DIR/gperftools"},
		library: tcmalloc, isExact: true, isSlow: true,
		dump: inProcess("gperftools", "gperftools.*.heap")},
}

func ours(more ...string) []string {
	return append([]string{"LD_PRELOAD=LIB", "CGOHEAP_ANY=1", "CGOHEAP_SOCKET=DIR/socket"}, more...)
}

func noLibrary(setup) (string, string)    { return "", "" }
func ourLibrary(s setup) (string, string) { return s.shim, "" }

// debian finds a library by the loader's list of them.
func debian(file, name string) func(setup) (string, string) {
	return func(setup) (string, string) {
		list, _ := exec.Command("/sbin/ldconfig", "-p").Output()
		for line := range strings.Lines(string(list)) {
			if strings.HasPrefix(strings.TrimSpace(line), file+" ") &&
				strings.Contains(line, "x86-64") {
				_, path, _ := strings.Cut(strings.TrimSpace(line), "=> ")
				return path, ""
			}
		}
		return "", lacking(name)
	}
}

// lacking is what stands in the row of a peer that is not there.
func lacking(name string) string {
	return name + " is not installed: run `tools/setup bench`"
}

var tcmalloc = debian("libtcmalloc.so.4", "libgoogle-perftools4")

func findHeaptrack(setup) (string, string) {
	if path := find("heaptrack/libheaptrack_preload.so"); path != "" {
		return path, ""
	}
	return "", lacking("heaptrack")
}

// find is a file where distributions put what belongs to a program.
func find(name string) string {
	for _, dir := range []string{"/usr/libexec", "/usr/lib", "/usr/lib64", "/usr/lib/*"} {
		if found, _ := filepath.Glob(filepath.Join(dir, name)); len(found) != 0 {
			return found[0]
		}
	}
	return ""
}

// jemallocWithProf asks the library itself: whether it can profile was decided when it was built.
func jemallocWithProf(s setup) (string, string) {
	path, lacks := debian("libjemalloc.so.2", "libjemalloc2")(s)
	if lacks != "" {
		return "", lacks
	}
	try := exec.Command("/bin/true")
	try.Env = []string{"LD_PRELOAD=" + path, "MALLOC_CONF=prof:true"}
	if said, _ := try.CombinedOutput(); strings.Contains(string(said), "Invalid conf") {
		return "", path + " was built without profiling: install one built with --enable-prof"
	}
	return path, ""
}

// variables are what the profiler needs in the program's environment.
func (p profiler) variables(library, dir string) []string {
	var env []string
	for _, e := range p.env {
		e = strings.ReplaceAll(e, "=LIB", "="+library)
		env = append(env, strings.ReplaceAll(e, "DIR/", dir+"/"))
	}
	return env
}

// What the caller may have set for a profiler, an allocator or Go, and is not for a run.
var notInherited = []string{"CGOHEAP_", "MALLOC_", "TCMALLOC_", "HEAP", "GLIBC_TUNABLES=",
	"LD_PRELOAD=", "GODEBUG=", "GOGC=", "GOMEMLIMIT=", "GOMAXPROCS="}

// inherited is the environment of every run.
func inherited() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool {
		return slices.ContainsFunc(notInherited, func(prefix string) bool {
			return strings.HasPrefix(e, prefix)
		})
	})
}
