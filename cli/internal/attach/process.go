package attach

import (
	"bufio"
	"bytes"
	"cmp"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/termtext"
)

// LibraryName is the library's file name.
const LibraryName = "libcgoheap.so"

// Process is what /proc says of one process, from outside.
type Process struct {
	PID        int
	tgid       int
	kernelName string // as the kernel has it, at most 15 bytes
	State      byte   // R, S, T, Z ... as in ps
	uids       []int  // real, effective, saved, as seen from here
	gids       []int  // the effective one, and the others
	parent     int
	nsPID      int    // in its innermost PID namespace
	Started    string // clock ticks since boot: tells processes of one PID apart
	label      string // what program returned; kept for when the process has ended
}

func parsePID(arg string) (int, error) {
	pid, err := strconv.Atoi(arg)
	if err != nil || pid <= 0 || pid > 1<<30 {
		return 0, flags.Usagef("%s is not a process ID", termtext.Quote(arg))
	}
	return pid, nil
}

// ProcPath is a process's path below /proc.
func ProcPath(pid int, rest string) string {
	return fmt.Sprintf("/proc/%d/%s", pid, rest)
}

// OpenProcess reads what every user may read of every process.
func OpenProcess(pid int) (*Process, error) {
	p := &Process{PID: pid, nsPID: pid}
	text, err := os.ReadFile(ProcPath(pid, "status"))
	if err != nil {
		return nil, explainAbsent(pid, err)
	}
	p.readStatus(text)
	if p.tgid != 0 && p.tgid != pid {
		return nil, fmt.Errorf("%d is a thread of process %d: use the ID of the process",
			pid, p.tgid)
	}
	p.Started = StartTime(pid)
	return p, nil
}

// explainAbsent says why /proc has no such process.
func explainAbsent(pid int, err error) error {
	exists := unix.Kill(pid, 0)
	switch {
	case !hasProc():
		return errNoProc
	case exists == nil || errors.Is(exists, unix.EPERM) || errors.Is(err, fs.ErrPermission):
		return hiddenError{pid}
	}
	return fmt.Errorf("process %d does not exist (it may have ended); "+
		"cgoheap list shows the processes that have cgoheap loaded", pid)
}

// hiddenError is a process that /proc does not show to this user (hidepid).
type hiddenError struct{ pid int }

func (e hiddenError) Error() string {
	return fmt.Sprintf("process %d exists, but /proc hides it from this user (hidepid): %s", e.pid,
		hiddenRemedy())
}

func hiddenRemedy() string {
	if os.Geteuid() == 0 {
		return "this container or service lacks the capability CAP_SYS_PTRACE; " +
			"run cgoheap on the host, or in the process's own container"
	}
	return "run this as root, or as the process's user"
}

var errNoProc = errors.New("/proc is not that of this container: all that cgoheap knows of " +
	"processes comes from there; mount -t proc proc /proc, or run cgoheap on the host")

// hasProc says whether /proc shows this process.
func hasProc() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// EachField calls each for the lines of a file such as /proc/PID/status ("VmRSS:  123 kB") that
// have a value: the key, the value as it stands, and its words, of which there is at least one.
func EachField(text []byte, each func(key, value string, words []string)) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if words := strings.Fields(value); len(words) > 0 {
			each(key, value, words)
		}
	}
}

func (p *Process) readStatus(text []byte) {
	EachField(text, func(key, value string, fields []string) {
		switch key {
		case "Name":
			p.kernelName = strings.TrimSpace(value)
		case "State":
			p.State = fields[0][0]
		case "Tgid":
			p.tgid, _ = strconv.Atoi(fields[0])
		case "PPid":
			p.parent, _ = strconv.Atoi(fields[0])
		case "NSpid":
			p.nsPID, _ = strconv.Atoi(fields[len(fields)-1])
		case "Uid":
			p.uids = numbers(fields[:min(3, len(fields))])
		case "Gid":
			p.gids = append(p.gids, numbers(fields[min(1, len(fields)):min(2, len(fields))])...)
		case "Groups":
			p.gids = append(p.gids, numbers(fields)...)
		}
	})
}

func numbers(fields []string) (found []int) {
	for _, f := range fields {
		n, _ := strconv.Atoi(f)
		found = append(found, n)
	}
	return found
}

// StartTime is field 22 of stat; "" when the process is gone.
func StartTime(pid int) string {
	text, err := os.ReadFile(ProcPath(pid, "stat"))
	if err != nil {
		return ""
	}
	// The name in parentheses may hold spaces and parentheses itself.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// alive says whether the process still runs; another with the same ID does not count.
func (p *Process) alive() bool {
	now := &Process{}
	text, err := os.ReadFile(ProcPath(p.PID, "status"))
	if err != nil {
		return false
	}
	now.readStatus(text)
	return now.State != 'Z' && now.State != 'X' && StartTime(p.PID) == p.Started
}

// EffectiveUID as seen from here; -1: not known.
func (p *Process) EffectiveUID() int {
	if len(p.uids) < 2 {
		return -1
	}
	return p.uids[1]
}

// InnerPID is its ID in its innermost PID namespace, that of its container.
func (p *Process) InnerPID() int { return cmp.Or(p.nsPID, p.PID) }

// Executable is the path as the process sees it; "" where it may not be read.
func (p *Process) Executable() string {
	path, err := os.Readlink(ProcPath(p.PID, "exe"))
	if err != nil {
		return ""
	}
	return p.inRoot(strings.TrimSuffix(path, " (deleted)"))
}

// inRoot is what the process calls a path that the kernel gives us: that starts at our root
// directory, or at that of the process's mount namespace, of which a chroot is only a part.
func (p *Process) inRoot(path string) string { return cutRoot(p.rootDirectory(), path) }

func (p *Process) rootDirectory() string {
	root, _ := os.Readlink(ProcPath(p.PID, "root"))
	return root
}

func cutRoot(root, path string) string {
	if below, isIn := strings.CutPrefix(path, root+"/"); isIn && root != "" {
		return "/" + below
	}
	return path
}

// Program is the name to show, safe for a terminal.
func (p *Process) Program() string {
	if p.label == "" {
		p.label = termtext.Escape(p.kernelName)
		if exe := p.Executable(); exe != "" {
			p.label = termtext.Escape(filepath.Base(exe))
		}
	}
	return p.label
}

// Title names the process in a sentence.
func (p *Process) Title() string {
	return fmt.Sprintf("process %d (%s)", p.PID, p.Program())
}

// Environ is the environment that the process was started with.
func (p *Process) Environ() (map[string]string, error) {
	text, err := readGuarded(ProcPath(p.PID, "environ"))
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for _, entry := range strings.Split(string(text), "\x00") {
		if key, value, ok := strings.Cut(entry, "="); ok {
			if _, twice := env[key]; !twice { // getenv takes the first
				env[key] = value
			}
		}
	}
	return env, nil
}

// MappedFiles are the files mapped into the process, in address order, each once.
func (p *Process) MappedFiles() ([]string, error) {
	text, err := readGuarded(ProcPath(p.PID, "maps"))
	if err != nil {
		return nil, err
	}
	var files []string
	root, seen := p.rootDirectory(), map[string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		slash := strings.IndexByte(line, '/')
		if slash < 0 {
			continue
		}
		path := cutRoot(root, strings.TrimSuffix(line[slash:], " (deleted)"))
		if !seen[path] {
			seen[path] = true
			files = append(files, path)
		}
	}
	return files, nil
}

// Shims are the copies of libcgoheap.so that the process has mapped, usually one.
func (p *Process) Shims() ([]string, error) {
	files, err := p.MappedFiles()
	if err != nil {
		return nil, err
	}
	shims := filter(files, IsLibrary)
	if len(shims) == 0 && p.preloads() {
		shims = filter(files, p.IsLibrary)
	}
	return shims, nil
}

func filter(files []string, isOne func(string) bool) (found []string) {
	for _, f := range files {
		if isOne(f) {
			found = append(found, f)
		}
	}
	return found
}

// preloads says whether the loader was told to load something, which may be the library under
// another name: only then are files read for it.
func (p *Process) preloads() bool {
	env, err := p.Environ()
	if err == nil && env["LD_PRELOAD"] != "" {
		return true
	}
	file, err := p.OpenFile("/etc/ld.so.preload")
	if err == nil {
		file.Close()
	}
	return err == nil
}

// guardedPatience is for files of /proc that cannot be read while the kernel changes the
// process's mappings.  Forking a large process, or a page fault on a file system that does
// not answer, may take minutes.
var guardedPatience = 2 * time.Second

var errGuarded = errors.New("the kernel does not show its memory map at the moment " +
	"(it is forking, or waiting for a file system); try again")

// mostGuardedBytes is more than a program of 65,530 mappings has in smaps.  A process may say that
// its environment is all of its memory.
const mostGuardedBytes = 128 << 20

// readGuarded reads such a file.  One process that hangs must not hide all others.
func readGuarded(path string) ([]byte, error) {
	type answer struct {
		text []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		file, err := os.Open(path)
		if err != nil {
			done <- answer{nil, err}
			return
		}
		defer file.Close()
		text, err := io.ReadAll(io.LimitReader(file, mostGuardedBytes))
		done <- answer{text, err}
	}()
	patience := time.NewTimer(guardedPatience)
	defer patience.Stop()
	select {
	case a := <-done:
		return a.text, a.err
	case <-patience.C:
		return nil, errGuarded
	}
}

// Smaps is each mapping with what of it is resident, as the kernel writes it.
func (p *Process) Smaps() ([]byte, error) { return readGuarded(ProcPath(p.PID, "smaps")) }

// shimAddress is where libcgoheap.so is mapped, as text; "" where it is not.
func (p *Process) shimAddress() string {
	shims, _ := p.Shims()
	root := p.rootDirectory()
	text, err := readGuarded(ProcPath(p.PID, "maps"))
	if err != nil || len(shims) == 0 {
		return ""
	}
	for _, line := range strings.Split(string(text), "\n") {
		slash := strings.IndexByte(line, '/')
		if slash >= 0 && cutRoot(root, strings.TrimSuffix(line[slash:], " (deleted)")) == shims[0] {
			address, _, _ := strings.Cut(line, "-")
			return address
		}
	}
	return ""
}

// forkedFrom is the process that this one was forked from without an exec: the library has
// the same address in both, and each exec draws another.  0: none.
func (p *Process) forkedFrom() int {
	parent, err := OpenProcess(p.parent)
	if err != nil || p.shimAddress() == "" || parent.shimAddress() != p.shimAddress() {
		return 0
	}
	return parent.PID
}

// isGo says whether the executable is a Go program.
func (p *Process) isGo() bool {
	_, err := buildinfo.ReadFile(ProcPath(p.PID, "exe"))
	return err == nil
}

// RSSBytes is what the kernel counts as resident; -1 unknown.
func (p *Process) RSSBytes() int64 {
	text, err := os.ReadFile(ProcPath(p.PID, "statm"))
	if err != nil {
		return -1
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return -1
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return -1
	}
	return pages * int64(os.Getpagesize())
}

// ExplainAccess turns a failure to read /proc into what to do about it.
func (p *Process) ExplainAccess(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("process %d has ended", p.PID)
	case !errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s cannot be inspected: %w", p.Title(), err)
	case os.Geteuid() == 0:
		return fmt.Errorf("%s cannot be inspected from here: this container or service lacks "+
			"the capability CAP_SYS_PTRACE; "+
			"run cgoheap on the host, or in the process's own container", p.Title())
	case p.EffectiveUID() != os.Geteuid():
		return fmt.Errorf("%s belongs to user %s", p.Title(), p.ownerRemedy())
	}
	return fmt.Errorf("%s cannot be inspected, although it is yours "+
		"(its file has capabilities, or it changed its user): run this as root", p.Title())
}

// ownerRemedy continues "belongs to user".
func (p *Process) ownerRemedy() string {
	owner := userName(p.EffectiveUID())
	switch {
	case p.EffectiveUID() == 0:
		return owner + ": run this as root"
	case !sameNamespace(p.PID, "user"):
		return owner + "; " + p.userNamespaceRemedy()
	}
	return owner + ": run this as root or as " + owner
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return termtext.Escape(u.Username)
	}
	return strconv.Itoa(uid)
}
