package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cgoheap/cli/internal/termtext"
)

// target is a file to be written.  It has its name only once it is whole, with
// the permissions that the umask leaves, or those of the file that it replaces.
// A symbolic link is neither replaced nor followed to a file: in a directory that
// others can write, where it leads is for them to say.
type target struct {
	std       stdio
	path      string // "" = the standard output
	temporary *os.File
	fresh     bool // the name is ours to choose: no file is replaced
	direct    bool // a device or pipe: written as it is
}

// openTarget is for the path that the user gave; in a directory it chooses the name.
// Opened before there is anything to write: an hour of --seconds must not end in a file that cannot be made.
func openTarget(std stdio, path, name string) (*target, error) {
	t := &target{std: std, path: path}
	switch {
	case path == "-":
		t.path = ""
		return t, nil
	case path == "":
		t.path, t.fresh = name, true
	default:
		if err := t.look(name); err != nil || t.direct {
			return t, err
		}
	}
	// Not CreateTemp, which takes the group's and the others' permissions away whatever the umask.
	file, err := createBeside(t.path)
	if err != nil {
		return nil, fmt.Errorf("nothing can be written in %s (%s): name another place with -o",
			termtext.Quote(filepath.Dir(t.path)), termtext.Reason(err))
	}
	t.temporary = file
	return t, nil
}

// look decides by what is at the path.
func (t *target) look(name string) error {
	info, err := os.Stat(t.path)
	switch {
	case err == nil && info.IsDir():
		t.path, t.fresh = filepath.Join(t.path, name), true
		return nil
	case err == nil && !info.Mode().IsRegular():
		t.direct = true
		return nil
	case err == nil && unix.Access(t.path, unix.W_OK) != nil:
		return fmt.Errorf("%s is there and may not be written: name another file with -o", termtext.Quote(t.path))
	}
	if to, err := os.Readlink(t.path); err == nil {
		return fmt.Errorf("%s is a symbolic link, and is not followed to a file: name the file itself, %s, with -o",
			termtext.Quote(t.path), termtext.QuoteShell(to))
	}
	return nil
}

// createBeside makes an empty file of a name that there is none of.
func createBeside(path string) (*os.File, error) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s.%d-%d.new", path, os.Getpid(), n)
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, os.ErrExist) {
			return file, err
		}
	}
}

func (t *target) commit(body []byte) error {
	err := t.write(body)
	if err != nil && t.path != "" {
		err = fmt.Errorf("%s cannot be written: %s", termtext.Quote(t.path), termtext.Reason(err))
	}
	return err
}

func (t *target) write(body []byte) error {
	switch {
	case t.path == "":
		_, err := t.std.out.Write(body)
		return err
	case t.direct:
		file, err := os.OpenFile(t.path, os.O_WRONLY, 0)
		if err == nil {
			err = writeAndClose(file, body)
		}
		return err
	}
	if old, err := os.Lstat(t.path); err == nil && !t.fresh {
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

// writeAndClose: some file systems say only then that they are full.
func writeAndClose(file *os.File, body []byte) error {
	_, err := file.Write(body)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// rename gives the file its name.  One of ours to choose is changed until no file has it.
func (t *target) rename() error {
	from := t.temporary.Name()
	if !t.fresh {
		err := os.Rename(from, t.path)
		if err == nil {
			t.temporary = nil
		}
		return err
	}
	stem, wanted := strings.TrimSuffix(t.path, profileSuffix), t.path
	for n := 2; ; n++ {
		err := os.Link(from, t.path)
		switch {
		case err == nil:
			return nil // discard takes the other name away
		case !errors.Is(err, os.ErrExist):
			return t.renameWithoutLinks(wanted)
		}
		t.path = fmt.Sprintf("%s-%d%s", stem, n, profileSuffix)
	}
}

// renameWithoutLinks is for file systems that have none (FAT, some network shares).
func (t *target) renameWithoutLinks(wanted string) error {
	t.path = wanted
	if _, err := os.Lstat(t.path); err == nil {
		return &os.PathError{Op: "create", Path: t.path, Err: syscall.EEXIST}
	}
	err := os.Rename(t.temporary.Name(), t.path)
	if err == nil {
		t.temporary = nil
	}
	return err
}

// discard takes away what has no name of its own.
func (t *target) discard() {
	if t.temporary != nil {
		t.temporary.Close()
		os.Remove(t.temporary.Name())
	}
}

// checkedWriter remembers what could not be written: a verb that prints to a full disk has not done what it was asked for.
type checkedWriter struct {
	io.Writer
	err error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		w.err = fmt.Errorf("the standard output cannot be written: %s", termtext.Reason(err))
	}
	return n, w.err
}
