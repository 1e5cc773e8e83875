// Package release says which build of cgoheap this is.
package release

import "runtime/debug"

// The build sets both; where it does not, the go command may know the commit.
var Version, commit = "dev", ""

// BuiltFrom is the commit, with "-dirty" where files had been changed; "" unknown.
func BuiltFrom() string {
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
