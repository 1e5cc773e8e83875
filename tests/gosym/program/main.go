// Command program compares what the shim reads from pclntab with what the Go
// runtime says about the same addresses in the same process, for pcs all over
// the text.  It prints one line for each difference, then a line of counts.
//
// With -list it prints "pc function file:line" instead, for an oracle outside.
package main

import (
	"debug/elf"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/user"
	"runtime"
	"strings"
	_ "unsafe" // linkname
)

//go:linkname expandInlined runtime/pprof.runtime_expandFinalInlineFrame
func expandInlined(stack []uintptr) []uintptr

// The runtime takes the name at offset 0 for none.
const firstName = "internal/cpu.Initialize"

// The runtime's answer: every source frame of one pc.  It leaves out wrappers
// but for the innermost frame, and before Go 1.21 the outermost.
func runtimeFrames(pc uint64) []frame {
	var list []frame
	for _, at := range expandInlined([]uintptr{uintptr(pc) + 1}) {
		f, _ := runtime.CallersFrames([]uintptr{at}).Next()
		list = append(list, frame{function: f.Function, file: f.File, line: f.Line})
	}
	return list
}

var keepsOutermost = strings.HasPrefix(runtime.Version(), "go1.18") ||
	strings.HasPrefix(runtime.Version(), "go1.19") || strings.HasPrefix(runtime.Version(), "go1.20")

func withoutOuterWrappers(list []frame) []frame {
	var kept []frame
	for i, f := range list {
		if i == 0 || !f.wrapper || keepsOutermost && i == len(list)-1 {
			f.wrapper = false
			kept = append(kept, f)
		}
	}
	return kept
}

type checker struct {
	pcs, functions, inlined, wrappers, c, differences int
	last                                              string
	seen                                              map[string]bool // functions that were located
}

func (c *checker) differ(pc uint64, format string, args ...interface{}) {
	if c.differences++; c.differences <= 20 {
		fmt.Printf("%#x: %s\n", pc, fmt.Sprintf(format, args...))
	}
}

func (c *checker) check(pc uint64, a answer) {
	f := runtime.FuncForPC(uintptr(pc))
	c.pcs++
	if pc+1 == a.end {
		return // the runtime takes pc+1, where the next function starts, as it is
	}
	if f == nil || len(a.frames) == 0 {
		if f != nil || len(a.frames) != 0 {
			c.differ(pc, "found %d frames, the runtime %v", len(a.frames), f)
		}
		return
	}
	c.count(a)
	file, _ := f.FileLine(uintptr(a.entry)) // not at pc: padding has no line either
	if noLines := file == "?" && !strings.HasPrefix(a.name, "go:"); a.isC != noLines {
		c.differ(pc, "%s: is C %v, the runtime's file is %q", a.name, a.isC, file)
	}
	if a.isC {
		if len(a.frames) != 1 || a.frames[0] != (frame{function: a.name}) {
			c.differ(pc, "frames of a C function: %v", a.frames)
		}
		return
	}
	got, want := withoutOuterWrappers(a.frames), runtimeFrames(pc)
	for i := range want {
		if want[i].file == "?" { // padding, or a marker of the linker
			want[i].file = ""
		}
		if want[i].function == "" {
			want[i].function = firstName
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.differ(pc, "%v, the runtime %v", got, want)
	}
	if entry := f.Entry(); len(a.frames) == 1 && uint64(entry) != a.entry {
		c.differ(pc, "%s at %#x, the runtime %#x", a.name, a.entry, entry)
	}
	if pc < a.entry || pc >= a.end {
		c.differ(pc, "outside of %#x..%#x", a.entry, a.end)
	}
}

func (c *checker) count(a answer) {
	if len(a.frames) > 1 {
		c.inlined++
	}
	if a.name == c.last {
		return
	}
	c.last = a.name
	c.functions++
	if a.isC {
		c.c++
	}
	for _, f := range a.frames {
		if f.wrapper {
			c.wrappers++
		}
	}
}

// textRange is the range of the .text section in this process: section headers
// survive stripping, and are no part of what is tested.
func textRange() (start, end, bias uint64) {
	file, err := elf.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if file.Type == elf.ET_DYN {
		bias = firstMapping() - file.Progs[firstLoad(file)].Vaddr
	}
	s := file.Section(".text")
	return s.Addr + bias, s.Addr + s.Size + bias, bias
}

func firstLoad(file *elf.File) int {
	for i, p := range file.Progs {
		if p.Type == elf.PT_LOAD {
			return i
		}
	}
	panic("no PT_LOAD")
}

// firstMapping is where the executable begins.
func firstMapping() (start uint64) {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(string(maps), "\n") {
		if strings.HasSuffix(line, path) {
			fmt.Sscanf(line, "%x-", &start)
			return start
		}
	}
	panic("not mapped: " + path)
}

func (c *checker) checkEdges(start, end uint64) {
	for _, pc := range []uint64{0, 1, start - 4096, end + 1<<20, 1 << 63, ^uint64(0)} {
		if inText(pc) {
			c.differ(pc, "is in text")
		}
		ask([]uint64{pc}, func(pc uint64, a answer) {
			if len(a.frames) != 0 {
				c.differ(pc, "has frames")
			}
		})
	}
	if v := version(); v != runtime.Version() {
		c.differ(0, "version %q, the runtime %q", v, runtime.Version())
	}
}

func sweep(start, end, step uint64, each func(pcs []uint64)) {
	pcs := make([]uint64, 0, len(buffer))
	for pc := start; pc < end; pc += step {
		if pcs = append(pcs, pc); len(pcs) == cap(pcs) || pc+step >= end {
			each(pcs)
			pcs = pcs[:0]
		}
	}
}

func (c *checker) checkAll(pcs []uint64) {
	locations := locate(pcs)
	ask(pcs, func(pc uint64, a answer) {
		c.check(pc, a)
		c.checkLocation(pc, a, locations[pc])
	})
}

func main() {
	list := flag.Bool("list", false, "print what the tables say")
	// Functions start at multiples of 32: fewer bytes than that miss none.
	step := flag.Uint64("step", 23, "bytes from one pc to the next")
	flag.Parse()
	if !initSymbols() {
		fmt.Println("not recognised as a Go program")
		os.Exit(1)
	}
	start, end, bias := textRange()
	if *list {
		sweep(start, end, *step, func(pcs []uint64) {
			ask(pcs, func(pc uint64, a answer) {
				if len(a.frames) > 0 && a.frames[0].file != "" { // not C, not padding
					fmt.Printf("%x %s %s:%d\n", pc-bias, a.name, a.frames[0].file, a.frames[0].line)
				}
			})
		})
		return
	}
	c := checker{seen: map[string]bool{}}
	c.checkEdges(start, end)
	sweep(start, end, *step, c.checkAll)
	c.checkSeen()
	runtime.KeepAlive(linked)
	c.checkProbe(bias, c.c > 0)
	fmt.Printf("pcs %d functions %d inlined %d wrappers %d c %d differences %d\n",
		c.pcs, c.functions, c.inlined, c.wrappers, c.c, c.differences)
	if c.differences > 0 {
		os.Exit(1)
	}
}

// Linked, not called: code to look at, with the C of the standard library.
var linked = []interface{}{json.Marshal, net.LookupHost, user.Current, shapes, probe}
