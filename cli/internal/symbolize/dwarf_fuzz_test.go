package symbolize

import (
	"debug/elf"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

var panicked = regexp.MustCompile(`(?m)^panic\(.*\n\t.*\n((?:runtime\..*\n\t.*\n)*)([^(\n]*)`)

// wantNoPanics of ours; it answers for the rest of the process's life.
func wantNoPanics() {
	panicSeen = func() {
		stack := string(debug.Stack())
		m := panicked.FindStringSubmatch(stack)
		if m == nil || !strings.HasPrefix(m[2], "debug/") && !strings.HasPrefix(m[2], "compress/") {
			fmt.Fprintln(os.Stderr, stack)
			os.Exit(2)
		}
	}
}

// endless: go test -fuzz knows no limit for one input.
func endless(t *testing.T) {
	timer := time.AfterFunc(20*time.Second, func() { panic("it does not end") })
	t.Cleanup(func() { timer.Stop() })
}

// smallELF has the DWARF of a program, and hardly any code of others.
func smallELF(f *testing.F, compiler, source string, flags ...string) string {
	if _, err := exec.LookPath(compiler); err != nil {
		f.Logf("no seed of %s: it is not installed", compiler)
		return ""
	}
	out := filepath.Join(f.TempDir(), "small")
	args := []string{"-shared", "-fPIC", "-nostdlib", "-Wl,--build-id", "-I", "testdata/dwarf",
		"-o", out}
	args = append(args, flags...)
	mustRun(f, "", compiler, append(args, "testdata/dwarf/"+source)...)
	return out
}

// smallELFs are the seeds; of processes that only run inputs there may be several.
func smallELFs(f *testing.F) (files []string) {
	if worker := flag.Lookup("test.fuzzworker"); worker != nil && worker.Value.String() == "true" {
		return nil
	}
	for _, c := range [][]string{
		{"gcc", "plain.c", "-O2", "-gdwarf-5"},
		{"gcc", "plain.c", "-O2", "-gdwarf-4"},
		{"gcc", "plain.c", "-O1", "-gdwarf-2", "-gz=zlib"},
		{"clang", "plain.c", "-O2", "-gdwarf-5"},
	} {
		if file := smallELF(f, c[0], c[1], c[2:]...); file != "" {
			files = append(files, file)
		}
	}
	return files
}

// resolveAll asks for both ends of all that a unit has.
func resolveAll(d *dwarfLines) {
	var ask []uint64
	for _, s := range d.unitRanges.list[:min(64, len(d.unitRanges.list))] {
		ask = append(ask, s.low, s.low+(s.high-s.low)/2, s.high-1)
	}
	d.resolve(ask)
}

func FuzzDwarf(f *testing.F) {
	wantNoPanics()
	none := []byte{}
	f.Add(tinyInfo(tinyAbstract), tinyAbbrev, tinyLine(tinyTables...),
		none, none, none, none, none, none)
	for _, file := range smallELFs(f) {
		sections, err := readDwarfSections(boxFileOf(f, file).elf)
		if err != nil {
			f.Fatal(err)
		}
		s := func(name string) []byte { return sections[name] }
		f.Add(s(".debug_info"), s(".debug_abbrev"), s(".debug_line"), s(".debug_str"),
			s(".debug_line_str"), s(".debug_ranges"),
			s(".debug_rnglists"), s(".debug_addr"), s(".debug_str_offsets"))
	}
	f.Fuzz(func(t *testing.T,
		info, abbrev, line, str, lineStr, ranges, rngLists, addr, strOffsets []byte,
	) {
		endless(t)
		d, err := newDwarfLines(map[string][]byte{
			".debug_info": info, ".debug_abbrev": abbrev, ".debug_line": line, ".debug_str": str,
			".debug_line_str": lineStr, ".debug_ranges": ranges, ".debug_rnglists": rngLists,
			".debug_addr": addr, ".debug_str_offsets": strOffsets,
		})
		if err == nil {
			resolveAll(d)
		}
	})
}

// FuzzDebugFile is of the file around it: sections, symbols, notes and links.
func FuzzDebugFile(f *testing.F) {
	wantNoPanics()
	setDebugRoot(f, f.TempDir())
	for _, file := range smallELFs(f) {
		objcopy(f, "--add-gnu-debuglink="+file, file)
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		endless(t)
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file := Open(path, currentBuildID(path))
		if !file.IsOpen() {
			return
		}
		defer file.elf.Close()
		var ask []uint64
		for _, s := range file.symbols[:min(64, len(file.symbols))] {
			ask = append(ask, s.start, s.start+s.size-1)
		}
		file.ReadSources(path, ask)
		for _, a := range ask {
			file.name(a)
		}
	})
}

// currentBuildID is what the file claims to have.
func currentBuildID(path string) (id string) {
	defer func() { _ = recover() }()
	e, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer e.Close()
	return elfBuildID(e)
}

// Whatever byte of it is another, and wherever it ends, there is an answer, and memory for it.
func TestDwarfDamage(t *testing.T) {
	wantNoPanics()
	for _, flags := range [][]string{{"-gdwarf-5"}, {"-gdwarf-4"}} {
		file := compileDwarf(t, "gcc", "plain.c",
			append(flags, "-O2", "-shared", "-fPIC", "-nostdlib")...)
		sections, err := readDwarfSections(boxFileOf(t, file).elf)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{
			".debug_info", ".debug_abbrev", ".debug_line", ".debug_ranges", ".debug_rnglists",
		} {
			good := sections[name]
			with := func(data []byte) {
				sections[name] = data
				if d, err := newDwarfLines(sections); err == nil {
					resolveAll(d)
				}
			}
			for i := range good {
				with(good[:i])
				for _, value := range []byte{0xff, good[i] ^ 1, good[i] ^ 0x80, 0} {
					bad := append([]byte{}, good...)
					bad[i] = value
					with(bad)
				}
			}
			sections[name] = good
		}
	}
}
