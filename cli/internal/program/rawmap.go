package program

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cgoheap/cli/internal/attach"
)

// Who may have mapped memory by a system call that passes no libc.  Each candidate is
// looked for in the program and the libraries that it has loaded.

// rawMapper is code that maps so, and a text that the file has which holds it.
type rawMapper struct {
	what string
	text string
}

// Go's names of functions are there in a stripped binary as well.  Rust's standard library
// names its own source where it may panic.
var rawMappers = []rawMapper{
	{"Go's syscall.Mmap (off-heap caches such as fastcache)", "\x00syscall.(*mmapper).Mmap\x00"},
	{"Go's unix.Mmap (off-heap caches, databases)", "\x00golang.org/x/sys/unix.(*mmapper).Mmap\x00"},
	{"Rust code (rustix, as in wasmtime)", "/rustc/"},
}

// PreloadedLate is a candidate where the library was not there from the start.
const PreloadedLate = "memory mapped before cgoheap was loaded"

// RawMappers names the candidates that there are in a process; nil: it cannot be told.
func RawMappers(p *attach.Process) []string {
	files, err := p.MappedFiles()
	found := make([]bool, len(rawMappers))
	if err != nil || searchRawMappers(attach.ProcPath(p.PID, "exe"), found) != nil {
		return nil
	}
	for _, file := range files {
		if strings.Contains(filepath.Base(file), ".so") && !attach.IsLibrary(file) {
			_ = searchRawMappers(attach.ProcPath(p.PID, "root")+file, found) // one that was replaced since tells nothing
		}
	}
	names := []string{}
	for i, m := range rawMappers {
		if found[i] {
			names = append(names, m.what)
		}
	}
	if env, err := p.Environ(); err == nil && !slices.ContainsFunc(attach.Preloads(env["LD_PRELOAD"]), attach.IsLibrary) {
		names = append(names, PreloadedLate)
	}
	return names
}

// searchRawMappers notes which the file has.
func searchRawMappers(path string, found []bool) error {
	file, err := os.Open(path)
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
