// Package binread reads what may be damaged or hostile: streams without an end,
// and little-endian fields of bytes that may end anywhere.
package binread

import (
	"bytes"
	"encoding/binary"
)

// Image is such bytes.  A field that is not wholly inside reads as 0, nil or "".
type Image []byte

// At is n bytes from offset on; nil: not all of them are there.
func (b Image) At(offset, n uint64) []byte {
	if offset > uint64(len(b)) || n > uint64(len(b))-offset {
		return nil
	}
	return b[offset : offset+n]
}

// U16 is the field at offset.
func (b Image) U16(offset uint64) uint16 {
	if p := b.At(offset, 2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

// U32 is the field at offset.
func (b Image) U32(offset uint64) uint32 {
	if p := b.At(offset, 4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// U64 is the field at offset.
func (b Image) U64(offset uint64) uint64 {
	if p := b.At(offset, 8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// Text ends at its NUL.
func (b Image) Text(offset, n uint64) string {
	p := b.At(offset, n)
	if end := bytes.IndexByte(p, 0); end >= 0 {
		p = p[:end]
	}
	return string(p)
}
