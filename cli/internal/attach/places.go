package attach

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cgoheap.example/cli/internal/termtext"
)

// Where a process's socket is.  The path means what it means to the process:
// its root directory, its user IDs, its process ID, all of which differ from
// ours when it runs in a container.

// socketNames is how many names of one process ID the library tries (NAMES in
// shim/serve/endpoint.c).
const socketNames = 32

// DefaultParents are the directories in which the library makes its own, in its order; runtime
// is XDG_RUNTIME_DIR.
func DefaultParents(runtime string) []string {
	dirs := []string{"/tmp", "/dev/shm"}
	if path.IsAbs(runtime) {
		dirs = append([]string{strings.TrimRight(runtime, "/")}, dirs...)
	}
	return dirs
}

// directoryName is the library's in such a directory.
func directoryName(uid int) string { return fmt.Sprintf("cgoheap-%d", uid) }

// OwnDirectory is this user's in the first of those places that can hold it: made if it is not
// there; "": there is none.
func OwnDirectory() string {
	for _, parent := range DefaultParents(os.Getenv("XDG_RUNTIME_DIR")) {
		dir := filepath.Join(parent, directoryName(os.Geteuid()))
		if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
			continue
		}
		if isOwnDirectory(dir) && unix.Access(dir, unix.W_OK) == nil {
			return dir
		}
	}
	return ""
}

// MakeTemporary makes a directory as os.MkdirTemp does, and in /dev/shm where /tmp cannot hold it.
func MakeTemporary(pattern string) (dir string, err error) {
	if os.Getenv("TMPDIR") != "" {
		return os.MkdirTemp("", pattern)
	}
	for _, parent := range DefaultParents("") {
		var failed error
		if dir, failed = os.MkdirTemp(parent, pattern); failed == nil {
			return dir, nil
		}
		err = cmp.Or(err, failed)
	}
	return "", err
}

// isOwnDirectory: in /tmp another user may have made it first, or put a link in its place.
func isOwnDirectory(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// socketPaths are the places to look, likeliest first, as the process names them.
func (p *Process) socketPaths(env map[string]string) []string {
	if given := env["CGOHEAP_SOCKET"]; given != "" {
		given = p.absolute(given)
		// The second is a forked child's (CGOHEAP_FOLLOW_FORK).
		return []string{given, fmt.Sprintf("%s.%d", given, p.nsPID)}
	}
	var paths, numbered []string
	for _, uid := range p.uidsInside() {
		// The library skips a runtime directory of another user, which sudo keeps.
		for _, parent := range DefaultParents(env["XDG_RUNTIME_DIR"]) {
			base := fmt.Sprintf("%s/%s/%d", parent, directoryName(uid), p.nsPID)
			paths = append(paths, base+".sock")
			for n := 2; n <= socketNames; n++ {
				numbered = append(numbered, fmt.Sprintf("%s-%d.sock", base, n))
			}
		}
	}
	return append(paths, numbered...)
}

// absolute completes a path by the directory that the process is in.
func (p *Process) absolute(name string) string {
	if path.IsAbs(name) {
		return name
	}
	cwd, err := os.Readlink(ProcPath(p.PID, "cwd"))
	if err != nil {
		return name
	}
	return path.Join(p.inRoot(cwd), name)
}

// MaxSocketBytes is the size of sun_path without its NUL.
const MaxSocketBytes = 107

// GivenPlace is the one of CGOHEAP_SOCKET, of which the library makes no directory.
func (p *Process) GivenPlace(given string) Place {
	place := Place{Dir: path.Dir(p.absolute(given))}
	above, err := p.OpenInRoot(place.Dir)
	if err != nil {
		place.Problem = "there is no " + termtext.QuoteShell(place.Dir)
		return place
	}
	defer unix.Close(above)
	var st unix.Stat_t
	switch {
	case unix.Fstat(above, &st) != nil:
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		place.Problem = termtext.QuoteShell(place.Dir) + " is not a directory"
	case !p.mayWrite(&st):
		place.Problem = p.mayNotWrite(place.Dir)
	default:
		place.Problem = fileSystemProblem(above, place.Dir)
	}
	return place
}

func (p *Process) mayNotWrite(dir string) string {
	return fmt.Sprintf("user %s may not write to %s", userName(p.EffectiveUID()),
		termtext.QuoteShell(dir))
}

// Place is a directory where the library would put its socket, and why it cannot; "": it can.
type Place struct {
	Dir       string // as the process names it
	Problem   string
	IsRefused bool // it is there, but it is not safe
}

// Places are the default ones, in the library's order, as a process with this environment finds
// them in its root directory.
func (p *Process) Places(env map[string]string) []Place {
	var places []Place
	for i, parent := range DefaultParents(env["XDG_RUNTIME_DIR"]) {
		isRuntime := i == 0 && parent != "/tmp"
		dir := parent + "/" + directoryName(p.uidInside(p.EffectiveUID()))
		place, isOwn := p.lookAt(parent, dir)
		if !isRuntime || isOwn {
			places = append(places, place)
		}
	}
	return places
}

// lookAt also says whether the process's user owns the directory above.
func (p *Process) lookAt(parent, dir string) (place Place, isOwn bool) {
	place.Dir = dir
	shown := termtext.QuoteShell(dir)
	above, err := p.OpenInRoot(parent)
	if err != nil {
		place.Problem = fmt.Sprintf("there is no %s", termtext.QuoteShell(parent))
		return place, false
	}
	defer unix.Close(above)
	var st, own unix.Stat_t
	if unix.Fstat(above, &st) != nil {
		return place, false
	}
	isOwn = int(st.Uid) == p.EffectiveUID()
	err = unix.Fstatat(above, path.Base(dir), &own, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err != nil:
		if !p.mayWrite(&st) {
			place.Problem = p.mayNotWrite(parent)
		}
	case own.Mode&unix.S_IFMT != unix.S_IFDIR:
		place.Problem = shown + " is not a directory (or a symbolic link to one); remove it"
	case int(own.Uid) != p.EffectiveUID():
		place.Problem = fmt.Sprintf("%s belongs to user %s, not to %s; remove it",
			shown, userName(int(own.Uid)), userName(p.EffectiveUID()))
	case own.Mode&0o022 != 0:
		place.Problem = fmt.Sprintf("%s can be written by others (mode %04o); chmod 700 it",
			shown, own.Mode&0o7777)
	}
	place.IsRefused = err == nil && place.Problem != ""
	if place.Problem == "" {
		place.Problem = fileSystemProblem(above, parent)
	}
	return place, isOwn
}

// mayWrite judges by mode and owner, as the kernel does for a user who is not root.
func (p *Process) mayWrite(st *unix.Stat_t) bool {
	const write, enter = 2, 1
	bits := st.Mode & 0o7
	switch {
	case p.uidInside(p.EffectiveUID()) == 0:
		return true
	case int(st.Uid) == p.EffectiveUID():
		bits = st.Mode >> 6 & 0o7
	case slices.Contains(p.gids, int(st.Gid)):
		bits = st.Mode >> 3 & 0o7
	}
	return bits&(write|enter) == write|enter
}

// fileSystemProblem is why no file can be made there, whatever the user may do.
func fileSystemProblem(dir int, shown string) string {
	var fs unix.Statfs_t
	switch {
	case unix.Fstatfs(dir, &fs) != nil:
	case fs.Flags&unix.ST_RDONLY != 0:
		return termtext.QuoteShell(shown) + " is read-only"
	case fs.Files > 0 && fs.Ffree == 0:
		return termtext.QuoteShell(shown) + " is full"
	}
	return ""
}

// overflowUID is what a user is called in a user namespace that does not have it.
const overflowUID = 65534

// uidsInside are the user IDs that the process may have had when its shim bound
// the socket, in its own user namespace: the effective one now, then what it
// may have been before the program changed it.
func (p *Process) uidsInside() []int {
	var uids []int
	add := func(uid int) {
		for _, u := range uids {
			if u == uid {
				return
			}
		}
		uids = append(uids, uid)
	}
	for _, uid := range p.uidsOutside() {
		add(p.uidInside(uid))
	}
	add(0)
	return uids
}

// uidsOutside are the same as seen from here.
func (p *Process) uidsOutside() []int {
	if len(p.uids) < 3 {
		return nil
	}
	return []int{p.uids[1], p.uids[0], p.uids[2]}
}

// uidInside is what the process calls a user.
func (p *Process) uidInside(uid int) int {
	if sameNamespace(p.PID, "user") {
		return uid
	}
	table, err := os.ReadFile(ProcPath(p.PID, "uid_map"))
	if err != nil {
		return uid
	}
	return mapUID(string(table), uid)
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
	return overflowUID
}
