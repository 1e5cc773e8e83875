package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cgoheap.example/cli/internal/termtext"
)

// Where a process's socket is.  The path means what it means to the process:
// its root directory, its user IDs, its process ID, all of which differ from
// ours when it runs in a container.

// socketPaths are the places to look, likeliest first, as the process names them.
func (p *Process) socketPaths(env map[string]string) []string {
	if given := env["CGOHEAP_SOCKET"]; given != "" {
		if !path.IsAbs(given) {
			if cwd, err := os.Readlink(ProcPath(p.PID, "cwd")); err == nil {
				given = path.Join(cwd, given)
			}
		}
		// The second is a forked child's (CGOHEAP_FOLLOW_FORK).
		return []string{given, fmt.Sprintf("%s.%d", given, p.nsPID)}
	}
	// The library skips a runtime directory of another user, which sudo keeps.
	dirs := []string{"/tmp"}
	if runtime := env["XDG_RUNTIME_DIR"]; path.IsAbs(runtime) {
		dirs = []string{strings.TrimRight(runtime, "/"), "/tmp"}
	}
	var paths []string
	for _, uid := range p.uidsInside() {
		for _, dir := range dirs {
			paths = append(paths, fmt.Sprintf("%s/cgoheap-%d/%d.sock", dir, uid, p.nsPID))
		}
	}
	return paths
}

// uidsInside are the user IDs that the process may have had when its shim bound
// the socket, in its own user namespace: the effective one now, then what it
// may have been before the program changed it.
func (p *Process) uidsInside() []int {
	table, _ := os.ReadFile(ProcPath(p.PID, "uid_map"))
	if sameNamespace(p.PID, "user") {
		table = nil
	}
	var uids []int
	add := func(uid int) {
		for _, u := range uids {
			if u == uid {
				return
			}
		}
		uids = append(uids, uid)
	}
	if len(p.uids) == 3 {
		for _, uid := range []int{p.uids[1], p.uids[0], p.uids[2]} {
			add(mapUID(string(table), uid))
		}
	}
	add(0)
	return uids
}

func sameNamespace(pid int, kind string) bool {
	theirs, err1 := os.Readlink(ProcPath(pid, "ns/"+kind))
	ours, err2 := os.Readlink("/proc/self/ns/" + kind)
	return err1 != nil || err2 != nil || theirs == ours
}

// mapUID reads /proc/PID/uid_map: lines of (ID inside, ID outside, length).
func mapUID(table string, uid int) int {
	for _, line := range strings.Split(table, "\n") {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		inside, _ := strconv.Atoi(f[0])
		outside, _ := strconv.Atoi(f[1])
		length, _ := strconv.Atoi(f[2])
		if uid >= outside && uid-outside < length {
			return inside + uid - outside
		}
	}
	return uid
}

// OpenInRoot opens a path as the process would, without following a symbolic
// link out of its root: a container may not lead a root user's cgoheap to the
// host's files.  The descriptor is O_PATH: good for naming the file, no more.
func (p *Process) OpenInRoot(name string) (int, error) {
	root, err := unix.Open(ProcPath(p.PID, "root"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, strings.TrimLeft(name, "/"), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		// A kernel before 5.6, or a filter that does not know openat2.
		return unix.Openat(root, strings.TrimLeft(name, "/"), unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	return fd, err
}

// OpenFile opens a regular file as the process names it; a pipe would block us.
func (p *Process) OpenFile(name string) (*os.File, error) {
	fd, err := p.OpenInRoot(name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	reopened := fmt.Sprintf("/proc/self/fd/%d", fd)
	if !isFile(reopened) {
		return nil, syscall.EINVAL
	}
	return os.Open(reopened)
}

// connect dials the shim of the process.  A path through /proc/PID/root may be
// longer than the 108 bytes of a socket address; /proc/self/fd/N never is.
func (p *Process) connect() (int, error) {
	env, err := p.Environ()
	if err != nil {
		return -1, p.ExplainAccess(err)
	}
	paths := p.socketPaths(env)
	var first error
	for _, name := range paths {
		fd, err := p.connectTo(name)
		if err == nil {
			return fd, nil
		}
		// The likeliest place's error says most, unless only another place has a socket.
		if first == nil || errors.Is(first, fs.ErrNotExist) {
			first = err
		}
	}
	return -1, p.explainSocket(first, paths[0], env)
}

// queuePatience is for a process whose queue of connections is full.
const queuePatience = 3 * time.Second

// otherError says that another process answers on the socket.
type otherError struct{ pid int }

func (e otherError) Error() string { return fmt.Sprintf("process %d answers it", e.pid) }

func (p *Process) connectTo(name string) (int, error) {
	target, err := p.OpenInRoot(name)
	if err != nil {
		return -1, err
	}
	defer unix.Close(target)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	address := &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d", target)}
	err = unix.Connect(fd, address)
	deadline := time.Now().Add(queuePatience)
	for errors.Is(err, unix.EAGAIN) && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
		err = unix.Connect(fd, address)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	// The kernel says who listens; 0 is a process without an ID in this namespace.
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err == nil && int(peer.Pid) != p.PID {
		unix.Close(fd)
		return -1, otherError{int(peer.Pid)}
	}
	return fd, nil
}

// ExplainNoShim says why a process has no library loaded, and what to do.
func (p *Process) ExplainNoShim() error {
	switch p.State {
	case 'Z', 'X':
		return fmt.Errorf("process %d (%s) has ended", p.PID, p.Program())
	}
	exe := p.Executable()
	if exe == "" {
		return fmt.Errorf("%s is a kernel thread: it runs no program", p.Title())
	}
	return fmt.Errorf("%s does not have cgoheap loaded, "+
		"and it cannot be loaded into a running process: "+
		"restart it with cgoheap run -- %s", p.Title(), termtext.QuoteShell(exe))
}

// PassiveReason says why a loaded library did not start, and what to do; "": it should have.
func (p *Process) PassiveReason(env map[string]string) (reason, remedy string) {
	if parent := p.forkedFrom(); parent != 0 {
		return fmt.Sprintf("it is a fork of process %d", parent), "profile that one"
	}
	if env["CGOHEAP_ANY"] != "1" && !p.isGo() {
		return "it is not a Go program", "start it with cgoheap run --any to profile it anyway"
	}
	return "", ""
}

func (p *Process) explainSocket(err error, name string, env map[string]string) error {
	shown := termtext.QuoteShell(name)
	var other otherError
	reason, remedy := p.PassiveReason(env)
	isAbsent := errors.Is(err, fs.ErrNotExist)
	cannotBe := isAbsent || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR)
	switch {
	case reason != "" && (isAbsent || errors.As(err, &other)):
		return fmt.Errorf("%s has cgoheap loaded but passive: %s; %s", p.Title(), reason, remedy)
	case cannotBe && p.directoryProblem(name, env) != "":
		return fmt.Errorf("%s has cgoheap loaded, but no socket: %s, "+
			"or set CGOHEAP_SOCKET to another path; then restart it",
			p.Title(), p.directoryProblem(name, env))
	case isAbsent:
		return fmt.Errorf("%s has cgoheap loaded, but its socket %s is not there: "+
			"the program's stderr says why if it could not be made; "+
			"set CGOHEAP_SOCKET to a path the program can write, and restart it", p.Title(), shown)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the socket of %s, %s, is accessible to its owner only; "+
			"the process belongs to user %s", p.Title(), shown, p.ownerRemedy())
	case errors.As(err, &other):
		return fmt.Errorf("%s has no socket: process %d listens at %s; "+
			"give each its own CGOHEAP_SOCKET, or set none", p.Title(), other.pid, shown)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: nothing listens on its socket %s, "+
			"which an earlier process left behind; restart the program", p.Title(), shown)
	case errors.Is(err, syscall.ENOTSOCK) || errors.Is(err, syscall.EPROTOTYPE):
		return fmt.Errorf("%s: %s is not a socket; remove it and restart the program",
			p.Title(), shown)
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("%s does not accept connections on %s%s",
			p.Title(), shown, p.stoppedHint())
	}
	return fmt.Errorf("%s cannot be reached at %s: %w", p.Title(), shown, err)
}

// directoryProblem is why the library does not put its socket there; "": it would.  It says
// the same on stderr.
func (p *Process) directoryProblem(name string, env map[string]string) string {
	if env["CGOHEAP_SOCKET"] != "" {
		return ""
	}
	// The fallback where the runtime directory belongs to another user.
	dirs := []string{path.Dir(name), fmt.Sprintf("/tmp/%s", path.Base(path.Dir(name)))}
	for _, dir := range dirs {
		var st unix.Stat_t
		const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
		root, err := unix.Open(ProcPath(p.PID, "root"), flags, 0)
		if err != nil {
			return ""
		}
		err = unix.Fstatat(root, strings.TrimLeft(dir, "/"), &st, unix.AT_SYMLINK_NOFOLLOW)
		unix.Close(root)
		shown := termtext.QuoteShell(dir)
		switch {
		case err != nil:
		case st.Mode&unix.S_IFMT != unix.S_IFDIR:
			return shown + " is not a directory (or a symbolic link to one); remove it"
		case int(st.Uid) != p.EffectiveUID():
			return fmt.Sprintf("%s belongs to user %s, not to %s; remove it",
				shown, userName(int(st.Uid)), userName(p.EffectiveUID()))
		case st.Mode&0o022 != 0:
			return fmt.Sprintf("%s can be written by others (mode %04o); chmod 700 it",
				shown, st.Mode&0o7777)
		}
	}
	return ""
}

// stoppedHint is for a process that accepts no connection or gives no answer.
func (p *Process) stoppedHint() string {
	now, err := OpenProcess(p.PID)
	if err == nil && (now.State == 'T' || now.State == 't') {
		return fmt.Sprintf(": it is stopped; continue it with kill -CONT %d", p.PID)
	}
	return "; it may be very busy: try again"
}
