package symbolize

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"sort"

	"cgoheap.example/cli/internal/binread"
)

// Table is the address of one of Go's tables in the process's memory, and its size in bytes.
type Table struct{ Address, Len uint64 }

// GoTables are Go's tables of functions and lines (pclntab), read from the file as the shim reads
// them from memory.
type GoTables struct {
	text                                              uint64
	is120                                             bool
	names, cutab, filetab, pctab, funcs, ftab, goFunc binread.Image
}

// ReadGoTables takes the addresses of the text and the tables in the process, and how far they
// are from those in the file; nil: a table is missing.
func (f *Binary) ReadGoTables(text uint64, is120 bool, tables [7]Table, loadBias uint64) *GoTables {
	g := &GoTables{text: text, is120: is120}
	for i, to := range []*binread.Image{
		&g.names, &g.cutab, &g.filetab, &g.pctab, &g.funcs, &g.ftab, &g.goFunc,
	} {
		*to = readAddress(f.elf, tables[i].Address-loadBias, tables[i].Len)
	}
	if g.ftab == nil || g.funcs == nil || g.names == nil || g.pctab == nil {
		return nil
	}
	return g
}

// readAddress is what the file has at an address, at most n bytes.
func readAddress(e *elf.File, address, n uint64) binread.Image {
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
	mostInlined     = 64
)

// goFunction is a function's entry in the tables.
type goFunction struct {
	entry        uint64
	f            binread.Image
	fixed        uint64 // bytes before its pcdata
	name, cu     uint32
	pcfile, pcln uint32
	npcdata      uint64
	nfuncdata    uint64
}

func (g *GoTables) find(pc uint64) (fn goFunction, ok bool) {
	offset := pc - g.text
	n := len(g.ftab) / 8
	i := sort.Search(n, func(i int) bool { return uint64(g.ftab.U32(uint64(i)*8)) > offset }) - 1
	if i < 0 || i == n-1 {
		return fn, false
	}
	at := uint64(g.ftab.U32(uint64(i)*8 + 4))
	if at > uint64(len(g.funcs)) {
		return fn, false
	}
	f := g.funcs[at:]
	fn = goFunction{entry: g.text + uint64(f.U32(0)), f: f, fixed: 44, name: f.U32(4),
		cu: f.U32(32), pcfile: f.U32(20), pcln: f.U32(24), npcdata: uint64(f.U32(28))}
	if !g.is120 {
		fn.fixed = 40
	}
	if f.At(0, fn.fixed) == nil || fn.npcdata > 1024 {
		return fn, false
	}
	fn.nfuncdata = uint64(f[fn.fixed-1])
	return fn, true
}

func (g *GoTables) name(offset uint32) string {
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

// value of a table of pc ranges at pc; -1: it has none.
func (g *GoTables) value(offset uint32, entry, pc uint64) int32 {
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

func (g *GoTables) line(fn *goFunction, name string, pc uint64) Line {
	l := Line{Function: name, isGo: true}
	if n := g.value(fn.pcln, fn.entry, pc); n > 0 {
		l.Line = int64(n)
	}
	file := g.value(fn.pcfile, fn.entry, pc)
	if file < 0 {
		return l
	}
	at := g.cutab.U32((uint64(fn.cu) + uint64(file)) * 4)
	if at != ^uint32(0) && uint64(at) < uint64(len(g.filetab)) {
		p := g.filetab[at:]
		if end := bytes.IndexByte(p, 0); end >= 0 {
			l.File = string(p[:end])
		}
	}
	return l
}

// Lines of a program counter, innermost first; none: it is outside of all functions.
func (g *GoTables) Lines(pc uint64) (list []Line) {
	fn, ok := g.find(pc)
	if !ok {
		return nil
	}
	if fn.pcln == 0 { // C inside Go's text
		if name := g.name(fn.name); name != "" {
			return []Line{{Function: name}}
		}
		return nil
	}
	tree := binread.Image(nil)
	if fn.nfuncdata > funcdataInlTree && fn.npcdata > pcdataInlTree {
		at := fn.f.U32(fn.fixed + 4*fn.npcdata + 4*funcdataInlTree)
		if at != ^uint32(0) && uint64(at) < uint64(len(g.goFunc)) {
			tree = g.goFunc[at:]
		}
	}
	for tree != nil && len(list) < mostInlined {
		ix := g.value(fn.f.U32(fn.fixed+4*pcdataInlTree), fn.entry, pc)
		if ix < 0 {
			break
		}
		size, nameAt, parentAt := uint64(16), uint64(4), uint64(8)
		if !g.is120 {
			size, nameAt, parentAt = 20, 12, 16
		}
		e := tree.At(uint64(ix)*size, size)
		if e == nil {
			break
		}
		list = append(list, g.line(&fn, g.name(binread.Image(e).U32(nameAt)), pc))
		pc = fn.entry + uint64(binread.Image(e).U32(parentAt))
	}
	return append(list, g.line(&fn, g.name(fn.name), pc))
}
