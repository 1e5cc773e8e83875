// Package outfile writes a profile or a page to the file that the user named, or to one that it
// names, whole or not at all.
package outfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cgoheap.example/cli/internal/termtext"
)

// Suffix of the names that we choose for profiles.
const Suffix = ".pb.gz"

// File is a file to be written.  It gets its name only once it is whole, with the
// permissions that the umask leaves, or those of the file that it replaces.  A symbolic
// link is neither replaced nor followed: in a directory that others can write, they decide
// where it leads.
type File struct {
	Path      string // "" = the standard output
	stdout    io.Writer
	temporary *os.File
	fresh     bool // we choose the name: no file is replaced
	direct    bool // a device or pipe: written as it is
}

// Open takes the path that the user gave; in a directory, or without a path, the file is called
// name.  Open before there is anything to write: --seconds 3600 must not end in a file that
// cannot be created.
func Open(stdout io.Writer, path, name string) (*File, error) {
	t := &File{Path: path, stdout: stdout}
	switch {
	case path == "-":
		t.Path = ""
		return t, nil
	case path == "":
		t.Path, t.fresh = name, true
	default:
		if err := t.look(name); err != nil || t.direct {
			return t, err
		}
	}
	// Not CreateTemp, which ignores the umask and creates a private file.
	file, err := createBeside(t.Path, 0o666)
	if err != nil {
		return nil, fmt.Errorf("cannot write to %s (%s): name another place with -o",
			termtext.Quote(filepath.Dir(t.Path)), termtext.Reason(err))
	}
	t.temporary = file
	return t, nil
}

// Private is a file that its owner alone may read.  What is written to it has no name until Keep;
// then it replaces what had that name.  Its directory is trusted.
func Private(path string) (*File, error) {
	file, err := createBeside(path, 0o600)
	if err != nil {
		return nil, err
	}
	return &File{Path: path, temporary: file}, nil
}

// Write adds to a file from Private.
func (t *File) Write(b []byte) (int, error) { return t.temporary.Write(b) }

// Name is where what was written can be read before Keep.
func (t *File) Name() string { return t.temporary.Name() }

// Keep gives a file from Private its name.  Some file systems report only now that they are full.
func (t *File) Keep() error {
	err := t.temporary.Close()
	if err == nil {
		err = t.rename()
	}
	return err
}

// look decides by what is at the path.
func (t *File) look(name string) error {
	info, err := os.Stat(t.Path)
	switch {
	case err == nil && info.IsDir():
		t.Path, t.fresh = filepath.Join(t.Path, name), true
		return nil
	case err == nil && !info.Mode().IsRegular():
		t.direct = true
		return nil
	case err == nil && unix.Access(t.Path, unix.W_OK) != nil:
		return fmt.Errorf("permission denied: %s exists and cannot be overwritten; "+
			"name another file with -o", termtext.Quote(t.Path))
	}
	if to, err := os.Readlink(t.Path); err == nil {
		return fmt.Errorf("%s is a symbolic link, which cgoheap does not follow: "+
			"name the file itself, %s, with -o", termtext.Quote(t.Path), termtext.QuoteShell(to))
	}
	return nil
}

// Spare fails if writing to the path would replace one of the inputs, by whatever name.
func Spare(path string, inputs ...string) error {
	to, err := os.Stat(path)
	if err != nil || !to.Mode().IsRegular() {
		return nil // Open says what is wrong with it
	}
	for _, input := range inputs {
		if from, err := os.Stat(input); err == nil && os.SameFile(from, to) {
			return fmt.Errorf("%s is what is read, and would be overwritten: name another "+
				"file with -o", termtext.Quote(path))
		}
	}
	return nil
}

// createBeside creates an empty file of an unused name in the same directory.
func createBeside(path string, mode os.FileMode) (*os.File, error) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s.%d-%d.new", path, os.Getpid(), n)
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, os.ErrExist) {
			return file, err
		}
	}
}

// Commit writes the body and gives the file its name.
func (t *File) Commit(body []byte) error {
	err := t.write(body)
	if err != nil && t.Path != "" {
		err = fmt.Errorf("cannot write %s: %s", termtext.Quote(t.Path), termtext.Reason(err))
	}
	return err
}

func (t *File) write(body []byte) error {
	switch {
	case t.Path == "":
		_, err := t.stdout.Write(body)
		return err
	case t.direct:
		file, err := os.OpenFile(t.Path, os.O_WRONLY, 0)
		if err == nil {
			err = writeAndClose(file, body)
		}
		return err
	}
	if old, err := os.Lstat(t.Path); err == nil && !t.fresh {
		if err := t.temporary.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	err := writeAndClose(t.temporary, body)
	if err == nil {
		err = t.rename()
	}
	return err
}

// writeAndClose: some file systems report only at close that they are full.
func writeAndClose(file *os.File, body []byte) error {
	_, err := file.Write(body)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// rename gives the file its name.  A name that we choose gets a number if it is taken.
func (t *File) rename() error {
	from := t.temporary.Name()
	if !t.fresh {
		err := os.Rename(from, t.Path)
		if err == nil {
			t.temporary = nil
		}
		return err
	}
	suffix := Suffix
	if !strings.HasSuffix(t.Path, Suffix) {
		suffix = filepath.Ext(t.Path)
	}
	stem, wanted := strings.TrimSuffix(t.Path, suffix), t.Path
	for n := 2; ; n++ {
		err := os.Link(from, t.Path)
		switch {
		case err == nil:
			return nil // Discard removes the temporary name
		case !errors.Is(err, os.ErrExist):
			return t.renameWithoutLinks(wanted)
		}
		t.Path = fmt.Sprintf("%s-%d%s", stem, n, suffix)
	}
}

// renameWithoutLinks is for file systems that have none (FAT, some network shares).
func (t *File) renameWithoutLinks(wanted string) error {
	t.Path = wanted
	if _, err := os.Lstat(t.Path); err == nil {
		return &os.PathError{Op: "create", Path: t.Path, Err: syscall.EEXIST}
	}
	err := os.Rename(t.temporary.Name(), t.Path)
	if err == nil {
		t.temporary = nil
	}
	return err
}

// Discard removes the temporary file; after Commit, and of nil, it does nothing.
func (t *File) Discard() {
	if t != nil && t.temporary != nil {
		t.temporary.Close()
		os.Remove(t.temporary.Name())
	}
}
