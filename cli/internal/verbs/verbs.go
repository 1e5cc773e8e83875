// Package verbs has one file for each verb.  A verb reads its command line, asks the
// packages below, and prints; they decide.
package verbs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/termtext"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// verb is one thing that the command does.  help is what --help prints.
type verb struct {
	name, short, help string
	run               func(std stdio, args []string) error
}

// verbs in the order in which a user needs them.
func verbs() []verb {
	return []verb{
		{"run", "start a program with cgoheap loaded", runHelp, runProgram},
		{"list", "list the processes that have it loaded", listHelp, listProcesses},
		{"doctor", "check whether it works in a program or a process", doctorHelp, doctor},
		{"top", "watch who holds C memory, live", topHelp, top},
		{"watch", "show what grows in a process, since when and why", watchHelp, watch},
		{"profile", "save a profile for go tool pprof", profileHelp, saveProfile},
		{"diff", "show what grew between two profiles, beyond chance", diffHelp, diff},
		{"explain", "show what the resident memory consists of", explainHelp, explain},
		{"trim", "make the C allocator return its free memory", trimHelp, trim},
		{"sampling", "turn sampling on or off", samplingHelp, sampling},
		{"report", "make one HTML page of all that is known", reportHelp, makeReport},
		{"collect", "save the scene of an incident in one directory", collectHelp, collectScene},
		{"events", "print allocations and frees as they happen", eventsHelp, events},
		{"autopsy", "read what a killed process left behind", autopsyHelp, autopsy},
		{"install", "copy the library and the command into a directory", installHelp, install},
		{"completion", "complete command lines in bash or zsh", completionHelp, completion},
		{"version", "print the version", versionHelp, printVersion},
	}
}

func usage() string {
	var b strings.Builder
	b.WriteString("cgoheap shows what the C code of a Go program allocates, and which Go code " +
		"asked for it.\n\n" +
		"usage: cgoheap VERB [flags] [arguments]\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "  %-12s%s\n", v.name, v.short)
	}
	b.WriteString("  help        explain a verb: cgoheap help top\n\n" +
		"start here:\n" +
		"  cgoheap run -- ./service          start it\n" +
		"  cgoheap explain service           see what its memory is made of\n" +
		"  cgoheap top service               see who holds C memory\n" +
		"Name a process by its ID or program; leave it out if only one has cgoheap loaded.\n")
	return b.String()
}

func findVerb(name string) (verb, bool) {
	for _, v := range verbs() {
		if v.name == name {
			return v, true
		}
	}
	return verb{}, false
}

func noVerb(word string) error {
	names := []string{"help"}
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	return flags.Usagef("unknown verb %s%s; cgoheap help lists the verbs", termtext.Quote(word),
		flags.DidYouMean(flags.Nearest(word, names)))
}

func help(std stdio, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(std.out, usage())
		return nil
	}
	if args[0] == "--man" {
		return printManual(std, args[1:])
	}
	v, ok := findVerb(args[0])
	if !ok {
		return noVerb(args[0])
	}
	fmt.Fprint(std.out, v.help)
	return nil
}

func dispatch(std stdio, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(std.err, usage())
		return flags.UsageError{}
	}
	switch args[0] {
	case "help", "--help", "-h", "-help":
		return help(std, args[1:])
	case "--version", "-version":
		return printVersion(std, nil)
	}
	v, ok := findVerb(args[0])
	if !ok {
		return noVerb(args[0])
	}
	err := v.run(std, args[1:])
	if errors.Is(err, flags.ErrHelp) {
		fmt.Fprint(std.out, v.help)
		return nil
	}
	var bad flags.UsageError
	if errors.As(err, &bad) {
		return flags.Usagef("%s: %s; see cgoheap %s --help", v.name, bad.Text, v.name)
	}
	return err
}

// execute runs one command line and returns its exit code.
func execute(std stdio, args []string) int {
	err := dispatch(std, args)
	if err == nil {
		return exitDone
	}
	code := exitCodeOf(err)
	if errors.Is(err, errReported) || err.Error() == "" {
		return code
	}
	fmt.Fprintf(std.err, "cgoheap: %s\n", err)
	if wantsJSON(args) {
		writeError(std.out, err, code)
	}
	return code
}

func exitCodeOf(err error) int {
	var bad flags.UsageError
	var several attach.SeveralError
	var own exitCode
	if errors.As(err, &own) {
		return int(own)
	}
	if errors.As(err, &bad) || errors.As(err, &several) {
		return exitUsage
	}
	return exitFailed
}

// Run runs one command line on the process's own streams, and returns its exit code.
func Run(args []string) int {
	out := &checkedWriter{Writer: os.Stdout}
	std := stdio{out: out, err: os.Stderr}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		std.terminal = os.Stdout
	}
	std.progress = term.IsTerminal(int(os.Stderr.Fd()))
	code := execute(std, args)
	if out.err != nil && code == exitDone {
		fmt.Fprintf(os.Stderr, "cgoheap: %s\n", out.err)
		code = exitFailed
	}
	return code
}
