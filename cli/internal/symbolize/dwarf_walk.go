package symbolize

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"errors"

	"cgoheap.example/cli/internal/binread"
)

// Entries are skipped without being read. debug/dwarf makes an object of each, which takes
// a second for 20 MB; only functions with code are wanted, one entry in eight. Those the
// library reads.

// dwarfUnitHead is the header of a unit with code.
type dwarfUnitHead struct {
	at, end   uint64 // its first entry, and behind its last
	version   uint16
	wide      uint64 // bytes of an offset
	address   uint64 // bytes of an address
	abbrevsAt uint64
}

// dwarfUnits lists them. The library does not say where units are, and allocates memory even
// for one of five bytes.
func dwarfUnits(info []byte) (heads []dwarfUnitHead, err error) {
	for at, count := uint64(0), 0; at < uint64(len(info)); count++ {
		d := binread.Image(info[at:])
		header, size, wide := uint64(4), uint64(d.U32(0)), uint64(4)
		if size == 0xffffffff {
			header, size, wide = 12, d.U64(4), 8
		}
		if header > uint64(len(d)) || size > uint64(len(d))-header {
			return nil, errors.New("a unit is truncated")
		}
		if count == dwarfMostUnits {
			return nil, errDwarfWork
		}
		if h, ok := dwarfHead(d[:header+size], header, wide); ok {
			h.at, h.end = at+h.at, at+header+size
			heads = append(heads, h)
		}
		at += header + size
	}
	return heads, nil
}

func dwarfHead(d binread.Image, at, wide uint64) (h dwarfUnitHead, ok bool) {
	h = dwarfUnitHead{version: d.U16(at), wide: wide}
	at += 2
	offset := func(at uint64) uint64 {
		if wide == 8 {
			return d.U64(at)
		}
		return uint64(d.U32(at))
	}
	kind := uint64(1)
	if h.version >= 5 {
		kind, h.address, h.abbrevsAt = uint64(d.U16(at)&0xff), uint64(d.U16(at)>>8), offset(at+2)
		at += 2 + wide
		if kind == 4 || kind == 5 { // skeletons have an identifier
			at += 8
		}
	} else {
		h.abbrevsAt, h.address = offset(at), uint64(d.U16(at+wide-1)>>8)
		at += wide + 1
	}
	h.at = at
	// Type units have no code.
	return h, kind != 2 && kind != 6 && at < uint64(len(d))
}

// dwarfAbbrev is the form of one kind of entry.
type dwarfAbbrev struct {
	tag      dwarf.Tag
	children bool
	isCode   bool     // a function or an inlined call with addresses
	forms    []uint64 // of its attributes
}

// readAbbrevs is a unit's table, by code.
func readAbbrevs(section []byte, at uint64) (map[uint64]*dwarfAbbrev, error) {
	s := &dwarfScan{p: section, at: at}
	table := map[uint64]*dwarfAbbrev{}
	for {
		code := s.uleb()
		if code == 0 || s.bad {
			break
		}
		a := &dwarfAbbrev{tag: dwarf.Tag(s.uleb())}
		a.children = s.uint(1) != 0
		for !s.bad {
			attr, form := s.uleb(), s.uleb()
			if form == formImplicitConst {
				s.uleb()
			}
			if attr == 0 && form == 0 {
				break
			}
			a.forms = append(a.forms, form)
			if attr == uint64(dwarf.AttrLowpc) || attr == uint64(dwarf.AttrRanges) {
				a.isCode = a.tag == dwarf.TagSubprogram || a.tag == dwarf.TagInlinedSubroutine
			}
		}
		table[code] = a
	}
	if s.bad {
		return nil, errors.New("its abbreviations are damaged")
	}
	return table, nil
}

// dwarfScan reads forward; it is bad once it passed the end.
type dwarfScan struct {
	p   []byte
	at  uint64
	bad bool
}

func (s *dwarfScan) skip(n uint64) {
	if s.at > uint64(len(s.p)) || n > uint64(len(s.p))-s.at {
		s.at, s.bad = uint64(len(s.p)), true
		return
	}
	s.at += n
}

func (s *dwarfScan) uint(n uint64) (v uint64) {
	from := s.at
	if s.skip(n); s.bad {
		return 0
	}
	for i, b := range s.p[from:s.at] {
		v |= uint64(b) << (8 * i)
	}
	return v
}

func (s *dwarfScan) uleb() uint64 {
	if s.at < uint64(len(s.p)) {
		if b := s.p[s.at]; b < 0x80 {
			s.at++
			return uint64(b)
		}
		if v, n := binary.Uvarint(s.p[s.at:]); n > 0 {
			s.at += uint64(n)
			return v
		}
	}
	s.bad = true
	return 0
}

// text returns the length of a string, and passes its NUL too.
func (s *dwarfScan) text() int {
	n := -1
	if s.at <= uint64(len(s.p)) {
		n = bytes.IndexByte(s.p[s.at:], 0)
	}
	if n < 0 {
		s.bad = true
		return 0
	}
	s.at += uint64(n) + 1
	return n
}

const (
	formIndirect      = 0x16
	formImplicitConst = 0x21
)

// pass over an attribute (DWARF 5, 7.5.6; GNU's since 0x1f01).
func (s *dwarfScan) pass(h *dwarfUnitHead, form uint64) {
	switch form {
	case 0x19, formImplicitConst: // flag_present
	case 0x0b, 0x0c, 0x11, 0x25, 0x29: // data1, flag, ref1, strx1, addrx1
		s.skip(1)
	case 0x05, 0x12, 0x26, 0x2a: // data2, ref2, strx2, addrx2
		s.skip(2)
	case 0x27, 0x2b: // strx3, addrx3
		s.skip(3)
	case 0x06, 0x13, 0x1c, 0x28, 0x2c: // data4, ref4, ref_sup4, strx4, addrx4
		s.skip(4)
	case 0x07, 0x14, 0x20, 0x24: // data8, ref8, ref_sig8, ref_sup8
		s.skip(8)
	case 0x1e: // data16
		s.skip(16)
	case 0x01: // addr
		s.skip(h.address)
	// strp, sec_offset, strp_sup, line_strp, ref_alt, strp_alt
	case 0x0e, 0x17, 0x1d, 0x1f, 0x1f20, 0x1f21:
		s.skip(h.wide)
	case 0x10: // ref_addr
		if h.version <= 2 {
			s.skip(h.address)
		} else {
			s.skip(h.wide)
		}
	// sdata, udata, ref_udata and indices
	case 0x0d, 0x0f, 0x15, 0x1a, 0x1b, 0x22, 0x23, 0x1f01, 0x1f02:
		s.uleb()
	case 0x08: // string
		s.text()
	case 0x0a: // block1
		s.skip(s.uint(1))
	case 0x03: // block2
		s.skip(s.uint(2))
	case 0x04: // block4
		s.skip(s.uint(4))
	case 0x09, 0x18: // block, exprloc
		s.skip(s.uleb())
	case formIndirect:
		if form = s.uleb(); form == formIndirect {
			s.bad = true
			return
		}
		s.pass(h, form)
	default:
		s.bad = true
	}
}

// walkCode visits the unit's functions and inlined calls that have code. around is what visit
// returned for the nearest one above, -1: there is none.
func (d *dwarfLines) walkCode(
	h *dwarfUnitHead, visit func(at dwarf.Offset, around int) (int, error),
) error {
	table, err := readAbbrevs(d.sections[".debug_abbrev"], h.abbrevsAt)
	if err != nil {
		return err
	}
	s := &dwarfScan{p: d.sections[".debug_info"][:h.end], at: h.at}
	arounds := []int{-1}
	for s.at < h.end {
		at := s.at
		code := s.uleb()
		if code == 0 {
			if arounds = arounds[:len(arounds)-1]; len(arounds) <= 1 {
				return nil
			}
			continue
		}
		a := table[code]
		if a == nil {
			return errors.New("an entry of it is damaged")
		}
		for _, form := range a.forms {
			s.pass(h, form)
		}
		if s.bad {
			return errors.New("an entry of it is damaged")
		}
		around := arounds[len(arounds)-1]
		if a.isCode {
			if around, err = visit(dwarf.Offset(at), around); err != nil {
				return err
			}
		}
		if err := d.spend(1 + len(a.forms)/4); err != nil {
			return err
		}
		if a.children {
			if arounds = append(arounds, around); len(arounds) > dwarfMostDepth {
				return errors.New("its entries are nested too deeply")
			}
		} else if len(arounds) == 1 {
			return nil
		}
	}
	return nil
}
