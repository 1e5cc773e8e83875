package program

import (
	"bytes"
	"io"
	"slices"

	"cgoheap.example/cli/internal/attach"
)

// Code that may map memory by system calls of its own, past libc, in the program or in the
// libraries that it has loaded.

// rawMapper is such code, and a text that its file contains.
type rawMapper struct {
	what string
	text string
}

// A stripped binary keeps Go's function names.  Rust's standard library names its source
// files in panic messages.
var rawMappers = []rawMapper{
	{"Go's syscall.Mmap (off-heap caches such as fastcache)", "\x00syscall.(*mmapper).Mmap\x00"},
	{"Go's unix.Mmap (off-heap caches, databases)",
		"\x00golang.org/x/sys/unix.(*mmapper).Mmap\x00"},
	{"Rust code (rustix, as in wasmtime)", "/rustc/"},
}

// PreloadedLate is a candidate if the library was not loaded at the start.
const PreloadedLate = "memory mapped before cgoheap was loaded"

// RawMappers names the candidates in a process; nil: unknown.
func RawMappers(p *attach.Process) []string {
	files, err := p.MappedFiles()
	found := make([]bool, len(rawMappers))
	if err != nil || searchRawMappers(p.OpenMapped, "", found) != nil {
		return nil
	}
	for _, file := range files {
		if isOtherLibrary(file) {
			// One that was replaced since tells nothing.
			_ = searchRawMappers(p.OpenMapped, file, found)
		}
	}
	names := []string{}
	for i, m := range rawMappers {
		if found[i] {
			names = append(names, m.what)
		}
	}
	env, err := p.Environ()
	if err == nil && !slices.ContainsFunc(attach.Preloads(env["LD_PRELOAD"]), p.IsLibrary) {
		names = append(names, PreloadedLate)
	}
	return names
}

// searchRawMappers notes which the file has.
func searchRawMappers(open opener, path string, found []bool) error {
	file, err := open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	buf, kept := make([]byte, scanChunk), 0
	for {
		n, err := io.ReadFull(file, buf[kept:])
		for i, m := range rawMappers {
			found[i] = found[i] || bytes.Contains(buf[:kept+n], []byte(m.text))
		}
		switch err {
		case nil:
			kept = copy(buf, buf[len(buf)-scanOverlap:])
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return err
		}
	}
}
