package symbolize

import (
	"debug/dwarf"
	"errors"
)

// The header of a line table is checked before the library reads the table.

// Bounds of a table of files: the library allocates as many as the header says, and
// joins each with its directory.
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
	if h.bad || h.count > dwarfMostFiles || longest > dwarfMostPath ||
		h.count*3*longest > dwarfMostPathBytes {
		return errors.New("a table of its files is damaged or too large")
	}
	return nil
}
