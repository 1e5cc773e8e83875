package symbolize

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"sort"

	"cgoheap.example/cli/internal/binread"
)

// Source lines of C and C++ code with inlined calls, from DWARF 2 to 5. It uses the
// standard library, as the command is static and libdw is not. Of a unit without a
// wanted address only the first entry is read. debug/dwarf expects what compilers
// write; for other input there are bounds, its panics are caught, and the answer says
// what failed.

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

var errDwarfWork = errors.New("it is too large")

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

// holding lists the spans that contain an address, the latest start first.
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
	d.data, err = dwarf.New(sections[".debug_abbrev"], nil, nil, sections[".debug_info"],
		sections[".debug_line"], nil, sections[".debug_ranges"], sections[".debug_str"])
	if err != nil {
		return nil, err
	}
	for _, name := range []string{
		".debug_addr", ".debug_line_str", ".debug_rnglists", ".debug_str_offsets",
	} {
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

// panicSeen is for tests: the library may panic on bad data, this package may not.
var panicSeen = func() {}

// catchDwarf turns a panic of the library into an error.
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

// ranges of code; what the linker dropped is at 0.
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

// resolve returns the frames of each address that is known, innermost first.
func (d *dwarfLines) resolve(addresses []uint64) map[uint64][]dwarfFrame {
	byUnit := map[int][]uint64{}
	for _, a := range addresses {
		claims := d.unitRanges.holding(a)
		sort.SliceStable(claims, func(i, j int) bool {
			return claims[i].high-claims[i].low < claims[j].high-claims[j].low
		})
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

func (d *dwarfLines) resolveUnit(
	h *dwarfUnitHead, asked []uint64, found map[uint64][]dwarfFrame,
) (err error) {
	defer catchDwarf(&err)
	slices.Sort(asked)
	u := &dwarfUnit{d: d, asked: slices.Compact(asked), rows: map[uint64]dwarfRow{}}
	if u.root, err = d.entry(dwarf.Offset(h.at)); err != nil {
		return err
	}
	if dir := u.root.AttrField(dwarf.AttrCompDir); dir != nil { // the library knows no common file
		dir.Val = d.text(u.root, dwarf.AttrCompDir)
	}
	// If one of the two fails, what it has read before counts.
	lines, functions := u.readLines(), u.readFunctions(h)
	for _, a := range u.asked {
		if frames := u.frames(a); better(frames, found[a]) {
			found[a] = frames
		}
	}
	return errors.Join(lines, functions)
}

// better: of two units that claim an address, the one that knows more wins.
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

// describe follows an entry to the abstract ones that it is an instance of.
func (d *dwarfLines) describe(f *dwarfFrame, at dwarf.Offset) (err error) {
	defer catchDwarf(&err)
	for range dwarfMostChain {
		e, err := d.entry(at)
		if err != nil {
			return err
		}
		if f.linkage == "" {
			f.linkage = cmp.Or(d.text(e, dwarf.AttrLinkageName), d.text(e, attrMIPSLinkageName))
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
			str := binread.Image(d.alt.sections[".debug_str"])
			if uint64(v) < uint64(len(str)) {
				return str.Text(uint64(v), uint64(len(str))-uint64(v))
			}
		}
	}
	return ""
}
