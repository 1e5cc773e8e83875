package verbs

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/program"
	"cgoheap.example/cli/internal/termtext"
)

const runHelp = `usage: cgoheap run [flags] [--] PROGRAM [arguments]

Starts PROGRAM with libcgoheap.so preloaded.  cgoheap replaces itself by the
program, which keeps its process ID, signals and exit code.  PROGRAM may start
the Go program: a shell, a script, tini, go run, go test.  If cgoheap cannot see
into PROGRAM itself, it says so and runs it.

  --sample-bytes N   one sample every N bytes on average; 1 records every
                     allocation (default 512KiB)
  --start STATE      sampling or dormant: whether to sample from the start, or
                     not until told to (default sampling)
  --dormant          the same as --start dormant
  --listen ADDR      serve go tool pprof on a loopback address too
  --socket PATH      where to listen (default cgoheap-UID/PID.sock in
                     $XDG_RUNTIME_DIR, else /tmp, else /dev/shm)
  --max-memory N     limit on cgoheap's own memory (default 32MiB)
  --max-cpu PERCENT  limit on the processor time of recording, in percent of one
                     core (default 1)
  --blackbox DIR     keep a recording in DIR, for cgoheap autopsy
  --follow-fork      keep profiling forked children that do not exec
  --verbose          each process in which the library stays passive, or has its
                     socket elsewhere than usual or nowhere, says why
  --any              also profile programs that are not written in Go
  --leak-check[=N]   exit with code 1 if more than N bytes (default 0) of C
                     memory that was allocated after start-up are still held at
                     exit, and show their stacks; --sample-bytes is then 1
  --suppressions FILE
                     with it: functions or globs, one a line, whose memory is
                     not reported
  --no-default-suppressions
                     with it: report what libc and the loader keep, too
  --library PATH     libcgoheap.so, if it is not beside this command

Examples:
  cgoheap run -- ./service -addr :8080
  cgoheap run --dormant --listen 127.0.0.1:6061 -- ./service
  cgoheap run -- go run .
  go test -exec 'cgoheap run --' ./...
  cgoheap run --leak-check -- go test ./...

Then: cgoheap top PID
`

const (
	maxBlackboxBytes = 255 // what the library keeps of a directory's path
)

type runOptions struct {
	sampleBytes, maxMemory    uint64
	dormant, any, followFork  bool
	verbose                   bool
	start, listen, socket     string
	library, maxCPU, blackbox string
	leaks                     leakCheck
}

func parseRun(args []string) (*runOptions, []string, error) {
	o := &runOptions{}
	f := flags.New()
	f.Program = true
	f.Size("--sample-bytes", &o.sampleBytes, 1, 1<<30)
	f.Size("--max-memory", &o.maxMemory, 4<<20, 1<<30)
	f.Choice("--start", &o.start, "sampling", "dormant")
	f.Boolean("--dormant", &o.dormant)
	f.Boolean("--any", &o.any)
	f.Boolean("--follow-fork", &o.followFork)
	f.Boolean("--verbose", &o.verbose)
	f.Text("--library", &o.library)
	f.Add("--listen", &flags.Flag{Set: o.setListen})
	f.Add("--socket", &flags.Flag{Set: absolutePath(&o.socket, attach.MaxSocketBytes)})
	f.Add("--blackbox", &flags.Flag{Set: absolutePath(&o.blackbox, maxBlackboxBytes)})
	f.Add("--max-cpu", &flags.Flag{Set: o.setMaxCPU})
	o.leaks.add(f)
	rest, err := f.Parse(args)
	if err == nil && len(rest) == 0 {
		err = flags.Usagef("PROGRAM is missing")
	}
	if err == nil && o.dormant {
		if o.start == "sampling" {
			err = flags.Usagef("--dormant contradicts --start sampling: give one of them")
		}
		o.start = "dormant"
	}
	if err == nil {
		err = o.leaks.conflicts(o)
	}
	return o, rest, err
}

// setListen accepts what the library does: a port on 127.0.0.0/8.
func (o *runOptions) setListen(value string) error {
	bad := flags.Usagef("a loopback address such as 127.0.0.1:6061")
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return bad
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host).To4()
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || ip == nil || ip[0] != 127 {
		return bad
	}
	o.listen = net.JoinHostPort(ip.String(), port)
	return nil
}

// absolutePath accepts a path and makes it absolute: the program may change its directory.
func absolutePath(target *string, maxBytes int) func(string) error {
	return func(value string) error {
		path, err := filepath.Abs(value)
		if value == "" || err != nil || len(path) > maxBytes {
			return flags.Usagef("a path of at most %d bytes", maxBytes)
		}
		*target = path
		return nil
	}
}

// setMaxCPU accepts what the library does: "1", "0.5" or "2.5%".
func (o *runOptions) setMaxCPU(value string) error {
	number := strings.TrimSuffix(value, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.Trim(number, "0123456789.") != "" || percent < 0.01 || percent > 100 {
		return flags.Usagef("percent of one core from 0.01 to 100, such as 0.5")
	}
	o.maxCPU = strconv.FormatFloat(percent, 'f', -1, 64)
	return nil
}

func runProgram(std stdio, args []string) error {
	o, command, err := parseRun(args)
	if err != nil {
		return err
	}
	path, err := resolveProgram(command[0])
	if err != nil {
		return err
	}
	f, err := program.Inspect(path)
	if err != nil {
		return explainOpen(path, err)
	}
	library, err := attach.FindLibrary(o.library)
	if err == nil && strings.ContainsAny(library, ": ") {
		err = fmt.Errorf("the path of the library, %s, contains a space or a colon, which "+
			"LD_PRELOAD does not allow: "+
			"copy it elsewhere and name it with --library", termtext.Quote(library))
	}
	if err != nil {
		return err
	}
	notes, err := judge(f, library, o.any)
	if err != nil {
		return err
	}
	if note := aboutLauncher(f, command); note != "" {
		notes = append(notes, note)
	}
	if o.leaks.on && f.IsStatic() && f.IsGo() {
		notes = nil // what such a program (go test) starts is checked; if nothing was, that is said
	}
	for _, note := range notes {
		fmt.Fprintf(std.err, "cgoheap: %s: %s\n", termtext.Escape(command[0]), note)
	}
	if o.leaks.on {
		return o.leaks.run(std, o, f, path, command, library)
	}
	err = syscall.Exec(path, command, o.environ(os.Environ(), library))
	return explainExec(path, err)
}

// resolveProgram finds the program as a shell does.
func resolveProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || errors.Is(err, exec.ErrDot) {
		return path, nil
	}
	if !strings.Contains(name, "/") {
		return "", fmt.Errorf("no program %s in PATH; give its path, such as ./%s",
			termtext.Quote(name), termtext.Escape(name))
	}
	info, statErr := os.Stat(name)
	switch {
	case statErr != nil:
		return "", explainOpen(name, statErr)
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory: give the program's path", termtext.Quote(name))
	}
	return "", fmt.Errorf("%s is not executable: chmod +x %s", termtext.Quote(name),
		termtext.QuoteShell(name))
}

func explainOpen(path string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s does not exist", termtext.Quote(path))
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("permission denied: cannot read %s, and cgoheap inspects a program "+
			"before it runs it", termtext.Quote(path))
	}
	return err
}

// judge refuses programs that would fail or be harmed; of others it returns what the user should
// know.
func judge(f *program.Facts, library string, anyProgram bool) ([]string, error) {
	checks := program.CheckProgram(f, os.Getuid(), os.Getgid())
	if f.Loader != "" {
		checks = append(checks, program.CheckLibrary(library, nil, f))
	}
	var notes []string
	for _, c := range checks {
		isPassive := !f.IsGo() && c.Runnable && c.Name != "privileges"
		switch {
		case c.Level == program.LevelOK || anyProgram && isPassive:
		case !c.Runnable && c.Remedy == "":
			return nil, fmt.Errorf("%s cannot run under cgoheap: %s", termtext.Quote(f.Path),
				c.Text)
		case !c.Runnable:
			return nil, fmt.Errorf("%s cannot run under cgoheap: %s; %s", termtext.Quote(f.Path),
				c.Text, c.Remedy)
		case c.Name == "privileges" && c.Level == program.LevelFail:
			notes = append(notes, c.Text+"; "+c.Remedy)
		case !isPassive || len(notes) == 0:
			notes = append(notes, c.Text)
		}
	}
	return notes, nil
}

// launchers start programs without passing their environment on; and what to do about it.
var launchers = map[string]string{
	"docker":  inContainer,
	"podman":  inContainer,
	"nerdctl": inContainer,
	"kubectl": inContainer,
	"ssh": "what it starts runs on another machine: put cgoheap run after it (ssh host " +
		"cgoheap run -- ./service)",
	"systemd-run": "the service manager starts the program, without this environment: put " +
		"cgoheap run after it (systemd-run cgoheap run -- ./service)",
	"systemctl": "the service manager starts the program, without this environment: see " +
		"Environment=LD_PRELOAD in docs/deployment.md",
}

const inContainer = "a container does not inherit this environment: " +
	"mount the library in it and set LD_PRELOAD there, as docs/deployment.md shows"

// aboutLauncher says which of the programs that this one starts will be seen, if that is known.
func aboutLauncher(f *program.Facts, command []string) string {
	name := filepath.Base(command[0])
	switch {
	case launchers[name] != "":
		return launchers[name]
	case name == "go":
		return "cgoheap profiles the programs that it runs if they use cgo; to load the library " +
			"into test binaries alone: go test -exec 'cgoheap run --'"
	case name == "env" && dropsEnvironment(command[1:]):
		return "env -i removes the preload: put cgoheap run after it (env -i cgoheap run -- " +
			"./service)"
	case f.IsStatic() && f.IsGo():
		return "cgoheap profiles the programs that it starts if they use cgo"
	}
	return ""
}

func dropsEnvironment(args []string) bool {
	for _, arg := range args {
		switch {
		case arg == "-i" || arg == "-" || arg == "--ignore-environment":
			return true
		case !strings.HasPrefix(arg, "-") && !strings.Contains(arg, "="):
			return false
		}
	}
	return false
}

func explainExec(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s is not in a format that the kernel can run", termtext.Quote(path))
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%s cannot start: its loader or interpreter does not exist",
			termtext.Quote(path))
	}
	return fmt.Errorf("%s cannot start: %w", termtext.Quote(path), err)
}

// variables are the library's, each with what its flag says; "" where that was not given.
func (o *runOptions) variables() [][2]string {
	bytes := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(n, 10)
	}
	when := func(given bool, value string) string {
		if !given {
			return ""
		}
		return value
	}
	return [][2]string{
		{"CGOHEAP_START", o.start},
		{"CGOHEAP_SAMPLE_BYTES", bytes(o.sampleBytes)},
		{"CGOHEAP_SOCKET", o.socket},
		{"CGOHEAP_LISTEN", o.listen},
		{"CGOHEAP_MAX_MEMORY", bytes(o.maxMemory)},
		{"CGOHEAP_MAX_CPU", o.maxCPU},
		{"CGOHEAP_BLACKBOX", o.blackbox},
		{"CGOHEAP_ANY", when(o.any, "1")},
		{"CGOHEAP_FOLLOW_FORK", when(o.followFork, "1")},
		{"CGOHEAP_VERBOSE", when(o.verbose, "1")},
		{"CGOHEAP_LEAK_CHECK", when(o.leaks.on, "1")},
		{"CGOHEAP_REQUIRED", when(o.leaks.on, "1")},
	}
}

// environ is the environment of the program: ours first in LD_PRELOAD, what was there behind it.
func (o *runOptions) environ(base []string, library string) []string {
	var env, set []string
	isSet := map[string]bool{}
	for _, v := range o.variables() {
		if v[1] != "" {
			isSet[v[0]] = true
			set = append(set, v[0]+"="+v[1])
		}
	}
	preload := ""
	for _, entry := range base {
		key, value, _ := strings.Cut(entry, "=")
		switch {
		case key == "LD_PRELOAD" && preload == "":
			preload = value
		case key == "LD_PRELOAD", isSet[key], key == "CGOHEAP_LIBRARY":
		default:
			env = append(env, entry)
		}
	}
	others := attach.OtherPreloads(preload, attach.IsLibraryHere)
	env = append(env, "LD_PRELOAD="+strings.Join(append([]string{library}, others...), ":"))
	return append(env, set...)
}
