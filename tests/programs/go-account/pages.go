package main

import (
	"encoding/binary"
	"os"
)

const pageBytes = 4096

// residentBytes is what the kernel's page table says of [start, end), apart
// from everything that the shim has read or counted.
func residentBytes(start, end uintptr) (bytes int64) {
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		panic(err)
	}
	defer pagemap.Close()
	return residentIn(pagemap, start, end)
}

var buffer []byte

func residentIn(pagemap *os.File, start, end uintptr) (bytes int64) {
	if need := int((end - start) / pageBytes * 8); len(buffer) < need {
		buffer = make([]byte, need)
	}
	entries := buffer[:(end-start)/pageBytes*8]
	if _, err := pagemap.ReadAt(entries, int64(start/pageBytes*8)); err != nil {
		panic(err)
	}
	for i := 0; i < len(entries); i += 8 {
		if binary.LittleEndian.Uint64(entries[i:])>>63 == 1 {
			bytes += pageBytes
		}
	}
	return bytes
}
