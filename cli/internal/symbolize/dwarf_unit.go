package symbolize

import (
	"debug/dwarf"
	"io"
	"path"
	"slices"
)

// One unit's line table and functions.

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

// askedIn is the wanted addresses in [low, high).
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
	// A row covers the addresses up to the next row of its sequence.
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
	// The library does not join the directories of DWARF 5.
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

// readFunctions keeps the functions that contain a wanted address.
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

// addFunction returns the function around the entry's children.
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

// innermost function around an address: the deepest of nested ones, else the smallest; -1: none.
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
