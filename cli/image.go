package main

import (
	"bytes"
	"encoding/binary"
)

// boxImage answers 0 and nil for what lies outside of it.
type boxImage []byte

func (b boxImage) at(offset, n uint64) []byte {
	if offset > uint64(len(b)) || n > uint64(len(b))-offset {
		return nil
	}
	return b[offset : offset+n]
}

func (b boxImage) u16(offset uint64) uint16 {
	if p := b.at(offset, 2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (b boxImage) u32(offset uint64) uint32 {
	if p := b.at(offset, 4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (b boxImage) u64(offset uint64) uint64 {
	if p := b.at(offset, 8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// text ends at its NUL.
func (b boxImage) text(offset, n uint64) string {
	p := b.at(offset, n)
	if end := bytes.IndexByte(p, 0); end >= 0 {
		p = p[:end]
	}
	return string(p)
}
