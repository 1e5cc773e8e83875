package symbolize

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// Sections of a handful of entries, put together by hand, and what no compiler writes.

var tinyAbbrev = []byte{
	// unit: low_pc, high_pc, stmt_list, comp_dir
	1, 0x11, 1, 0x11, 0x01, 0x12, 0x06, 0x10, 0x17, 0x1b, 0x08, 0, 0,
	// function: low_pc, high_pc, abstract_origin
	2, 0x2e, 0, 0x11, 0x01, 0x12, 0x06, 0x31, 0x13, 0, 0,
	3, 0x2e, 0, 0x03, 0x08, 0x3b, 0x0b, 0, 0, // abstract function: name, decl_line
	4, 0x0b, 1, 0, 0, // block
	0,
}

const (
	tinyCode     = 0x1000
	tinyFunction = 11 + 1 + 8 + 4 + 4 + 3 // where it is in .debug_info
	tinyAbstract = tinyFunction + 1 + 8 + 4 + 4
)

// tinyInfo: a function of 32 bytes of code that is an instance of another entry; more is put before
// it ends.
func tinyInfo(origin uint32, more ...byte) []byte {
	le := binary.LittleEndian
	d := []byte{0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8}
	d = append(d, 1)
	d = le.AppendUint32(le.AppendUint64(d, tinyCode), 32)
	d = append(le.AppendUint32(d, 0), "/d\x00"...)
	d = append(d, 2)
	d = le.AppendUint32(le.AppendUint32(le.AppendUint64(d, tinyCode), 32), origin)
	d = append(append(append(d, "\x03f\x00\x07"...), more...), 0)
	le.PutUint32(d, uint32(len(d)-4))
	return d
}

// tinyLine of DWARF 5: its tables, and one row, line 1 of the second file for 16 bytes.
func tinyLine(tables ...byte) []byte {
	head := append([]byte{1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1}, tables...)
	le := binary.LittleEndian
	d := le.AppendUint32([]byte{0, 0, 0, 0, 5, 0, 8, 0}, uint32(len(head)))
	d = append(append(d, head...), 0, 9, 2)
	d = append(le.AppendUint64(d, tinyCode), 1, 2, 16, 0, 1, 1)
	le.PutUint32(d, uint32(len(d)-4))
	return d
}

var tinyTables = []byte("\x01\x01\x08\x02/d\x00inc\x00" +
	"\x02\x01\x08\x02\x0b\x02a.c\x00\x00b.h\x00\x01")

func tinySections(info, line []byte) map[string][]byte {
	return map[string][]byte{".debug_info": info, ".debug_abbrev": tinyAbbrev, ".debug_line": line}
}

func TestDwarfTiny(t *testing.T) {
	long := strings.Repeat("x", 5000)
	const (
		known   = "f /d/inc/b.h:1\n"
		noName  = " /d/inc/b.h:1\n"
		noFile  = "f ??:0\n"
		damaged = "a table of its files is damaged or too large"
	)
	manyBlocks := slices.Repeat([]byte{4}, 5000)
	info, line := tinyInfo(tinyAbstract), tinyLine(tinyTables...)
	deep := tinyInfo(tinyAbstract, manyBlocks...)
	for name, c := range map[string]struct {
		info, line   []byte
		frames, says string
	}{
		"as it should be": {info, line, known, ""},
		"an instance of itself": {tinyInfo(tinyFunction), line, noName,
			"an entry refers to itself"},
		"an instance of nothing": {tinyInfo(1 << 30), line, noName, "offset out of range"},
		"deep":                   {deep, line, known, "its entries are nested too deeply"},
		"files of no bytes": {info,
			tinyLine(0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf), noFile, damaged},
		"directories of no bytes": {info,
			tinyLine(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf), noFile, damaged},
		"too many files": {info,
			tinyLine(0, 0, 1, 1, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf), noFile, damaged},
		"a long path": {info,
			tinyLine([]byte("\x00\x00\x01\x01\x08\x01" + long + "\x00")...), noFile, damaged},
		"a file of another table": {info,
			tinyLine([]byte("\x01\x01\x08\x01/d\x00\x01\x01\x08\x00")...), "f ??:1\n", ""},
	} {
		d, err := newDwarfLines(tinySections(c.info, c.line))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		for _, f := range d.resolve([]uint64{tinyCode + 4})[tinyCode+4] {
			got += linesText([]Line{{Function: f.name, File: f.file, Line: f.line}})
		}
		says := ""
		if d.failed != nil {
			says = d.failed.Error()
		}
		if got != c.frames || says != c.says {
			t.Errorf("%s: %q, %q; want %q, %q", name, got, says, c.frames, c.says)
		}
	}
	for name, info := range map[string][]byte{
		"cut off":     tinyInfo(tinyAbstract)[:30],
		"many units":  make([]byte, 4*(dwarfMostUnits+1)),
		"a wide size": append([]byte{0xff, 0xff, 0xff, 0xff}, slices.Repeat([]byte{0xff}, 8)...),
	} {
		if _, err := newDwarfLines(tinySections(info, nil)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Work is bounded, and what was known by then stays.
func TestDwarfWork(t *testing.T) {
	d, err := newDwarfLines(tinySections(tinyInfo(tinyAbstract), tinyLine(tinyTables...)))
	if err != nil {
		t.Fatal(err)
	}
	d.work = 5
	frames := d.resolve([]uint64{tinyCode + 4})[tinyCode+4]
	if d.failed == nil || d.failed.Error() != errDwarfWork.Error() ||
		len(frames) != 1 || frames[0].file != "/d/inc/b.h" {
		t.Errorf("%v, %+v", d.failed, frames)
	}
}
