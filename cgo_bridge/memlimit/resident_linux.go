package memlimit

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"
	"unsafe"
)

// A mapping is a line of /proc/self/maps, as far as it matters here.
type mapping struct {
	start, end uint64
	usable     bool // it can be written to
}

// arenaMappings are the mappings of the Go heap: those that touch each other around
// an address in it. The runtime reserves its arenas one behind the other, and has
// nothing else there (runtime/malloc.go, mallocinit and sysAlloc).
func arenaMappings(maps []byte, inside uint64) (found []mapping) {
	var run []mapping
	in := false
	for len(maps) > 0 {
		var line []byte
		line, maps, _ = bytes.Cut(maps, []byte("\n"))
		m, ok := parseMapping(line)
		if !ok || len(run) > 0 && run[len(run)-1].end != m.start {
			if in {
				return run
			}
			run = run[:0]
		}
		if ok {
			run = append(run, m)
			in = in || m.start <= inside && inside < m.end
		}
	}
	if !in {
		return nil
	}
	return run
}

// parseMapping takes what the Go heap can be: private, of no file, and usable or
// reserved. "start-end rw-p offset device inode name".
func parseMapping(line []byte) (m mapping, ok bool) {
	f := bytes.Fields(line)
	if len(f) < 5 || string(f[4]) != "0" || len(f) > 5 &&
		!bytes.Contains(line, []byte("[anon: Go: ")) {
		return m, false
	}
	mode := string(f[1])
	if mode != "rw-p" && mode != "---p" {
		return m, false
	}
	from, to, _ := bytes.Cut(f[0], []byte("-"))
	start, err1 := strconv.ParseUint(string(from), 16, 64)
	end, err2 := strconv.ParseUint(string(to), 16, 64)
	return mapping{start, end, mode == "rw-p"}, err1 == nil && err2 == nil && start < end
}

var inHeap *[64]byte // an object on the heap, whose address says where that is

// Bits of an entry of /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).
// The zero page, mapped where memory was only read (by the collector, for example),
// is present too, but it is shared and takes no memory. (mincore(2) does not tell
// the two apart.)
const (
	pagePresent   = 1 << 63
	pageExclusive = 1 << 56
	pageWanted    = pagePresent | pageExclusive
	pageEntry     = 8 // bytes
)

// residentHeap counts the bytes of the Go heap's arenas that are resident, and of
// those that it has seen. The arenas may grow meanwhile; the runtime never unmaps them.
func residentHeap() (resident, seen int64) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, 0
	}
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return 0, 0
	}
	defer pagemap.Close()
	page := int64(os.Getpagesize())
	buffer := make([]byte, 32<<10)
	for _, m := range arenaMappings(maps, uint64(uintptr(unsafe.Pointer(inHeap)))) {
		if !m.usable {
			continue
		}
		at, end := int64(m.start)/page*pageEntry, int64(m.end)/page*pageEntry
		for at < end {
			n, err := pagemap.ReadAt(buffer[:min(int64(len(buffer)), end-at)], at)
			n -= n % pageEntry
			for i := 0; i < n; i += pageEntry {
				if binary.NativeEndian.Uint64(buffer[i:])&pageWanted == pageWanted {
					resident += page
				}
			}
			at += int64(n)
			seen += int64(n) / pageEntry * page
			if err != nil || n == 0 {
				break
			}
		}
	}
	return resident, seen
}
