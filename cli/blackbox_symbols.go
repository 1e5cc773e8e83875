package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/google/pprof/profile"
)

// Names of a recorded process's addresses, from the files that it had mapped:
// the same file when its build ID is the recorded one.

// boxLine is a source frame; a C function of which there is no DWARF has no file.
type boxLine struct {
	function, file string
	line, start    int64 // start: of the function; 0 unknown
	isGo           bool
}

type boxSymbol struct {
	start, size uint64
	name        string
}

// boxFile is one binary.
type boxFile struct {
	elf     *elf.File
	symbols []boxSymbol // ascending
	missing string      // why there are no names
	sources map[uint64][]boxLine
}

type boxSymbols struct {
	box   *blackbox
	files map[string]*boxFile // by path and build ID
	gos   *boxGo              // nil: no Go tables
	// The program's file where it is not at its path any more; "" it may be.
	binary string
}

func newBoxSymbols(b *blackbox, binary string) *boxSymbols {
	s := &boxSymbols{box: b, files: map[string]*boxFile{}, binary: binary}
	for i := range b.modules {
		m := &b.modules[i]
		f := s.file(m)
		// The program, or the first library that has Go in it.
		if b.goText >= m.start && b.goText < m.end && s.gos == nil && f.elf != nil && b.goEnd > b.goText {
			s.gos = readBoxGo(b, m, f.elf)
		}
	}
	s.readSources()
	return s
}

// readSources of all frames, file by file: DWARF is large, and of one at a time.
func (s *boxSymbols) readSources() {
	asked, paths := map[*boxFile][]uint64{}, map[*boxFile]string{}
	var order []*boxFile
	for i := range s.box.stacks {
		for _, pc := range s.box.stacks[i].frames {
			f, address, m := s.place(pc - 1)
			if f == nil || s.goLines(pc-1) != nil {
				continue
			}
			if asked[f] == nil {
				order = append(order, f)
			}
			asked[f], paths[f] = append(asked[f], address), m.path
		}
	}
	for _, f := range order {
		for _, why := range f.readSources(paths[f], asked[f]) {
			s.box.note("no lines of C code from %s", why)
		}
	}
}

// place of an address in its file; nil: there is no file.
func (s *boxSymbols) place(pc uint64) (*boxFile, uint64, *boxModule) {
	m := s.module(pc)
	if m == nil || m.flags&boxModuleHasELF == 0 {
		return nil, 0, nil
	}
	f := s.file(m)
	if f.elf == nil {
		return nil, 0, nil
	}
	return f, pc - m.loadBias, m
}

// binaryProblem is why the program's file cannot be read; "" it can.
func (s *boxSymbols) binaryProblem() string {
	for i := range s.box.modules {
		if m := &s.box.modules[i]; m.flags&boxModuleMain != 0 && s.file(m).missing != "" {
			return s.file(m).missing
		}
	}
	return ""
}

// nameless are the base names of those files.
func (s *boxSymbols) nameless() (names []string) {
	for i := range s.box.modules {
		m := &s.box.modules[i]
		if s.file(m).missing != "" {
			names = append(names, filepath.Base(m.path))
		}
	}
	return names
}

// missing lists the files without which there are addresses only.
func (s *boxSymbols) missing() (list []string) {
	for _, f := range s.files {
		if f.missing != "" {
			list = append(list, f.missing)
		}
	}
	sort.Strings(list)
	return list
}

func (s *boxSymbols) file(m *boxModule) *boxFile {
	key := m.path + "\x00" + m.buildID
	f := s.files[key]
	if f == nil {
		f = &boxFile{}
		s.files[key] = f
		if strings.HasPrefix(m.path, "/") && m.flags&boxModuleShim == 0 {
			path := m.path
			if m.flags&boxModuleMain != 0 && s.binary != "" {
				path = s.binary
			}
			if err := f.open(m, path); err != nil {
				f.missing = fmt.Sprintf("%s: %s", escapeName(path), err)
			}
		}
	}
	return f
}

func (f *boxFile) open(m *boxModule, path string) (err error) {
	// debug/elf is meant for good files; one that makes it panic is no file for us.
	defer func() {
		if recover() != nil {
			f.elf, f.symbols, err = nil, nil, errors.New("not a good ELF file")
		}
	}()
	info, err := os.Stat(path)
	if err != nil {
		return errors.New("not there")
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a file")
	}
	e, err := elf.Open(path)
	if err != nil {
		return errors.New("not an ELF file that can be read")
	}
	id := elfBuildID(e)
	if id != m.buildID && !(m.buildID == "" && id == "") {
		return fmt.Errorf("has build ID %s now, and had %s", orElse(id, "none"), orElse(escapeName(m.buildID), "none"))
	}
	f.elf = e
	f.readSymbols()
	return nil
}

func elfBuildID(e *elf.File) string {
	for _, s := range e.Sections {
		if s.Type != elf.SHT_NOTE {
			continue
		}
		data, err := s.Data()
		for err == nil && len(data) >= 12 {
			name, desc, kind := e.ByteOrder.Uint32(data), e.ByteOrder.Uint32(data[4:]), e.ByteOrder.Uint32(data[8:])
			at := 12 + (uint64(name)+3)&^3
			end := at + (uint64(desc)+3)&^3
			if end > uint64(len(data)) {
				break
			}
			if kind == 3 && string(data[12:12+uint64(name)]) == "GNU\x00" {
				return hex.EncodeToString(data[at : at+uint64(desc)])
			}
			data = data[end:]
		}
	}
	return ""
}

func (f *boxFile) readSymbols() {
	static, _ := f.elf.Symbols()
	dynamic, _ := f.elf.DynamicSymbols()
	f.addSymbols(append(static, dynamic...))
}

func (f *boxFile) addSymbols(list []elf.Symbol) {
	for _, s := range list {
		kind := elf.ST_TYPE(s.Info)
		if (kind == elf.STT_FUNC || kind == 10 /* GNU_IFUNC */) && s.Section != elf.SHN_UNDEF && s.Name != "" {
			f.symbols = append(f.symbols, boxSymbol{s.Value, s.Size, s.Name})
		}
	}
	sort.SliceStable(f.symbols, func(i, j int) bool { return f.symbols[i].start < f.symbols[j].start })
}

// name of the function that holds an address of the file; "" unknown.
func (f *boxFile) name(address uint64) string {
	i := sort.Search(len(f.symbols), func(i int) bool { return f.symbols[i].start > address }) - 1
	if i < 0 {
		return ""
	}
	start := f.symbols[i].start
	for ; i >= 0 && f.symbols[i].start == start; i-- {
		if s := f.symbols[i]; s.size == 0 || address-s.start < s.size {
			best := s.name
			// Of aliases the plainest: "malloc", not "__libc_malloc".
			for ; i >= 0 && f.symbols[i].start == start; i-- {
				if plainer(f.symbols[i].name, best) {
					best = f.symbols[i].name
				}
			}
			return best
		}
	}
	return ""
}

// nameAt is that of the function that begins there.
func (f *boxFile) nameAt(start uint64) string {
	i := sort.Search(len(f.symbols), func(i int) bool { return f.symbols[i].start >= start })
	if i == len(f.symbols) || f.symbols[i].start != start {
		return ""
	}
	return f.name(start)
}

func plainer(a, b string) bool {
	ua, ub := len(a)-len(strings.TrimLeft(a, "_")), len(b)-len(strings.TrimLeft(b, "_"))
	if ua != ub {
		return ua < ub
	}
	return len(a) < len(b)
}

func (s *boxSymbols) module(pc uint64) *boxModule {
	// The newest of those that were ever there.
	for i := len(s.box.modules) - 1; i >= 0; i-- {
		if m := &s.box.modules[i]; pc >= m.start && pc < m.end {
			return m
		}
	}
	return nil
}

// lines of one call, innermost first; none: no name is known.
func (s *boxSymbols) lines(pc uint64) []boxLine {
	if lines := s.goLines(pc); lines != nil {
		return lines
	}
	f, address, _ := s.place(pc)
	if f == nil {
		return nil
	}
	if lines := f.sources[address]; lines != nil {
		return lines
	}
	if name := f.name(address); name != "" {
		return []boxLine{{function: name}}
	}
	return nil
}

func (s *boxSymbols) goLines(pc uint64) []boxLine {
	if s.gos != nil && pc >= s.box.goText && pc < s.box.goEnd {
		return s.gos.lines(pc)
	}
	return nil
}

// ---- Go's tables ----------------------------------------------------------

// boxGo reads pclntab as shim/gosym.c does, from the file.
type boxGo struct {
	text                                              uint64
	is120                                             bool
	names, cutab, filetab, pctab, funcs, ftab, goFunc boxImage
}

func readBoxGo(b *blackbox, m *boxModule, e *elf.File) *boxGo {
	g := &boxGo{text: b.goText, is120: b.goIs120}
	for i, to := range []*boxImage{&g.names, &g.cutab, &g.filetab, &g.pctab, &g.funcs, &g.ftab, &g.goFunc} {
		*to = readAddress(e, b.goTables[i].address-m.loadBias, b.goTables[i].len)
	}
	if g.ftab == nil || g.funcs == nil || g.names == nil || g.pctab == nil {
		return nil
	}
	return g
}

// readAddress is what the file has at an address, at most n bytes.
func readAddress(e *elf.File, address, n uint64) boxImage {
	for _, p := range e.Progs {
		if p.Type == elf.PT_LOAD && address >= p.Vaddr && address-p.Vaddr < p.Filesz {
			data := make([]byte, min(n, p.Filesz-(address-p.Vaddr), 1<<30))
			got, _ := p.ReadAt(data, int64(address-p.Vaddr))
			return data[:got]
		}
	}
	return nil
}

const (
	pcdataInlTree   = 2
	funcdataInlTree = 3
	boxMostInlined  = 64
)

// boxFunc is a function's entry in the tables.
type boxFunc struct {
	entry        uint64
	f            boxImage
	fixed        uint64 // bytes before its pcdata
	name, cu     uint32
	pcfile, pcln uint32
	npcdata      uint64
	nfuncdata    uint64
}

func (g *boxGo) find(pc uint64) (fn boxFunc, ok bool) {
	offset := pc - g.text
	n := len(g.ftab) / 8
	i := sort.Search(n, func(i int) bool { return uint64(g.ftab.u32(uint64(i)*8)) > offset }) - 1
	if i < 0 || i == n-1 {
		return fn, false
	}
	at := uint64(g.ftab.u32(uint64(i)*8 + 4))
	if at > uint64(len(g.funcs)) {
		return fn, false
	}
	f := g.funcs[at:]
	fn = boxFunc{entry: g.text + uint64(f.u32(0)), f: f, fixed: 44, name: f.u32(4), cu: f.u32(32),
		pcfile: f.u32(20), pcln: f.u32(24), npcdata: uint64(f.u32(28))}
	if !g.is120 {
		fn.fixed = 40
	}
	if f.at(0, fn.fixed) == nil || fn.npcdata > 1024 {
		return fn, false
	}
	fn.nfuncdata = uint64(f[fn.fixed-1])
	return fn, true
}

func (g *boxGo) name(offset uint32) string {
	if uint64(offset) >= uint64(len(g.names)) {
		return ""
	}
	p := g.names[offset:]
	end := bytes.IndexByte(p, 0)
	if end < 0 {
		return ""
	}
	return string(p[:end])
}

// value of a table of pc ranges at pc; -1 where it has none.
func (g *boxGo) value(offset uint32, entry, pc uint64) int32 {
	if offset == 0 || uint64(offset) >= uint64(len(g.pctab)) {
		return -1
	}
	p := []byte(g.pctab[offset:])
	value, at := int32(-1), entry
	for first := true; ; first = false {
		delta, n := binary.Uvarint(p)
		if n <= 0 || (delta == 0 && !first) {
			return -1
		}
		step, k := binary.Uvarint(p[n:])
		if k <= 0 {
			return -1
		}
		p = p[n+k:]
		value += int32(uint32(delta)>>1) ^ -int32(uint32(delta)&1)
		if at += step; pc < at {
			return value
		}
	}
}

func (g *boxGo) line(fn *boxFunc, name string, pc uint64) boxLine {
	l := boxLine{function: name, isGo: true}
	if n := g.value(fn.pcln, fn.entry, pc); n > 0 {
		l.line = int64(n)
	}
	file := g.value(fn.pcfile, fn.entry, pc)
	if file < 0 {
		return l
	}
	at := g.cutab.u32((uint64(fn.cu) + uint64(file)) * 4)
	if at != ^uint32(0) && uint64(at) < uint64(len(g.filetab)) {
		p := g.filetab[at:]
		if end := bytes.IndexByte(p, 0); end >= 0 {
			l.file = string(p[:end])
		}
	}
	return l
}

func (g *boxGo) lines(pc uint64) (list []boxLine) {
	fn, ok := g.find(pc)
	if !ok {
		return nil
	}
	if fn.pcln == 0 { // C inside Go's text
		if name := g.name(fn.name); name != "" {
			return []boxLine{{function: name}}
		}
		return nil
	}
	tree := boxImage(nil)
	if fn.nfuncdata > funcdataInlTree && fn.npcdata > pcdataInlTree {
		at := fn.f.u32(fn.fixed + 4*fn.npcdata + 4*funcdataInlTree)
		if at != ^uint32(0) && uint64(at) < uint64(len(g.goFunc)) {
			tree = g.goFunc[at:]
		}
	}
	for tree != nil && len(list) < boxMostInlined {
		ix := g.value(fn.f.u32(fn.fixed+4*pcdataInlTree), fn.entry, pc)
		if ix < 0 {
			break
		}
		size, nameAt, parentAt := uint64(16), uint64(4), uint64(8)
		if !g.is120 {
			size, nameAt, parentAt = 20, 12, 16
		}
		e := tree.at(uint64(ix)*size, size)
		if e == nil {
			break
		}
		list = append(list, g.line(&fn, g.name(boxImage(e).u32(nameAt)), pc))
		pc = fn.entry + uint64(boxImage(e).u32(parentAt))
	}
	return append(list, g.line(&fn, g.name(fn.name), pc))
}

// ---- the profile ------------------------------------------------------------

// isPlumbing: how cgo calls, not who calls; as shim/symbolize.c has it.
func (l boxLine) isPlumbing() bool {
	switch l.function {
	case "runtime.cgocall", "runtime.asmcgocall", "runtime.asmcgocall_landingpad", "runtime.cgocallback",
		"runtime.cgocallbackg", "runtime.cgocallbackg1", "crosscall2", "runtime.goexit":
		return true
	}
	name := l.function[strings.LastIndexByte(l.function, '.')+1:]
	return strings.HasPrefix(name, "_cgoexp_") || strings.HasPrefix(name, "_cgoexpwrap_") || name == "_cgo_cmalloc" ||
		!l.isGo && strings.HasPrefix(name, "_cgo_") && strings.Contains(name, "_Cfunc_")
}

type boxProfile struct {
	symbols   *boxSymbols
	p         *profile.Profile
	locations map[uint64]*profile.Location // nil: left out
	functions map[boxLine]*profile.Function
	mappings  map[*boxModule]*profile.Mapping
}

var boxOrigins = []string{"malloc", "mmap", "thread_stack"}

func (b *blackbox) profile(symbols *boxSymbols) *profile.Profile {
	period := int64(1)
	last := b.last()
	if last != nil {
		period = max(int64(last.SampleBytes), int64(last.ConfiguredInterval), 1)
	}
	w := &boxProfile{symbols: symbols, locations: map[uint64]*profile.Location{},
		functions: map[boxLine]*profile.Function{}, mappings: map[*boxModule]*profile.Mapping{},
		p: &profile.Profile{Period: period, PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"},
			DefaultSampleType: "inuse_space",
			SampleType: []*profile.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"},
				{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}},
			Comments: []string{"from the flight recorder of " + b.program}}}
	if last != nil {
		w.p.TimeNanos = last.Time.UnixNano()
	}
	for i := range b.modules {
		w.addMapping(&b.modules[i])
	}
	for i := range b.stacks {
		w.addStack(&b.stacks[i])
	}
	w.setFlags()
	for _, why := range append(symbols.missing(), b.notes...) {
		w.p.Comments = append(w.p.Comments, why)
	}
	return w.p
}

func (w *boxProfile) addMapping(m *boxModule) {
	mapping := &profile.Mapping{ID: uint64(len(w.p.Mapping) + 1), Start: m.start, Limit: m.end, Offset: m.fileOffset,
		File: m.path, BuildID: m.buildID, HasFunctions: true, HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true}
	w.p.Mapping = append(w.p.Mapping, mapping)
	w.mappings[m] = mapping
}

// setFlags: a mapping has what all of its locations have, and none if it has none;
// what is not from Go's tables or DWARF has neither files nor inlined calls.
func (w *boxProfile) setFlags() {
	used := map[*profile.Mapping]bool{}
	for _, l := range w.p.Location {
		m := l.Mapping
		if m == nil {
			continue
		}
		used[m] = true
		if len(l.Line) == 0 {
			m.HasFilenames, m.HasLineNumbers, m.HasInlineFrames = false, false, false
		}
		for _, line := range l.Line {
			if line.Function.Filename == "" {
				m.HasFilenames, m.HasInlineFrames = false, false
			}
			m.HasLineNumbers = m.HasLineNumbers && line.Line != 0
		}
	}
	for _, m := range w.p.Mapping {
		if !used[m] {
			m.HasFilenames, m.HasLineNumbers, m.HasInlineFrames = false, false, false
		}
	}
}

func (w *boxProfile) addStack(s *boxStack) {
	var locations []*profile.Location
	for _, pc := range s.frames {
		if l := w.location(pc); l != nil {
			locations = append(locations, l)
		}
	}
	for _, site := range s.sites {
		origin := "unknown"
		if int(site.origin) < len(boxOrigins) {
			origin = boxOrigins[site.origin]
		}
		sample := &profile.Sample{Location: locations, Label: map[string][]string{"origin": {origin}},
			Value: []int64{site.allocObjects, site.allocBytes, site.inUseObjects, site.inUseBytes}}
		s.addLabels(sample)
		if !site.mixed {
			sample.NumLabel = map[string][]int64{"bytes": {int64(min(site.size, boxMostBytes))}}
		}
		w.p.Sample = append(w.p.Sample, sample)
	}
}

func (w *boxProfile) location(pc uint64) *profile.Location {
	if l, ok := w.locations[pc]; ok {
		return l
	}
	m := w.symbols.module(pc - 1)
	lines := w.symbols.lines(pc - 1)
	kept := lines[:0:0]
	for _, l := range lines {
		if !l.isPlumbing() {
			kept = append(kept, l)
		}
	}
	if len(lines) > 0 && len(kept) == 0 || m != nil && m.flags&boxModuleShim != 0 {
		w.locations[pc] = nil
		return nil
	}
	l := &profile.Location{ID: uint64(len(w.p.Location) + 1), Address: pc - 1, Mapping: w.mappings[m]}
	for _, line := range kept {
		l.Line = append(l.Line, profile.Line{Function: w.function(line), Line: line.line})
	}
	w.p.Location = append(w.p.Location, l)
	w.locations[pc] = l
	return l
}

func (w *boxProfile) function(l boxLine) *profile.Function {
	l.line = 0
	f := w.functions[l]
	if f == nil {
		f = &profile.Function{ID: uint64(len(w.p.Function) + 1), Name: l.function, SystemName: l.function, Filename: l.file,
			StartLine: l.start}
		w.functions[l] = f
		w.p.Function = append(w.p.Function, f)
	}
	return f
}
