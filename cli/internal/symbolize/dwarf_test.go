package symbolize

import (
	"bytes"
	"cmp"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func mustRun(t testing.TB, stdin string, command string, args ...string) string {
	t.Helper()
	cmd := exec.Command(command, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", command, args, err, errs.String())
	}
	return string(out)
}

// compileDwarf one of testdata/dwarf; the compiler sees relative paths, as it does in a make.
func compileDwarf(t testing.TB, compiler, source string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("%s is not installed", compiler)
	}
	out := filepath.Join(t.TempDir(), "program")
	args := append([]string{"-I", "testdata/dwarf", "-o", out}, flags...)
	mustRun(t, "", compiler, append(args, "testdata/dwarf/"+source)...)
	return out
}

var disassembled = regexp.MustCompile(`(?m)^ *([0-9a-f]+):\t[^\t\n]*(?:\t(\S+))?`)

// addressesOf every instruction, and the return addresses of calls less one.
func addressesOf(t *testing.T, file string) (all []uint64, calls int) {
	t.Helper()
	afterCall := false
	listing := mustRun(t, "", "objdump", "-d", "--no-show-raw-insn", file)
	for _, m := range disassembled.FindAllStringSubmatch(listing, -1) {
		at, err := strconv.ParseUint(m[1], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if afterCall {
			all = append(all, at-1)
			calls++
		}
		all = append(all, at)
		instruction := strings.Fields(strings.TrimSpace(m[0][strings.IndexByte(m[0], ':')+1:]))
		afterCall = len(instruction) > 0 && strings.HasPrefix(instruction[0], "call")
	}
	slices.Sort(all)
	return slices.Compact(all), calls
}

// addr2line's frames, a line of text each. It is asked twice, for of a function that has no linkage
// name it answers, the first time, with whatever symbol is near.
func addr2line(t *testing.T, file string, addresses []uint64) map[uint64]string {
	t.Helper()
	var ask strings.Builder
	for range 2 {
		for _, a := range addresses {
			fmt.Fprintf(&ask, "%#x\n", a)
		}
	}
	answer := mustRun(t, ask.String(), "addr2line", "-a", "-f", "-i", "-e", file)
	lines := strings.Split(strings.TrimSpace(answer), "\n")
	answers := map[uint64]string{}
	for i := 0; i < len(lines); {
		at, err := strconv.ParseUint(lines[i], 0, 64)
		if err != nil {
			t.Fatalf("addr2line: %q", lines[i])
		}
		var text strings.Builder
		for i++; i+1 < len(lines) && !strings.HasPrefix(lines[i], "0x"); i += 2 {
			place, _, _ := strings.Cut(lines[i+1], " (discriminator")
			colon := strings.LastIndexByte(place, ':')
			name, line := place[:colon], place[colon+1:]
			if line == "?" {
				line = "0"
			}
			if name != "??" {
				name = path.Clean(name)
			}
			fmt.Fprintf(&text, "%s %s:%s\n", lines[i], name, line)
		}
		answers[at] = text.String()
	}
	return answers
}

func boxFileOf(t testing.TB, file string) *Binary {
	t.Helper()
	e, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	f := &Binary{elf: e}
	f.readSymbols()
	return f
}

func linesText(lines []Line) string {
	var text strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&text, "%s %s:%d\n", l.Function, cmp.Or(l.File, "??"), l.Line)
	}
	return text.String()
}

var (
	noLine = regexp.MustCompile(`^.*:0\n$`)
	// What compilers make of a function, and the symbol table says.
	madeOf = regexp.MustCompile(`(?m)^([a-z_]+)(?:\.[a-z]*\.?\d+)+ `)
)

// wantAsAddr2line reads file, and compares with what addr2line says of reference.
func wantAsAddr2line(t *testing.T, file, reference string) {
	t.Helper()
	addresses, calls := addressesOf(t, reference)
	f := boxFileOf(t, file)
	if notes := f.ReadSources(file, slices.Clone(addresses)); len(notes) != 0 {
		t.Fatal(notes)
	}
	compared, inlined, wrong := 0, 0, 0
	for a, want := range addr2line(t, reference, addresses) {
		if f.name(a) == "" || f.sources[a] == nil && noLine.MatchString(want) {
			continue // padding between functions; no DWARF: the start-up code of libc
		}
		compared++
		inlined += strings.Count(want, "\n") - 1
		if got := linesText(f.sources[a]); madeOf.ReplaceAllString(got, "$1 ") != want {
			if wrong++; wrong <= 10 {
				t.Errorf("%#x is\n%swant\n%s", a, got, want)
			}
		}
	}
	t.Logf("%d addresses, %d calls, %d compared, %d inlined frames, %d differ",
		len(addresses), calls, compared, inlined, wrong)
	if compared < 50 || calls < 10 || inlined == 0 && !strings.Contains(t.Name(), "C_O0") {
		t.Errorf("%d compared, %d calls, %d inlined frames: too few to say anything",
			compared, calls, inlined)
	}
}

// The reference is what addr2line of binutils 2.40 reads without fault: it gives up inlined calls
// where types have units of their own, files in some tables of DWARF 5, and all where libc's
// start-up code is 32-bit DWARF and the rest is not. The code is the same.
func TestDwarfAsAddr2line(t *testing.T) {
	const (
		types    = " -fdebug-types-section"
		sections = "-O3 -g -ffunction-sections -Wl,--gc-sections"
	)
	for name, c := range map[string]struct {
		compiler, source string
		flags, reference string
	}{
		"C O2":                  {"gcc", "plain.c", "-O2 -g", ""},
		"C O0":                  {"gcc", "plain.c", "-O0 -g", ""},
		"C DWARF 4":             {"gcc", "plain.c", "-O2 -gdwarf-4", ""},
		"C DWARF 3":             {"gcc", "plain.c", "-O2 -gdwarf-3", ""},
		"C DWARF 2":             {"gcc", "plain.c", "-O2 -gdwarf-2", ""},
		"C 64-bit DWARF":        {"gcc", "plain.c", "-O2 -g -gdwarf64", "-O2 -g"},
		"C packed":              {"gcc", "plain.c", "-O2 -g -gz=zlib", ""},
		"C packed as of old":    {"gcc", "plain.c", "-O2 -g -gz=zlib-gnu", "-O2 -g"},
		"C sections, no PIE":    {"gcc", "plain.c", sections + " -no-pie", ""},
		"C LTO":                 {"gcc", "plain.c", "-O2 -g -flto", "-O2 -gdwarf-4 -flto"},
		"C++ O2":                {"g++", "classes.cc", "-O2 -g", ""},
		"C++ O0":                {"g++", "classes.cc", "-O0 -g", "-O0 -gdwarf-4"},
		"C++ DWARF 4":           {"g++", "classes.cc", "-O2 -gdwarf-4", ""},
		"C++ type units":        {"g++", "classes.cc", "-O2 -g" + types, "-O2 -g"},
		"C++ type units of old": {"g++", "classes.cc", "-O2 -gdwarf-4" + types, "-O2 -gdwarf-4"},
		"C++ clang":             {"clang++", "classes.cc", "-O2 -gdwarf-5", "-O2 -gdwarf-4"},
		"C++ clang DWARF 4":     {"clang++", "classes.cc", "-O2 -gdwarf-4", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := compileDwarf(t, c.compiler, c.source, strings.Fields(c.flags)...)
			reference := file
			if c.reference != "" {
				reference = compileDwarf(t, c.compiler, c.source, strings.Fields(c.reference)...)
				if !bytes.Equal(codeOf(t, file), codeOf(t, reference)) {
					t.Fatal("the reference is other code")
				}
			}
			wantAsAddr2line(t, file, reference)
		})
	}
}

func codeOf(t *testing.T, file string) []byte {
	return sectionData(boxFileOf(t, file).elf, ".text")
}

func objcopy(t testing.TB, args ...string) { mustRun(t, "", "objcopy", args...) }

func setDebugRoot(t testing.TB, dir string) {
	before := debugRoot
	t.Cleanup(func() { debugRoot = before })
	debugRoot = dir
}

func buildIDOf(t *testing.T, file string) string {
	e, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return elfBuildID(e)
}

// Where gdb looks for debug files, and which of them are of this build.
func TestDwarfSeparate(t *testing.T) {
	whole := compileDwarf(t, "gcc", "plain.c", "-O2", "-g", "-Wl,--build-id")
	anonymous := compileDwarf(t, "gcc", "plain.c", "-O2", "-g", "-Wl,--build-id=none")
	other := compileDwarf(t, "gcc", "plain.c", "-O3", "-g", "-Wl,--build-id")
	otherAnonymous := compileDwarf(t, "gcc", "plain.c", "-O3", "-g", "-Wl,--build-id=none")
	id := buildIDOf(t, whole)
	byID := filepath.Join("/root-of-debug/.build-id", id[:2], id[2:]+".debug")
	for name, c := range map[string]struct {
		whole, debugOf string
		at             string // "" beside; a path with no directory is below the program's
		link           bool
		note           string // why it is not taken; "": it is
	}{
		"by build ID":             {whole, whole, byID, false, ""},
		"by build ID, wrong file": {whole, other, byID, false, "is of another build"},
		"linked, beside":          {whole, whole, "DIR/plain.debug", true, ""},
		"linked, in .debug":       {whole, whole, "DIR/.debug/plain.debug", true, ""},
		"linked, in the root":     {whole, whole, "/root-of-debug/DIR/plain.debug", true, ""},
		"linked, no build IDs":    {anonymous, anonymous, "DIR/plain.debug", true, ""},
		"linked, wrong build ID":  {whole, other, "DIR/plain.debug", true, "is of another build"},
		"linked, wrong CRC": {anonymous, otherAnonymous, "DIR/plain.debug", true,
			"is of another build"},
		"linked, no ELF": {whole, "", "DIR/plain.debug", true, "is not a readable ELF file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, root := t.TempDir(), t.TempDir()
			setDebugRoot(t, root)
			at := strings.Replace(strings.Replace(c.at, "/root-of-debug", root, 1), "DIR", dir, 1)
			program := filepath.Join(dir, "program")
			linked := filepath.Join(t.TempDir(), "plain.debug")
			objcopy(t, "--only-keep-debug", c.whole, linked)
			objcopy(t, "--strip-all", c.whole, program)
			if c.link {
				objcopy(t, "--add-gnu-debuglink="+linked, program)
			}
			if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
				t.Fatal(err)
			}
			if c.debugOf == "" {
				if err := os.WriteFile(at, []byte("hello"), 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				objcopy(t, "--only-keep-debug", c.debugOf, at)
			}
			if c.note == "" {
				wantAsAddr2line(t, program, c.whole)
				return
			}
			addresses, _ := addressesOf(t, c.whole)
			f := boxFileOf(t, program)
			notes := f.ReadSources(program, addresses)
			want := []string{at + ": " + c.note}
			if len(f.sources) != 0 || !slices.Equal(notes, want) {
				t.Errorf("%d addresses, %q; want none, %q", len(f.sources), notes, want)
			}
		})
	}
}

// dwz moves what two files have in common to a third, as distributions do.
func TestDwarfCommonFile(t *testing.T) {
	if _, err := exec.LookPath("dwz"); err != nil {
		t.Skip("dwz is not installed")
	}
	dir := t.TempDir()
	whole := compileDwarf(t, "g++", "classes.cc", "-O2", "-gdwarf-4", "-Wl,--build-id")
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	common := filepath.Join(dir, "common.debug")
	mustRun(t, "", "cp", whole, one)
	mustRun(t, "", "cp", whole, two)
	mustRun(t, "", "dwz", "-m", common, one, two)
	wantAsAddr2line(t, one, whole)
	if err := os.Remove(common); err != nil {
		t.Fatal(err)
	}
	setDebugRoot(t, dir)
	addresses, _ := addressesOf(t, one)
	notes := boxFileOf(t, one).ReadSources(one, addresses)
	want := []string{one + ": its supplementary file " + common + ": not there"}
	if !slices.Equal(notes, want) {
		t.Errorf("%q, want %q", notes, want)
	}
}
