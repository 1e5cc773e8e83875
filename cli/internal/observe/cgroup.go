package observe

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cgoheap.example/cli/internal/series"
)

// cgroup is the memory cgroup of a process, and those above it, innermost first.
type cgroup struct {
	dirs []string // "": none was found
	v2   bool
}

// findCgroup looks below the hierarchies that are mounted here.
func findCgroup(membership, mountinfo string) *cgroup {
	for _, v2 := range []bool{false, true} { // a v2 hierarchy beside v1 has no memory
		path := membershipPath(membership, v2)
		mount, root := memoryMount(mountinfo, v2)
		if path == "" || mount == "" {
			continue
		}
		below, inside := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
		if !inside || below != "" && below[0] != '/' || strings.Contains(below, "/..") {
			continue // it is outside of what is mounted here
		}
		g := &cgroup{v2: v2}
		for dir := filepath.Join(mount, below); ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, g.usageName())); err == nil {
				g.dirs = append(g.dirs, dir)
			}
			if dir == mount || len(dir) <= len(mount) {
				break
			}
		}
		if len(g.dirs) > 0 {
			return g
		}
	}
	return nil
}

// membershipPath is from /proc/PID/cgroup: "4:memory:/a", or "0::/a".
func membershipPath(text string, v2 bool) string {
	for _, line := range strings.Split(text, "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) < 3 {
			continue
		}
		if v2 && fields[0] == "0" && fields[1] == "" || !v2 && hasWord(fields[1], "memory") {
			return fields[2]
		}
	}
	return ""
}

// memoryMount is where the hierarchy is mounted, and which of its directories is.
func memoryMount(mountinfo string, v2 bool) (mount, root string) {
	for _, line := range strings.Split(mountinfo, "\n") {
		place, kind, ok := strings.Cut(line, " - ")
		from, what := strings.Fields(place), strings.Fields(kind)
		if !ok || len(from) < 5 || len(what) < 3 {
			continue
		}
		if v2 && what[0] == "cgroup2" ||
			!v2 && what[0] == "cgroup" && hasWord(what[2], "memory") {
			return unescape(from[4]), unescape(from[3])
		}
	}
	return "", ""
}

func hasWord(list, word string) bool {
	for _, w := range strings.Split(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// unescape: mountinfo writes a space as \040.
func unescape(path string) string {
	for _, c := range []string{" ", "\t", "\n", `\`} {
		path = strings.ReplaceAll(path, `\0`+strconv.FormatInt(int64(c[0]), 8), c)
		path = strings.ReplaceAll(path, `\`+strconv.FormatInt(int64(c[0]), 8), c)
	}
	return path
}

func (g *cgroup) usageName() string {
	if g.v2 {
		return "memory.current"
	}
	return "memory.usage_in_bytes"
}

func (g *cgroup) limitName() string {
	if g.v2 {
		return "memory.max"
	}
	return "memory.limit_in_bytes"
}

// read adds the lowest limit, and the usage of the cgroup that has it: what else is in there
// counts too when the limit is reached.
func (g *cgroup) read(r *series.Row) {
	limited, limit := g.dirs[0], math.Inf(1)
	for _, dir := range g.dirs {
		if n, ok := readNumber(filepath.Join(dir, g.limitName())); ok && n < limit {
			limited, limit = dir, n
		}
	}
	if usage, ok := readNumber(filepath.Join(limited, g.usageName())); ok {
		r.Set(series.CgroupUsage, usage)
	}
	r.Set(series.CgroupLimit, limit) // infinite: there is none
	text, err := os.ReadFile(filepath.Join(g.dirs[0], "memory.pressure"))
	if err != nil {
		return // v1, or a kernel that does not count it
	}
	for kind, name := range map[string]string{
		"some": series.CgroupPressureSome, "full": series.CgroupPressureFull,
	} {
		if v, ok := pressure(string(text), kind); ok {
			r.Set(name, v)
		}
	}
}

// noLimit: v1 writes a number near 2^63 for none, v2 the word max.
const noLimit = 1 << 62

func readNumber(path string) (float64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return float64(n), err == nil && n < noLimit
}

// pressure is avg10 of a line such as "some avg10=0.12 avg60=...".
func pressure(text, kind string) (float64, bool) {
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != kind {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimPrefix(fields[1], "avg10="), 64)
		return v, err == nil
	}
	return 0, false
}
