package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"cgoheap/cli/internal/document"
)

const versionHelp = `usage: cgoheap version [--json]

Prints the version of the command, the commit that it was built from, and the
Go release that built it.

Example:
  $ cgoheap version
  cgoheap 0.1.0, commit 1a2b3c4d5e6f, go1.26.8
`

type versionJSON struct {
	Version   string  `json:"version"`
	Commit    *string `json:"commit"` // null: not built from a repository
	GoVersion string  `json:"go_version"`
}

func printVersion(std stdio, args []string) error {
	asJSON := false
	f := newFlags()
	f.boolean("--json", &asJSON)
	if _, err := f.parseExactly(args); err != nil {
		return err
	}
	from := builtFrom()
	if asJSON {
		v := versionJSON{Version: version, GoVersion: runtime.Version()}
		if from != "" {
			v.Commit = &from
		}
		return document.Write(std.out, "version", v)
	}
	fmt.Fprintf(std.out, "cgoheap %s, commit %s, %s\n", version, cmp.Or(from, "unknown"), runtime.Version())
	return nil
}

// builtFrom is the commit, with "-dirty" where files had been changed; "" unknown.
func builtFrom() string {
	if commit != "" {
		return commit
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + dirty
}
