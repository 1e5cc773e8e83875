package binread

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"testing"
)

// holes is a file whose first bytes are known, and of which there is no end.
type holes struct{ begin []byte }

func (h holes) ReadAt(into []byte, offset int64) (int, error) {
	clear(into)
	if offset < int64(len(h.begin)) {
		copy(into, h.begin[offset:])
	}
	return len(into), nil
}

// Section names of 16 TiB are not read.
func TestBounded(t *testing.T) {
	var text bytes.Buffer
	header := elf.Header64{Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: 3, Machine: 62,
		Version: 1, Shoff: 64, Ehsize: 64, Shentsize: 64, Shnum: 2, Shstrndx: 1}
	names := elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: 192, Size: 1 << 44}
	for _, part := range []any{header, elf.Section64{}, names} {
		if err := binary.Write(&text, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := elf.NewFile(Bounded(holes{text.Bytes()}, 1<<20)); err != errTooMuch {
		t.Errorf("%v, want %v", err, errTooMuch)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if _, err := elf.NewFile(Bounded(self, 1<<20)); err != nil {
		t.Error(err)
	}
}
