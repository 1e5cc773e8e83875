package verbs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/outfile"
	"cgoheap.example/cli/internal/termtext"
)

const installHelp = `usage: cgoheap install DIR [--library PATH]

Copies libcgoheap.so and this command into DIR, which is made if it is missing.
For an init container, whose image has neither a shell nor cp, that hands both
to the service's container in a volume.  A service that has the library loaded
keeps the old one.

  --library PATH   libcgoheap.so, if it is not beside this command

Example:
  $ cgoheap install /cgoheap
  wrote /cgoheap/libcgoheap.so and /cgoheap/cgoheap
`

func install(std stdio, args []string) error {
	library := ""
	f := flags.New()
	f.Text("--library", &library)
	rest, err := f.ParseExactly(args, "DIR")
	if err != nil {
		return err
	}
	dir := rest[0]
	if library, err = attach.FindLibrary(library); err != nil {
		return err
	}
	command, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return cannotInstall(dir, err)
	}
	to, toCommand := filepath.Join(dir, attach.LibraryName), filepath.Join(dir, "cgoheap")
	if err := copyFile(to, library, 0o644); err != nil {
		return err
	}
	if err := copyFile(toCommand, command, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "wrote %s and %s\n", termtext.Escape(to), termtext.Escape(toCommand))
	return nil
}

func cannotInstall(to string, err error) error {
	return fmt.Errorf("cannot write %s: %s; name another directory, or one that this user may "+
		"write to", termtext.Quote(to), termtext.Reason(err))
}

// copyFile replaces what has the name, and writes nothing into it: it may be in use.
func copyFile(to, from string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("cannot read %s: %s", termtext.Quote(from), termtext.Reason(err))
	}
	defer in.Close()
	out, err := outfile.Private(to)
	if err != nil {
		return cannotInstall(to, err)
	}
	defer out.Discard()
	if _, err = io.Copy(out, in); err == nil {
		err = os.Chmod(out.Name(), mode)
	}
	if err == nil {
		err = out.Keep()
	}
	if err != nil {
		return cannotInstall(to, err)
	}
	return nil
}
