package verbs

import (
	"fmt"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/manual"
	"cgoheap.example/cli/internal/release"
)

const completionHelp = `usage: cgoheap completion bash|zsh

Prints a script that completes verbs, flags, processes and files in a shell.
make install installs both.

Examples:
  source <(cgoheap completion bash)
  cgoheap completion zsh > _cgoheap     # in a directory of $fpath
`

func manuals() []manual.Verb {
	var all []manual.Verb
	for _, v := range verbs() {
		all = append(all, manual.Verb{Name: v.name, Short: v.short, Help: v.help})
	}
	return all
}

func completion(std stdio, args []string) error {
	rest, err := flags.New().ParseExactly(args, "bash|zsh")
	if err != nil {
		return err
	}
	switch rest[0] {
	case "bash":
		fmt.Fprint(std.out, manual.Bash(manuals()))
	case "zsh":
		fmt.Fprint(std.out, manual.Zsh(manuals()))
	default:
		return flags.Usagef("unknown shell %q: expected bash or zsh", rest[0])
	}
	return nil
}

// printManual is `help --man [VERB]`: what make install puts where man looks.
func printManual(std stdio, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(std.out, manual.Overview(usage(), release.Version, manuals()))
		return nil
	}
	for _, v := range manuals() {
		if v.Name == args[0] {
			fmt.Fprint(std.out, v.Page(release.Version, manuals()))
			return nil
		}
	}
	return noVerb(args[0])
}
