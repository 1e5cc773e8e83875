package verbs

import (
	"cmp"
	"fmt"
	"runtime"

	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/release"
)

const versionHelp = `usage: cgoheap version [--json]

Prints the version of the command, the commit that it was built from, and the
Go release that built it.

Example:
  $ cgoheap version
  cgoheap 0.2.0, commit 1a2b3c4d5e6f, go1.26.8
`

type versionJSON struct {
	Version   string  `json:"version"`
	Commit    *string `json:"commit"` // null: not built from a repository
	GoVersion string  `json:"go_version"`
}

func printVersion(std stdio, args []string) error {
	asJSON := false
	f := flags.New()
	f.Boolean("--json", &asJSON)
	if _, err := f.ParseExactly(args); err != nil {
		return err
	}
	from := release.BuiltFrom()
	if asJSON {
		v := versionJSON{Version: release.Version, GoVersion: runtime.Version()}
		if from != "" {
			v.Commit = &from
		}
		return document.Write(std.out, "version", v)
	}
	fmt.Fprintf(std.out, "cgoheap %s, commit %s, %s\n", release.Version, cmp.Or(from, "unknown"),
		runtime.Version())
	return nil
}
