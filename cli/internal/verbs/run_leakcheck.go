package verbs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cgoheap.example/cgo_bridge/leaktest/suppress"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/leak"
	"cgoheap.example/cli/internal/program"
	"cgoheap.example/cli/internal/termtext"
)

// leakCheck is the flags of run for a leak check, and the check.
type leakCheck struct {
	on         bool
	limit      uint64
	user       *suppress.List
	userFile   string
	noDefaults bool
}

// leakRows are the stacks shown of one program.
const leakRows = 20

func (l *leakCheck) add(f *flags.Set) {
	f.Add("--leak-check", &flags.Flag{Optional: true, Set: func(value string) error {
		l.on = true
		if value == "" {
			return nil
		}
		n, ok := termtext.ParseBytes(value)
		if !ok {
			return flags.Usagef("a number of bytes that may leak, such as 4096 or 4KiB")
		}
		l.limit = n
		return nil
	}})
	f.Add("--suppressions", &flags.Flag{Set: l.readSuppressions})
	f.Boolean("--no-default-suppressions", &l.noDefaults)
}

func (l *leakCheck) readSuppressions(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return flags.Usagef("a file that can be read (%s)", termtext.Reason(err))
	}
	defer file.Close()
	l.userFile = path
	if l.user, err = suppress.Parse(file); err != nil {
		return flags.Usagef("a function or glob a line; %s", err)
	}
	return nil
}

// conflicts refuses what a leak check cannot be combined with.
func (l *leakCheck) conflicts(o *runOptions) error {
	switch {
	case !l.on && l.user != nil:
		return flags.Usagef("--suppressions goes with --leak-check")
	case !l.on && l.noDefaults:
		return flags.Usagef("--no-default-suppressions goes with --leak-check")
	case l.on && o.start == "dormant":
		return flags.Usagef("--leak-check needs sampling from the start: leave --dormant out")
	case l.on && o.blackbox != "":
		return flags.Usagef("--leak-check makes its own recordings: leave --blackbox out")
	}
	return nil
}

// exitCode ends the command with the program's own code.
type exitCode int

func (e exitCode) Error() string { return "" }

// run starts the program as a child, and judges what it and its children held at their ends.
func (l *leakCheck) run(std stdio, o *runOptions, f *program.Facts, path string, command []string,
	library string) error {
	dir, err := attach.MakeTemporary("cgoheap-leaks-")
	if err != nil {
		return fmt.Errorf("no directory for recordings: %s; set TMPDIR to another one",
			termtext.Reason(err))
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.Abs(dir); err != nil || len(dir) > maxBlackboxBytes {
		return fmt.Errorf("the path of TMPDIR is too long")
	}
	if err := openToAll(dir); err != nil {
		return err
	}
	o.blackbox = dir
	if o.sampleBytes == 0 {
		o.sampleBytes = 1
	}
	rules := leak.Rules{User: l.user, IsEstimate: o.sampleBytes > 1}
	if !l.noDefaults {
		rules.Default = suppress.Defaults()
	}
	env := withGoFlags(o.environ(os.Environ(), library))
	found := &leak.Directory{Path: dir, Rules: rules}
	code, err := runChild(path, command, env, found)
	if err != nil {
		return err
	}
	found.TakeAll()
	isFine := l.report(std, found.Results, f)
	switch {
	case code != 0:
		return exitCode(code)
	case !isFine:
		return errReported
	}
	return nil
}

// openToAll: a child of root's may be another user, who shall leave a recording too. He can create
// files here, and neither list nor remove those of others.
func openToAll(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chmod(dir, os.ModeSticky|0o733)
}

// goFlags is what go test should know: a cached answer runs no program to check, and a test
// binary without symbols, which is what it builds to run, has no names of C functions.
func goFlags(given string) string {
	flags := strings.TrimSpace(given + " -count=1")
	if !strings.Contains(given, "-ldflags") {
		flags += " '-ldflags=-s=false -w=false'"
	}
	return flags
}

func withGoFlags(env []string) []string {
	const variable = "GOFLAGS="
	for i, entry := range env {
		if strings.HasPrefix(entry, variable) {
			env[i] = variable + goFlags(strings.TrimPrefix(entry, variable))
			return env
		}
	}
	out, err := exec.Command("go", "env", "GOFLAGS").Output()
	if err != nil {
		return env // no go here
	}
	return append(env, variable+goFlags(strings.TrimSpace(string(out))))
}

// runChild waits for the program, and meanwhile takes in what its children leave.
func runChild(path string, command, env []string, found *leak.Directory) (code int, err error) {
	c := &exec.Cmd{Path: path, Args: command, Env: env,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP,
		syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		var failed *os.PathError
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return 0, explainExec(path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for look := time.NewTicker(200 * time.Millisecond); ; {
		select {
		case s := <-signals:
			if !terminalSent(s) {
				_ = c.Process.Signal(s)
			}
		case <-look.C:
			found.Take()
		case err := <-ended:
			look.Stop()
			return codeOf(c.ProcessState), waitError(err)
		}
	}
}

// terminalSent: Ctrl-C reaches every process of the terminal's foreground group, also the program.
func terminalSent(s os.Signal) bool {
	if s != syscall.SIGINT && s != syscall.SIGQUIT && s != syscall.SIGHUP {
		return false
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

func waitError(err error) error {
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		return nil
	}
	return err
}

// codeOf is as a shell has it: 128 and the signal's number.
func codeOf(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// report prints what was found; false: the check fails.
func (l *leakCheck) report(std stdio, results []*leak.Result, f *program.Facts) bool {
	isFine := true
	for _, r := range results {
		if len(r.Leaks) > 0 {
			r.Print(std.err, leakRows)
		}
		for _, note := range r.Notes {
			fmt.Fprintf(std.err, "cgoheap: %s\n", note)
		}
		for _, why := range r.Unknown {
			fmt.Fprintf(std.err, "cgoheap: leak check of %s: cannot tell: %s\n", r.Name(), why)
		}
		isFine = isFine && len(r.Unknown) == 0 && r.Total.Bytes <= int64(l.limit)
	}
	if len(results) == 0 {
		isFine = saidNothingSeen(std, f)
	} else {
		l.reportSum(std, results)
	}
	l.reportUnused(std)
	return isFine
}

// unusedRows are the suppressions shown that suppressed nothing.
const unusedRows = 20

func (l *leakCheck) reportUnused(std stdio) {
	unused := l.user.Unused()
	for _, r := range unused[:min(unusedRows, len(unused))] {
		fmt.Fprintf(std.err, "cgoheap: unused suppression: %s:%d: %s\n",
			termtext.Escape(l.userFile), r.Line, termtext.Escape(termtext.CutEnd(r.Text, 200)))
	}
	if more := len(unused) - unusedRows; more > 0 {
		fmt.Fprintf(std.err, "cgoheap: unused suppressions: %s more\n",
			termtext.Count(int64(more)))
	}
}

func (l *leakCheck) reportSum(std stdio, results []*leak.Result) {
	var leaked, suppressed leak.Amount
	isEstimate, unknown := false, 0
	for _, r := range results {
		if len(r.Unknown) > 0 {
			unknown++
		}
		leaked.Bytes, leaked.Blocks = leaked.Bytes+r.Total.Bytes, leaked.Blocks+r.Total.Blocks
		suppressed.Bytes += r.Suppressed.Bytes
		suppressed.Blocks += r.Suppressed.Blocks
		isEstimate = isEstimate || r.IsEstimate
	}
	text := "nothing leaked"
	switch {
	case leaked.Blocks > 0:
		text = leaked.Text(isEstimate) + " leaked"
	case unknown > 0:
		text = "no leak seen, but of " +
			termtext.CountOf(unknown, "program", "programs") + " it cannot be told"
	}
	if leaked.Blocks > 0 && l.limit > 0 {
		text += fmt.Sprintf(" (allowed %s a program)", termtext.ExactBytes(l.limit))
	}
	if isEstimate {
		text += ", by samples: small leaks may have been missed"
	}
	if suppressed.Blocks > 0 {
		text += "; suppressed " + suppressed.Text(isEstimate)
	}
	fmt.Fprintf(std.err, "cgoheap: leak check of %s: %s\n",
		termtext.CountOf(len(results), "program", "programs"), text)
}

// saidNothingSeen: without a recording nothing was looked at, which is right only of a Go program
// that has no C in it.
func saidNothingSeen(std stdio, f *program.Facts) bool {
	name := termtext.Escape(filepath.Base(f.Path))
	if f.IsGo() && !f.HasCgo && name != "go" {
		fmt.Fprintf(std.err, "cgoheap: leak check: %s has no C code: nothing to check\n", name)
		return true
	}
	fmt.Fprintf(std.err, "cgoheap: leak check: nothing was checked: no program with cgo has run, "+
		"or none with the library in it (cgoheap doctor says of one why)\n")
	return false
}
