package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cgoheap.example/cli/internal/termtext"
)

// connect dials the shim of the process: at its socket, else at CGOHEAP_LISTEN.
func (p *Process) connect() (int, error) {
	env, err := p.Environ()
	if err != nil {
		return -1, p.ExplainAccess(err)
	}
	paths := p.socketPaths(env)
	fd, err := p.connectUnix(paths, env)
	listen := env["CGOHEAP_LISTEN"]
	if err == nil || listen == "" {
		return fd, p.explainConnect(err, paths[0], env)
	}
	fd, notTCP := p.connectTCP(listen)
	if notTCP == nil {
		return fd, nil
	}
	err = p.explainConnect(err, paths[0], env)
	if errors.Is(notTCP, errNoListener) {
		return -1, err
	}
	return -1, fmt.Errorf("%w%s", err, p.explainTCP(notTCP, listen))
}

// connectUnix tries each place.
func (p *Process) connectUnix(paths []string, env map[string]string) (int, error) {
	var first error
	for _, root := range p.roots(env) {
		for _, name := range paths {
			fd, err := p.connectTo(root, name)
			if err == nil {
				return fd, nil
			}
			// The likeliest place's error says most, unless only another place has a socket.
			if first == nil || errors.Is(first, fs.ErrNotExist) {
				first = err
			}
		}
	}
	return -1, first
}

// roots are the processes whose root directory to look in.  A program that changed its root since
// it started (chroot) left its socket in the one it came from: its parent's, or ours.
func (p *Process) roots(env map[string]string) []int {
	roots := []int{p.PID}
	if env["CGOHEAP_SOCKET"] != "" {
		return roots
	}
	for _, pid := range []int{p.parent, os.Getpid()} {
		if !slices.ContainsFunc(roots, func(other int) bool {
			return sameFile(ProcPath(pid, "root"), ProcPath(other, "root"))
		}) {
			roots = append(roots, pid)
		}
	}
	return roots
}

func sameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}

// queuePatience is for a process whose queue of connections is full.
const queuePatience = 3 * time.Second

// otherError says that another process answers on the socket.
type otherError struct{ pid int }

func (e otherError) Error() string { return e.who() + " answers it" }

func (e otherError) who() string {
	if e.pid == 0 {
		return "a process that has no ID here (of another container)"
	}
	return fmt.Sprintf("process %d", e.pid)
}

// connectTo connects to a socket in the root of a process.  A path through /proc/PID/root may be
// longer than the 108 bytes of a socket address; /proc/self/fd/N never is.
func (p *Process) connectTo(root int, name string) (int, error) {
	target, err := openBelow(root, name)
	if err != nil {
		return -1, err
	}
	defer unix.Close(target)
	var st unix.Stat_t
	if err := unix.Fstat(target, &st); err != nil {
		return -1, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return -1, unix.ENOTSOCK
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	connect := func() error { return connectPatiently(fd, fmt.Sprintf("/proc/self/fd/%d", target)) }
	if err := p.asItsUser(connect); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, p.checkPeer(fd)
}

func connectPatiently(fd int, path string) error {
	address := &unix.SockaddrUnix{Name: path}
	err := unix.Connect(fd, address)
	deadline := time.Now().Add(queuePatience)
	for errors.Is(err, unix.EAGAIN) && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
		err = unix.Connect(fd, address)
	}
	return err
}

// asItsUser calls connect so that the process knows us.  The library answers its own user and root.
// In another user namespace, root is not this root, which may have no name there at all.
func (p *Process) asItsUser(connect func() error) error {
	uid := p.EffectiveUID()
	if uid < 0 || uid == os.Geteuid() || sameNamespace(p.PID, "user") {
		return connect()
	}
	become := func() error {
		if err := becomeUser(uid); err != nil {
			return errNotItsUser
		}
		return nil
	}
	err := onThread(become, connect)
	if errors.Is(err, errNotItsUser) {
		return connect() // what the library says then is explained (refusal)
	}
	return err
}

var errNotItsUser = errors.New("this user may not act as that of the process")

// checkPeer closes a connection that is not to the process.
func (p *Process) checkPeer(fd int) error {
	// The kernel says who listens; 0 is a process without an ID in this namespace.
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err == nil && int(peer.Pid) != p.PID {
		err = otherError{int(peer.Pid)}
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	return p.stillThere(fd)
}

// stillThere closes a connection made while the process ended: another one may have its ID now,
// and with that its root and its socket.
func (p *Process) stillThere(fd int) error {
	if StartTime(p.PID) == p.Started {
		return nil
	}
	unix.Close(fd)
	return EndedError{p}
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

// explainConnect is nil for nil.
func (p *Process) explainConnect(err error, name string, env map[string]string) error {
	if err == nil || errors.As(err, &EndedError{}) {
		return err
	}
	shown := termtext.QuoteShell(name)
	var other otherError
	reason, remedy := p.PassiveReason(env)
	isAbsent := errors.Is(err, fs.ErrNotExist)
	cannotBe := isAbsent || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR)
	switch {
	case reason != "" && (isAbsent || errors.As(err, &other)):
		return fmt.Errorf("%s has cgoheap loaded but passive: %s; %s", p.Title(), reason, remedy)
	case cannotBe && p.directoryProblem(env) != "":
		return fmt.Errorf("%s has cgoheap loaded, but no socket: %s, "+
			"or set CGOHEAP_SOCKET to another path; then restart it",
			p.Title(), p.directoryProblem(env))
	case isAbsent && p.noPlace(env) != "":
		return fmt.Errorf("%s has cgoheap loaded, but no place for its socket: %s; mount a "+
			"writable directory at /tmp, or set CGOHEAP_SOCKET to a path the program can write, "+
			"and restart it", p.Title(), p.noPlace(env))
	case isAbsent:
		return fmt.Errorf("%s has cgoheap loaded, but its socket %s is not there: "+
			"set CGOHEAP_SOCKET to a path the program can write, and restart it; with "+
			"CGOHEAP_VERBOSE=1 its stderr says why it could not be made", p.Title(), shown)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the socket of %s, %s, is accessible to its owner only; "+
			"the process belongs to user %s", p.Title(), shown, p.ownerRemedy())
	case errors.As(err, &other):
		return fmt.Errorf("%s has no socket: %s listens at %s; "+
			"give each its own CGOHEAP_SOCKET, or set none", p.Title(), other.who(), shown)
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

// directoryProblem is why the library does not put its socket into a directory that is there; "":
// it would.  It says the same on stderr.
func (p *Process) directoryProblem(env map[string]string) string {
	for _, place := range p.Places(env) {
		if place.Problem == "" {
			return "" // it would be there
		}
		if place.IsRefused {
			return place.Problem
		}
	}
	return ""
}

// userNamespaceRemedy is for a process whose user this one may not act as.
func (p *Process) userNamespaceRemedy() string {
	const where = "it is in another user namespace: "
	if os.Geteuid() == 0 {
		return fmt.Sprintf("%srun this with the capability CAP_SETUID, or nsenter -t %d --user "+
			"cgoheap ...", where, p.PID)
	}
	return fmt.Sprintf("%srun this as root, or nsenter -t %d --user --preserve-credentials "+
		"cgoheap ...", where, p.PID)
}

// noPlace is what is wrong with each of the default places; "": one of them is good now.
func (p *Process) noPlace(env map[string]string) string {
	if env["CGOHEAP_SOCKET"] != "" {
		return ""
	}
	var problems []string
	for _, place := range p.Places(env) {
		if place.Problem == "" {
			return ""
		}
		problems = append(problems, place.Problem)
	}
	return strings.Join(problems, ", and ")
}

// stoppedHint is for a process that accepts no connection or gives no answer.
func (p *Process) stoppedHint() string {
	now, err := OpenProcess(p.PID)
	if err == nil && (now.State == 'T' || now.State == 't') {
		return fmt.Sprintf(": it is stopped; continue it with kill -CONT %d", p.PID)
	}
	return "; it may be very busy: try again"
}
