package attach

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// OpenInRoot opens a path as the process would, without following a symbolic
// link out of its root: a container may not lead a root user's cgoheap to the
// host's files.  The descriptor is O_PATH: good for naming the file, no more.
func (p *Process) OpenInRoot(name string) (int, error) { return openBelow(p.PID, name) }

// openBelow opens a path in the root of a process.
func openBelow(pid int, name string) (int, error) {
	root, err := unix.Open(ProcPath(pid, "root"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	// "" names nothing, so "/" is "./".
	fd, err := unix.Openat2(root, "./"+strings.TrimLeft(name, "/"), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		// A kernel before 5.6, or a filter that does not know openat2.
		return walkBelow(root, name)
	}
	return fd, err
}

// mostLinks is the kernel's limit.
const mostLinks = 40

// walkBelow does what openat2 does, a name at a time: each link is read, and its target is walked
// from here.  ".." goes back on the descriptors that led here, never above root.
func walkBelow(root int, name string) (int, error) {
	const flags = unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
	var way []int // the directories below root
	defer func() {
		for _, fd := range way {
			unix.Close(fd)
		}
	}()
	at := func() int {
		if len(way) > 0 {
			return way[len(way)-1]
		}
		return root
	}
	left := strings.Split(name, "/")
	for links := 0; len(left) > 0; {
		part := left[0]
		left = left[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(way) > 0 {
				unix.Close(at())
				way = way[:len(way)-1]
			}
			continue
		}
		fd, err := unix.Openat(at(), part, flags, 0)
		if err != nil {
			return -1, err
		}
		target, isLink, err := readLink(fd)
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		if !isLink {
			way = append(way, fd)
			continue
		}
		unix.Close(fd)
		if links++; links > mostLinks {
			return -1, unix.ELOOP
		}
		if strings.HasPrefix(target, "/") {
			for _, fd := range way {
				unix.Close(fd)
			}
			way = nil
		}
		left = append(strings.Split(target, "/"), left...)
	}
	return unix.FcntlInt(uintptr(at()), unix.F_DUPFD_CLOEXEC, 0)
}

// readLink reads the link that fd is, if it is one.  Links of /proc that lead to what has no path
// have a text like any other, and are followed by it.
func readLink(fd int) (target string, isLink bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", false, err
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", true, err
	}
	return string(buf[:n]), true, nil
}

// mostFileBytes is larger than any program or library; a file with holes may have any size.
const mostFileBytes = 8 << 30

// OpenFile opens a regular file as the process names it; a pipe would block us.
func (p *Process) OpenFile(name string) (*os.File, error) {
	fd, err := p.OpenInRoot(name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	reopened := fmt.Sprintf("/proc/self/fd/%d", fd)
	if info, err := os.Stat(reopened); err != nil || !info.Mode().IsRegular() {
		return nil, syscall.EINVAL
	} else if info.Size() > mostFileBytes {
		return nil, syscall.EFBIG
	}
	return os.Open(reopened)
}

// SeesProc says whether the process has a /proc in its root; true if that is not known.
func (p *Process) SeesProc() bool {
	fd, err := p.OpenInRoot("/proc")
	if err != nil {
		return !errors.Is(err, unix.ENOENT)
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	return unix.Fstatfs(fd, &fs) != nil || fs.Type == unix.PROC_SUPER_MAGIC
}

// OpenMapped opens a file that the process has mapped; "": its program, whatever is there now.
func (p *Process) OpenMapped(name string) (*os.File, error) {
	if name == "" {
		return os.Open(ProcPath(p.PID, "exe"))
	}
	return p.OpenFile(name)
}
