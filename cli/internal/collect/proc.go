package collect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"cgoheap.example/cli/internal/termtext"
)

// What the kernel says of the process, its cgroup and the host.

// Pages that are put together here.
const (
	zombiesPage = "zombies"
	kernelPage  = "kernel"
)

// readKernel writes a file of the kernel's, or a page of ours.
func (o *Options) readKernel(ctx context.Context, s source, w io.Writer) error {
	from := &interruptible{ctx: ctx, done: make(chan readDone, 1)}
	from.open = func() (io.Reader, error) { return os.Open(o.kernelPath(s)) }
	switch s.page {
	case zombiesPage:
		from.open = func() (io.Reader, error) { return bytes.NewReader(o.zombies()), nil }
	case kernelPage:
		from.open = func() (io.Reader, error) { return bytes.NewReader(o.kernel()), nil }
	}
	_, err := io.Copy(w, from)
	var disk *diskError
	switch {
	case err == nil || errors.As(err, &disk) || ctx.Err() != nil:
		return err
	case errors.Is(err, fs.ErrNotExist) && s.from == fromProc && o.hasEnded():
		return explainFile(syscall.ESRCH)
	}
	return explainFile(err)
}

// kernelPath is where a page of s is.
func (o *Options) kernelPath(s source) string {
	switch s.from {
	case fromProc:
		return filepath.Join(o.root(), "proc", strconv.Itoa(o.Process.PID), s.page)
	case fromCgroup:
		return s.page
	}
	return filepath.Join(o.root(), "proc", s.page)
}

// hasEnded says that the process has no entry in /proc any more.
func (o *Options) hasEnded() bool {
	_, err := os.Stat(filepath.Join(o.root(), "proc", strconv.Itoa(o.Process.PID)))
	return errors.Is(err, fs.ErrNotExist)
}

func (o *Options) root() string {
	if o.Root == "" {
		return "/"
	}
	return o.Root
}

func explainFile(err error) error {
	switch {
	case errors.Is(err, syscall.ESRCH):
		return final("the process has ended")
	case errors.Is(err, fs.ErrNotExist):
		return final("the kernel does not have this file")
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return final("permission denied: run this as root or as the process's user")
	}
	return final("%s", termtext.Escape(termtext.Reason(err)))
}

// interruptible ends a read that hangs: the kernel answers for some files only once it has the
// process's memory map to itself.
type interruptible struct {
	ctx  context.Context
	open func() (io.Reader, error)
	from io.Reader
	done chan readDone
}

type readDone struct {
	from  io.Reader
	bytes []byte
	err   error
}

func (r *interruptible) Read(b []byte) (int, error) {
	from := r.from
	go func() {
		var err error
		if from == nil {
			from, err = r.open()
		}
		own := make([]byte, len(b)) // a read that was given up may still end
		n := 0
		if err == nil {
			n, err = from.Read(own)
		}
		r.done <- readDone{from, own[:n], err}
	}()
	select {
	case d := <-r.done:
		r.from = d.from
		if c, ok := d.from.(io.Closer); ok && d.err != nil {
			c.Close()
		}
		return copy(b, d.bytes), d.err
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

// zombies are the processes that have ended and were not waited for, of those that are visible.
func (o *Options) zombies() []byte {
	var list bytes.Buffer
	names, _ := filepath.Glob(filepath.Join(o.root(), "proc", "[0-9]*", "stat"))
	found := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
		if err != nil || open < 0 || end < open {
			continue
		}
		fields := strings.Fields(string(text[end+1:]))
		if len(fields) > 1 && fields[0] == "Z" {
			found++
			fmt.Fprintf(&list, "pid %s parent %s %s\n", strings.TrimSpace(string(text[:open])),
				fields[1], termtext.Escape(string(text[open+1:end])))
		}
	}
	fmt.Fprintf(&list, "%d zombies among %d visible processes\n", found, len(names))
	return list.Bytes()
}

// kernelFiles are settings that decide what memory costs.
var kernelFiles = []string{
	"proc/version", "proc/sys/vm/overcommit_memory", "proc/sys/vm/overcommit_ratio",
	"proc/sys/vm/max_map_count", "proc/sys/vm/swappiness", "proc/sys/vm/min_free_kbytes",
	"sys/kernel/mm/transparent_hugepage/enabled", "sys/kernel/mm/transparent_hugepage/defrag",
	"sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none",
}

func (o *Options) kernel() []byte {
	var list bytes.Buffer
	for _, name := range kernelFiles {
		if text, err := os.ReadFile(filepath.Join(o.root(), name)); err == nil {
			fmt.Fprintf(&list, "/%s: %s\n", name, bytes.TrimSpace(text))
		}
	}
	return list.Bytes()
}

// cgroupFiles are those of version 2, then those of version 1, as far as there are any.
var cgroupFiles = []string{
	"memory.current", "memory.max", "memory.high", "memory.low", "memory.min", "memory.peak",
	"memory.stat", "memory.events", "memory.events.local", "memory.pressure",
	"memory.swap.current", "memory.swap.max", "memory.oom.group", "cgroup.procs", "cpu.max",
	"cpu.stat", "pids.current", "pids.max",
	"memory.usage_in_bytes", "memory.limit_in_bytes", "memory.max_usage_in_bytes",
	"memory.memsw.usage_in_bytes", "memory.memsw.limit_in_bytes", "memory.failcnt",
	"memory.oom_control", "memory.kmem.usage_in_bytes",
}

// cgroupSources are the files that the process's memory cgroup has.
func (o *Options) cgroupSources() []source {
	if o.Process == nil {
		return nil
	}
	missing := source{path: "cgroup/memory.stat", from: fromCgroup, kind: kindText,
		page: filepath.Join(o.root(), "sys/fs/cgroup/memory.stat")}
	dir := o.cgroupDir()
	var list []source
	for _, name := range cgroupFiles {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); dir != "" && err == nil && info.Mode().IsRegular() {
			list = append(list, source{path: "cgroup/" + name, from: fromCgroup, kind: kindText,
				page: path})
		}
	}
	if len(list) == 0 {
		return []source{missing}
	}
	return list
}

// cgroupDir is the directory of the process's memory cgroup as it is mounted here; "": none is.
func (o *Options) cgroupDir() string {
	groups, _ := os.ReadFile(filepath.Join(o.root(), "proc", strconv.Itoa(o.Process.PID), "cgroup"))
	mounts, _ := os.ReadFile(filepath.Join(o.root(), "proc/self/mountinfo"))
	for _, line := range strings.Split(string(groups), "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 {
			continue
		}
		controllers := strings.Split(fields[1], ",")
		isV2 := fields[0] == "0" && fields[1] == ""
		if !isV2 && !slices.Contains(controllers, "memory") {
			continue
		}
		root, point := cgroupMount(mounts, isV2)
		if point == "" {
			continue
		}
		// A container sees its own cgroup as the mount's root, whatever the path says.
		rest := strings.TrimPrefix(fields[2], strings.TrimSuffix(root, "/"))
		for _, dir := range []string{filepath.Join(point, filepath.Join("/", rest)), point} {
			dir = filepath.Join(o.root(), dir)
			for _, stat := range []string{"memory.stat", "memory.current"} {
				if _, err := os.Stat(filepath.Join(dir, stat)); err == nil {
					return dir
				}
			}
		}
	}
	return ""
}

// cgroupMount is which part of the hierarchy is mounted, and where.
func cgroupMount(mountinfo []byte, isV2 bool) (root, point string) {
	lines := bufio.NewScanner(bytes.NewReader(mountinfo))
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 {
			continue
		}
		isMemory := right[0] == "cgroup" && slices.Contains(strings.Split(right[2], ","), "memory")
		if isV2 && right[0] == "cgroup2" || !isV2 && isMemory {
			return left[3], left[4]
		}
	}
	return "", ""
}
