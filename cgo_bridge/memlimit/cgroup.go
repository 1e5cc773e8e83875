package memlimit

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A bound is a limit on memory, and what of it is used and cannot be reclaimed.
type bound struct {
	name        string // for people
	cgroup      bool
	limit, used int64
}

// A hierarchy is where the memory cgroups of this process can be seen.
type hierarchy struct {
	root  string // before each path; "" but in tests
	v2    bool
	mount string // where it is mounted
	top   string // the cgroup that is mounted there
}

var errNoCgroup = errors.New("no memory cgroup is mounted")

// findHierarchy reads /proc/self/cgroup and /proc/self/mountinfo. Where version 1
// has the memory controller, version 2 does not have it.
func findHierarchy(root string) (h hierarchy, err error) {
	h.root = root
	if _, h.v2, err = ownCgroup(root); err != nil {
		return h, err
	}
	text, err := os.ReadFile(root + "/proc/self/mountinfo")
	if err != nil {
		return h, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) < 5 || len(r) < 3 {
			continue
		}
		if h.v2 && r[0] == "cgroup2" || !h.v2 && r[0] == "cgroup" && hasWord(r[2], "memory") {
			h.top, h.mount = unescape(l[3]), unescape(l[4])
			return h, nil
		}
	}
	return h, errNoCgroup
}

// ownCgroup is "path" of "hierarchy:controllers:path", in the hierarchy that has memory.
func ownCgroup(root string) (path string, v2 bool, err error) {
	text, err := os.ReadFile(root + "/proc/self/cgroup")
	if err != nil {
		return "", false, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		if hasWord(f[1], "memory") {
			return f[2], false, nil
		}
		if f[0] == "0" && f[1] == "" {
			path, v2 = f[2], true
		}
	}
	if path == "" {
		return "", false, errNoCgroup
	}
	return path, v2, nil
}

func hasWord(list, word string) bool {
	for _, w := range strings.Split(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// unescape: mountinfo writes a space as \040, and so on.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// directories are the process's cgroup and those above it, as far as they can be
// seen, from the lowest. Read again each time, because a process can be moved.
func (h hierarchy) directories() ([]string, error) {
	path, _, err := ownCgroup(h.root)
	if err != nil {
		return nil, err
	}
	// A container without its own cgroup namespace sees only a part, under the whole's name.
	if h.top != "/" {
		if below := strings.TrimPrefix(path, h.top); below != path &&
			(below == "" || below[0] == '/') {
			path = below
		} else {
			path = ""
		}
	}
	if strings.HasPrefix(path, "/..") { // outside of what a namespace shows
		path = ""
	}
	base := h.root + h.mount
	dir := filepath.Join(base, path)
	if _, err := os.Stat(dir); err != nil {
		dir = base
	}
	list := []string{dir}
	for dir != base {
		dir = filepath.Dir(dir)
		list = append(list, dir)
	}
	return list, nil
}

// bounds are the cgroups that have a limit. None is no error.
func (h hierarchy) bounds() (list []bound, err error) {
	if h.mount == "" {
		return nil, nil
	}
	dirs, err := h.directories()
	if err != nil {
		return nil, err
	}
	for i, dir := range dirs {
		if i > 0 && !h.v2 && !inherits(dir) {
			break
		}
		b := bound{cgroup: true, name: "cgroup " + filepath.Join("/",
			strings.TrimPrefix(dir, h.root+h.mount))}
		if b.limit, err = h.limit(dir); err != nil {
			return nil, err
		}
		if b.limit == math.MaxInt64 {
			continue
		}
		if b.used, err = h.used(dir); err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// inherits: version 1 had cgroups whose limit does not count for those below.
func inherits(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "memory.use_hierarchy"))
	return err != nil || strings.TrimSpace(string(text)) != "0"
}

// Version 1 says "none" by the largest number of pages there can be.
const noLimit = 1 << 62

// limit is MaxInt64 where there is none.
func (h hierarchy) limit(dir string) (int64, error) {
	names := []string{"memory.limit_in_bytes"}
	if h.v2 {
		names = []string{"memory.max", "memory.high"}
	}
	lowest := int64(math.MaxInt64)
	for _, name := range names {
		n, err := readNumber(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the topmost of version 2
		}
		if err != nil {
			return 0, err
		}
		if n < noLimit {
			lowest = min(lowest, n)
		}
	}
	return lowest, nil
}

func readNumber(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	word := strings.TrimSpace(string(text))
	if word == "max" {
		return math.MaxInt64, nil
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: %q is no number of bytes", path, word)
	}
	return n, nil
}

// used is what the cgroup and those below it have and the kernel cannot reclaim.
func (h hierarchy) used(dir string) (int64, error) {
	// version 1 also has those of the cgroup alone
	name, prefix := "memory.usage_in_bytes", "total_"
	if h.v2 {
		name, prefix = "memory.current", ""
	}
	all, err := readNumber(filepath.Join(dir, name))
	if err != nil {
		return 0, err
	}
	stat, err := readFields(filepath.Join(dir, "memory.stat"), 1, prefix+"active_file",
		prefix+"inactive_file")
	if err != nil {
		return 0, err
	}
	return max(0, all-stat), nil
}

// readFields sums the named lines of a file of names and figures.
func readFields(path string, unit int64, names ...string) (sum int64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	found := 0
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		for _, name := range names {
			if len(f) >= 2 && f[0] == name {
				n, err := strconv.ParseInt(f[1], 10, 64)
				if err != nil {
					return 0, fmt.Errorf("%s: %q is no number", path, line)
				}
				sum += n * unit
				found++
			}
		}
	}
	if found != len(names) {
		return 0, fmt.Errorf("%s has not all of %s", path, strings.Join(names, ", "))
	}
	return sum, nil
}

// processUsed is what of this process's memory has no file to go back to.
func processUsed(root string) (int64, error) {
	return readFields(root+"/proc/self/status", 1<<10, "RssAnon:", "RssShmem:")
}
