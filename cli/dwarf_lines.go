package main

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sort"
)

// Source lines of C and C++ code, inlined calls as frames of their own, from
// DWARF 2 to 5 by the standard library: the command is static, and libdw is not.
// Only units that hold an asked-for address are read further than their first
// entry. debug/dwarf is meant for what compilers write; for the rest there are
// bounds here, what it panics over is caught, and the answer says what failed.

// dwarfFrame is one source frame.
type dwarfFrame struct {
	linkage, name string // as the linker has it, as the source has it; "" unknown
	entry         uint64 // of the function; 0 where it is inlined
	file          string // "" unknown
	line, start   int64  // 0 unknown
}

const (
	dwarfMostUnits  = 1 << 20
	dwarfMostDepth  = 4096
	dwarfMostChain  = 16  // of one entry that refers to another
	dwarfMostInline = 256 // frames of an address
	dwarfMostShared = 8   // units that claim an address
	// Steps of some 20 ns in one file.
	dwarfMostWork     = 1 << 28
	dwarfWorkOfAnItem = 40 // that the library makes an object of
)

const attrMIPSLinkageName = dwarf.Attr(0x2007)

var errDwarfWork = errors.New("there is too much of it")

type dwarfLines struct {
	data       *dwarf.Data
	sections   map[string][]byte
	alt        *dwarfLines // what dwz moved to a common file; nil: nothing
	unitRanges spans
	units      []dwarfUnitHead
	work       int
	failed     error // the first thing that could not be read
}

// span is [low, high) of something.
type span struct {
	low, high uint64
	of        int
}

// spans may overlap: reach[i] is the highest end of the first i+1.
type spans struct {
	list  []span
	reach []uint64
}

func (s *spans) sort() {
	sort.SliceStable(s.list, func(i, j int) bool { return s.list[i].low < s.list[j].low })
	highest := uint64(0)
	for _, one := range s.list {
		highest = max(highest, one.high)
		s.reach = append(s.reach, highest)
	}
}

// holding lists the spans that hold an address, those that start last first.
func (s *spans) holding(address uint64) (found []span) {
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].low > address }) - 1
	for ; i >= 0 && s.reach[i] > address; i-- {
		if s.list[i].high > address {
			found = append(found, s.list[i])
		}
	}
	return found
}

// newDwarfLines takes sections by their names, ".debug_info" and so on.
func newDwarfLines(sections map[string][]byte) (d *dwarfLines, err error) {
	defer catchDwarf(&err)
	d = &dwarfLines{sections: sections, work: dwarfMostWork}
	if d.units, err = dwarfUnits(sections[".debug_info"]); err != nil {
		return nil, err
	}
	d.data, err = dwarf.New(sections[".debug_abbrev"], nil, nil, sections[".debug_info"], sections[".debug_line"], nil,
		sections[".debug_ranges"], sections[".debug_str"])
	if err != nil {
		return nil, err
	}
	for _, name := range []string{".debug_addr", ".debug_line_str", ".debug_rnglists", ".debug_str_offsets"} {
		if err := d.data.AddSection(name, sections[name]); err != nil {
			return nil, err
		}
	}
	for i := range d.units {
		if err := d.addUnit(i); err != nil {
			d.fail(err)
		}
	}
	d.unitRanges.sort()
	return d, nil
}

// panicSeen is for tests: the library may panic over bad data, this package may not.
var panicSeen = func() {}

// catchDwarf makes an error of what the library panics over.
func catchDwarf(err *error) {
	if r := recover(); r != nil {
		panicSeen()
		*err = fmt.Errorf("damaged: %v", r)
	}
}

func (d *dwarfLines) fail(err error) {
	if d.failed == nil {
		d.failed = err
	}
}

func (d *dwarfLines) spend(n int) error {
	if d.work -= n; d.work < 0 {
		return errDwarfWork
	}
	return nil
}

func (d *dwarfLines) entry(at dwarf.Offset) (*dwarf.Entry, error) {
	r := d.data.Reader()
	r.Seek(at)
	e, err := r.Next()
	if err == nil && e == nil {
		err = errors.New("an entry is missing")
	}
	return e, err
}

func (d *dwarfLines) addUnit(i int) (err error) {
	defer catchDwarf(&err)
	e, err := d.entry(dwarf.Offset(d.units[i].at))
	if err != nil {
		return err
	}
	if e.Tag != dwarf.TagCompileUnit && e.Tag != dwarf.TagSkeletonUnit {
		return nil
	}
	ranges, err := d.ranges(e)
	for _, r := range ranges {
		d.unitRanges.list = append(d.unitRanges.list, span{r[0], r[1], i})
	}
	return err
}

// ranges of code that is there: what the linker left out lies at 0.
func (d *dwarfLines) ranges(e *dwarf.Entry) (kept [][2]uint64, err error) {
	all, err := d.data.Ranges(e)
	for _, r := range all {
		if r[0] != 0 && r[0] < r[1] {
			kept = append(kept, r)
		}
	}
	if err == nil {
		err = d.spend(dwarfWorkOfAnItem + len(all))
	}
	return kept, err
}

// resolve gives each address that is known its frames, innermost first.
func (d *dwarfLines) resolve(addresses []uint64) map[uint64][]dwarfFrame {
	byUnit := map[int][]uint64{}
	for _, a := range addresses {
		claims := d.unitRanges.holding(a)
		sort.SliceStable(claims, func(i, j int) bool { return claims[i].high-claims[i].low < claims[j].high-claims[j].low })
		for _, c := range claims[:min(dwarfMostShared, len(claims))] {
			byUnit[c.of] = append(byUnit[c.of], a)
		}
	}
	found := map[uint64][]dwarfFrame{}
	for i := range d.units {
		if asked := byUnit[i]; asked != nil {
			if err := d.resolveUnit(&d.units[i], asked, found); err != nil {
				d.fail(err)
			}
		}
	}
	return found
}

func (d *dwarfLines) resolveUnit(h *dwarfUnitHead, asked []uint64, found map[uint64][]dwarfFrame) (err error) {
	defer catchDwarf(&err)
	slices.Sort(asked)
	u := &dwarfUnit{d: d, asked: slices.Compact(asked), rows: map[uint64]dwarfRow{}}
	if u.root, err = d.entry(dwarf.Offset(h.at)); err != nil {
		return err
	}
	if dir := u.root.AttrField(dwarf.AttrCompDir); dir != nil { // the library knows no common file
		dir.Val = d.text(u.root, dwarf.AttrCompDir)
	}
	// What was read before one of the two failed is as good.
	lines, functions := u.readLines(), u.readFunctions(h)
	for _, a := range u.asked {
		if frames := u.frames(a); better(frames, found[a]) {
			found[a] = frames
		}
	}
	return errors.Join(lines, functions)
}

// better: of units that claim one address the one that says more.
func better(a, b []dwarfFrame) bool {
	worth := func(frames []dwarfFrame) (n int) {
		for _, f := range frames[:min(1, len(frames))] {
			if f.file != "" {
				n++
			}
			if f.name != "" || f.linkage != "" {
				n++
			}
		}
		return n
	}
	return worth(a) > worth(b)
}

// ---- one unit -----------------------------------------------------------------

type dwarfRow struct {
	file string
	line int64
}

// dwarfFunction is a function's code, or an inlined call's.
type dwarfFunction struct {
	at       dwarf.Offset
	parent   int // -1 none
	depth    int
	inlined  bool
	entry    uint64
	callFile int64
	callLine int64
}

type dwarfUnit struct {
	d         *dwarfLines
	root      *dwarf.Entry
	asked     []uint64 // ascending
	rows      map[uint64]dwarfRow
	files     []*dwarf.LineFile
	functions []dwarfFunction
	spans     spans
}

// askedIn is what was asked for in [low, high).
func (u *dwarfUnit) askedIn(low, high uint64) []uint64 {
	i, _ := slices.BinarySearch(u.asked, low)
	j := i
	for j < len(u.asked) && u.asked[j] < high {
		j++
	}
	return u.asked[i:j]
}

func (u *dwarfUnit) readLines() (err error) {
	defer catchDwarf(&err)
	if err := u.d.checkLineHeader(u.root); err != nil {
		return err
	}
	r, err := u.d.data.LineReader(u.root)
	if err != nil || r == nil {
		return err
	}
	u.files = r.Files()
	// A row holds until the next one of its sequence that is elsewhere.
	var row, next dwarf.LineEntry
	for open, start := false, uint64(0); ; {
		if err := r.Next(&next); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if err := u.d.spend(2); err != nil {
			return err
		}
		if !open {
			start = next.Address
		}
		if open && start != 0 {
			for _, a := range u.askedIn(row.Address, next.Address) {
				if _, known := u.rows[a]; !known {
					u.rows[a] = dwarfRow{u.path(row.File), int64(row.Line)}
				}
			}
		}
		row, open = next, !next.EndSequence
	}
}

func (u *dwarfUnit) path(f *dwarf.LineFile) string {
	if f == nil || f.Name == "" {
		return ""
	}
	// The library leaves the directories of DWARF 5 as they stand.
	dir, _ := u.root.Val(dwarf.AttrCompDir).(string)
	if !path.IsAbs(f.Name) && path.IsAbs(dir) {
		return path.Join(dir, f.Name)
	}
	return path.Clean(f.Name)
}

func (u *dwarfUnit) file(i int64) string {
	if i < 0 || i >= int64(len(u.files)) {
		return ""
	}
	return u.path(u.files[i])
}

// readFunctions keeps those that hold what was asked for.
func (u *dwarfUnit) readFunctions(h *dwarfUnitHead) (err error) {
	defer u.spans.sort()
	defer catchDwarf(&err)
	return u.d.walkCode(h, func(at dwarf.Offset, around int) (int, error) {
		e, err := u.d.entry(at)
		if err != nil {
			return around, err
		}
		return u.addFunction(e, around)
	})
}

// addFunction answers what is around the entry's children.
func (u *dwarfUnit) addFunction(e *dwarf.Entry, around int) (int, error) {
	inlined := e.Tag == dwarf.TagInlinedSubroutine
	if !inlined {
		around = -1
	}
	ranges, err := u.d.ranges(e)
	if err != nil || len(ranges) == 0 {
		return around, err
	}
	f := dwarfFunction{at: e.Offset, parent: around, inlined: inlined}
	if around >= 0 {
		f.depth = u.functions[around].depth + 1
	}
	if inlined {
		f.callFile, _ = e.Val(dwarf.AttrCallFile).(int64)
		f.callLine, _ = e.Val(dwarf.AttrCallLine).(int64)
	} else {
		f.entry = ranges[0][0]
	}
	holds := false
	for _, r := range ranges {
		if len(u.askedIn(r[0], r[1])) > 0 {
			u.spans.list = append(u.spans.list, span{r[0], r[1], len(u.functions)})
			holds = true
		}
	}
	if !holds {
		return around, nil
	}
	u.functions = append(u.functions, f)
	return len(u.functions) - 1, nil
}

// innermost function around an address, -1 none: of nested ones the deepest, of others the smallest.
func (u *dwarfUnit) innermost(address uint64) int {
	best, size := -1, uint64(0)
	for _, s := range u.spans.holding(address) {
		deeper := best < 0
		if !deeper {
			a, b := u.functions[s.of].depth, u.functions[best].depth
			deeper = a > b || a == b && s.high-s.low < size
		}
		if deeper {
			best, size = s.of, s.high-s.low
		}
	}
	return best
}

func (u *dwarfUnit) frames(address uint64) (frames []dwarfFrame) {
	row, known := u.rows[address]
	at := u.innermost(address)
	if at < 0 {
		if known {
			frames = []dwarfFrame{{file: row.file, line: row.line}}
		}
		return frames
	}
	for ; at >= 0 && len(frames) < dwarfMostInline; at = u.functions[at].parent {
		f := &u.functions[at]
		frame := dwarfFrame{entry: f.entry, file: row.file, line: row.line}
		if err := u.d.describe(&frame, f.at); err != nil {
			u.d.fail(err)
		}
		frames = append(frames, frame)
		row = dwarfRow{u.file(f.callFile), f.callLine}
	}
	return frames
}

// describe follows an entry to those that it is an instance of.
func (d *dwarfLines) describe(f *dwarfFrame, at dwarf.Offset) (err error) {
	defer catchDwarf(&err)
	for range dwarfMostChain {
		e, err := d.entry(at)
		if err != nil {
			return err
		}
		if f.linkage == "" {
			f.linkage = orElse(d.text(e, dwarf.AttrLinkageName), d.text(e, attrMIPSLinkageName))
		}
		if f.name == "" {
			f.name = d.text(e, dwarf.AttrName)
		}
		if f.start == 0 {
			f.start, _ = e.Val(dwarf.AttrDeclLine).(int64)
		}
		origin := e.AttrField(dwarf.AttrAbstractOrigin)
		if origin == nil {
			origin = e.AttrField(dwarf.AttrSpecification)
		}
		if origin == nil {
			return nil
		}
		switch to := origin.Val.(type) {
		case dwarf.Offset:
			at = to
		case int64: // DW_FORM_GNU_ref_alt
			at = dwarf.Offset(to)
			if d = d.alt; d == nil {
				return errors.New("its supplementary file is missing")
			}
		default:
			return nil
		}
	}
	return errors.New("an entry refers to itself")
}

// text of an attribute; dwz moves strings to a common file.
func (d *dwarfLines) text(e *dwarf.Entry, a dwarf.Attr) string {
	field := e.AttrField(a)
	if field == nil {
		return ""
	}
	switch v := field.Val.(type) {
	case string:
		return v
	case int64:
		if field.Class == dwarf.ClassStringAlt && d.alt != nil && v >= 0 {
			str := boxImage(d.alt.sections[".debug_str"])
			if uint64(v) < uint64(len(str)) {
				return str.text(uint64(v), uint64(len(str))-uint64(v))
			}
		}
	}
	return ""
}

// ---- before the library reads a line table ----------------------------------------

// Of a table of files: the library takes memory for as many as its header says,
// and joins each with its directory.
const (
	dwarfMostFiles     = 1 << 17
	dwarfMostPath      = 4096
	dwarfMostPathBytes = 64 << 20
)

type lineHeader struct {
	dwarfScan
	d       *dwarfLines
	wide    uint64 // bytes of an offset
	longest int
	count   uint64
}

func (h *lineHeader) path() int {
	n := h.text()
	h.longest = max(h.longest, n)
	return n
}

func (h *lineHeader) pathIn(section string) {
	s := dwarfScan{p: h.d.sections[section], at: h.uint(h.wide)}
	s.p = s.p[:min(uint64(len(s.p)), s.at+dwarfMostPath)]
	h.longest = max(h.longest, s.text())
	h.bad = h.bad || s.bad
}

// table of DWARF 5: formats, then entries of these.
func (h *lineHeader) table() {
	var forms []uint64
	for n := h.uint(1); n > 0 && !h.bad; n-- {
		h.uleb()
		forms = append(forms, h.uleb())
	}
	n := h.uleb()
	h.bad = h.bad || n > dwarfMostFiles || n > 0 && len(forms) == 0
	for h.count += n; n > 0 && !h.bad; n-- {
		for _, form := range forms {
			switch form {
			case 0x08: // string
				h.path()
			case 0x0e: // strp
				h.pathIn(".debug_str")
			case 0x1f: // line_strp
				h.pathIn(".debug_line_str")
			default:
				h.pass(&dwarfUnitHead{wide: h.wide}, form)
			}
		}
	}
}

// oldTables before DWARF 5: directories, then files.
func (h *lineHeader) oldTables() {
	for h.path() > 0 && !h.bad {
		h.count++
	}
	for h.path() > 0 && !h.bad {
		h.count++
		h.uleb()
		h.uleb()
		h.uleb()
	}
}

func (d *dwarfLines) checkLineHeader(root *dwarf.Entry) error {
	at, ok := root.Val(dwarf.AttrStmtList).(int64)
	line := d.sections[".debug_line"]
	if !ok || at < 0 || at > int64(len(line)) {
		return nil // the library says so too
	}
	h := &lineHeader{dwarfScan: dwarfScan{p: line[at:]}, d: d, wide: 4}
	size := h.uint(4)
	if size == 0xffffffff {
		h.wide = 8
		size = h.uint(8)
	}
	h.p = h.p[:min(uint64(len(h.p)), h.at+min(size, uint64(len(h.p))))]
	version := h.uint(2)
	if version >= 5 {
		h.skip(2) // bytes of an address, of a segment
	}
	h.skip(h.wide)
	h.skip(4) // instruction length, is_stmt, line base and range
	if version >= 4 {
		h.skip(1)
	}
	h.skip(max(h.uint(1), 1) - 1) // opcode lengths
	if version >= 5 {
		h.table()
		h.table()
	} else {
		h.oldTables()
	}
	dir, _ := root.Val(dwarf.AttrCompDir).(string)
	longest := uint64(max(h.longest, len(dir)))
	if h.bad || h.count > dwarfMostFiles || longest > dwarfMostPath || h.count*3*longest > dwarfMostPathBytes {
		return errors.New("a table of its files is damaged or too large")
	}
	return nil
}
