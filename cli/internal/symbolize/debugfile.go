package symbolize

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A binary's DWARF is in itself, or in a debug file that its build ID or .gnu_debuglink
// names, where gdb looks too.

// debugRoot is a variable for tests.
var debugRoot = "/usr/lib/debug"

const dwarfMostBytes = 2 << 30 // of all sections that are read, unpacked

// debugFile is a file with DWARF.
type debugFile struct {
	elf  *elf.File // nil: there is none
	path string
	file *os.File // nil: the binary itself
	note string   // why an existing one was not used
}

func (f *debugFile) close() {
	if f.file != nil {
		f.file.Close()
	}
}

func hasDwarf(e *elf.File) bool {
	for _, s := range e.Sections {
		if (s.Name == ".debug_info" || s.Name == ".zdebug_info") && s.Type != elf.SHT_NOBITS {
			return true
		}
	}
	return false
}

// findDebugFile for a binary. The caller closes it.
func findDebugFile(e *elf.File, path string) (f debugFile) {
	if hasDwarf(e) {
		return debugFile{elf: e, path: path}
	}
	id := elfBuildID(e)
	if len(id) > 2 {
		at := filepath.Join(debugRoot, ".build-id", id[:2], id[2:]+".debug")
		if f.try(at, func(d *elf.File, _ *os.File) bool { return elfBuildID(d) == id }) {
			return f
		}
	}
	name, crc, ok := debugLink(e)
	if !ok {
		return f
	}
	dir := filepath.Dir(path)
	for _, at := range []string{
		filepath.Join(dir, name),
		filepath.Join(dir, ".debug", name),
		filepath.Join(debugRoot, dir, name),
	} {
		if at == path {
			continue
		}
		isIt := func(d *elf.File, file *os.File) bool {
			if other := elfBuildID(d); id != "" && other != "" {
				return id == other
			}
			sum, err := fileCRC(file)
			return err == nil && sum == crc
		}
		if f.try(at, isIt) {
			break
		}
	}
	return f
}

func (f *debugFile) try(path string, isIt func(*elf.File, *os.File) bool) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	why := "is not a readable ELF file"
	if file, err := os.Open(path); err == nil {
		if d := elfOf(file); d != nil {
			switch {
			case !isIt(d, file):
				why = "is of another build"
			case !hasDwarf(d):
				why = "has no DWARF"
			default:
				*f = debugFile{elf: d, path: path, file: file}
				return true
			}
		}
		file.Close()
	}
	f.note = fmt.Sprintf("%s: %s", path, why)
	return false
}

// elfOf is nil if the file is not ELF. The file stays open with it.
func elfOf(file *os.File) (e *elf.File) {
	defer func() {
		if recover() != nil {
			e = nil
		}
	}()
	e, err := elf.NewFile(file)
	if err != nil {
		return nil
	}
	return e
}

// debugLink is a file name, padding to four bytes, and the file's CRC.
func debugLink(e *elf.File) (name string, crc uint32, ok bool) {
	data := sectionData(e, ".gnu_debuglink")
	end := bytes.IndexByte(data, 0)
	if end <= 0 || len(data) < (end+4)&^3+4 {
		return "", 0, false
	}
	name = string(data[:end])
	return name, e.ByteOrder.Uint32(data[(end+4)&^3:]), !strings.ContainsRune(name, '/')
}

func sectionData(e *elf.File, name string) []byte {
	s := e.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS || s.Size > dwarfMostBytes {
		return nil
	}
	data, err := s.Data()
	if err != nil {
		return nil
	}
	return data
}

func fileCRC(f *os.File) (uint32, error) {
	h := crc32.NewIEEE()
	_, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<62))
	return h.Sum32(), err
}

var dwarfSections = []string{
	".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_ranges", ".debug_addr",
	".debug_line_str", ".debug_rnglists", ".debug_str_offsets",
}

// readDwarf also reads the file to which dwz moved common parts.
func readDwarf(e *elf.File, path string) (d *dwarfLines, err error) {
	defer catchDwarf(&err)
	sections, err := readDwarfSections(e)
	if err != nil {
		return nil, err
	}
	if d, err = newDwarfLines(sections); err != nil {
		return nil, err
	}
	if link := sectionData(e, ".gnu_debugaltlink"); link != nil {
		if d.alt, err = readAlternate(link, path); err != nil {
			d.fail(err)
		}
	}
	return d, nil
}

func readDwarfSections(e *elf.File) (map[string][]byte, error) {
	sections, total := map[string][]byte{}, uint64(0)
	for _, s := range e.Sections {
		for _, name := range dwarfSections {
			packed := s.Name == ".z"+name[1:]
			if s.Name != name && !packed || s.Type == elf.SHT_NOBITS || sections[name] != nil {
				continue
			}
			if total += s.Size; s.Size > dwarfMostBytes || total > dwarfMostBytes {
				return nil, errDwarfWork
			}
			data, err := wholeSection(s)
			if err == nil && packed {
				data, err = unpackOld(data, dwarfMostBytes-total)
				total += uint64(len(data))
			}
			if err != nil {
				return nil, fmt.Errorf("%s cannot be read: %s", name, err)
			}
			sections[name] = data
		}
	}
	return sections, nil
}

// wholeSection reads an unpacked section at once: the library's growing buffers cost three times
// the memory.
func wholeSection(s *elf.Section) ([]byte, error) {
	last := make([]byte, 1)
	if s.Flags&elf.SHF_COMPRESSED != 0 || s.Size == 0 {
		return s.Data()
	}
	if _, err := s.ReadAt(last, int64(s.Size-1)); err != nil { // the file is shorter
		return nil, err
	}
	data := make([]byte, s.Size)
	_, err := io.ReadFull(io.NewSectionReader(s, 0, int64(s.Size)), data)
	return data, err
}

// unpackOld: .zdebug_* is "ZLIB", the size, and the stream.
func unpackOld(data []byte, most uint64) ([]byte, error) {
	if len(data) < 12 || string(data[:4]) != "ZLIB" {
		return data, nil
	}
	size := binary.BigEndian.Uint64(data[4:])
	if size > most {
		return nil, errDwarfWork
	}
	r, err := zlib.NewReader(bytes.NewReader(data[12:]))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, int64(size)))
}

// readAlternate: .gnu_debugaltlink is a path and a build ID.
func readAlternate(link []byte, from string) (*dwarfLines, error) {
	end := bytes.IndexByte(link, 0)
	if end <= 0 {
		return nil, errors.New("its link to a supplementary file is damaged")
	}
	path, id := string(link[:end]), fmt.Sprintf("%x", link[end+1:])
	if !filepath.IsAbs(path) {
		if real, err := filepath.EvalSymlinks(from); err == nil {
			from = real
		}
		path = filepath.Join(filepath.Dir(from), path)
	}
	var f debugFile
	isIt := func(d *elf.File, _ *os.File) bool { return elfBuildID(d) == id }
	first := min(2, len(id))
	byID := filepath.Join(debugRoot, ".build-id", id[:first], id[first:]+".debug")
	if !f.try(path, isIt) && !f.try(byID, isIt) {
		return nil, fmt.Errorf("its supplementary file %s", cmp.Or(f.note, path+": not there"))
	}
	defer f.close()
	sections, err := readDwarfSections(f.elf)
	if err != nil {
		return nil, err
	}
	return newDwarfLines(sections)
}

func elfBuildID(e *elf.File) string {
	for _, s := range e.Sections {
		if s.Type != elf.SHT_NOTE {
			continue
		}
		data, err := s.Data()
		for err == nil && len(data) >= 12 {
			name, desc := e.ByteOrder.Uint32(data), e.ByteOrder.Uint32(data[4:])
			kind := e.ByteOrder.Uint32(data[8:])
			at := 12 + (uint64(name)+3)&^3
			end := at + (uint64(desc)+3)&^3
			if end > uint64(len(data)) {
				break
			}
			if kind == 3 && string(data[12:12+uint64(name)]) == "GNU\x00" {
				return hex.EncodeToString(data[at : at+uint64(desc)])
			}
			data = data[end:]
		}
	}
	return ""
}
