package memlimit

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// tree writes files below a directory of its own.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const (
	mounts1 = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 TOP /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	mounts2 = "24 23 0:21 / /proc rw - proc proc rw\n30 23 0:27 TOP /sys/fs/cgroup\\040v2 " +
		"rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
	none1 = "9223372036854771712\n"
)

// stat1 also has what is of the cgroup alone, which does not count.
func stat1(active, inactive int) string {
	return fmt.Sprintf("cache 1\ninactive_file 1\nactive_file 2\ntotal_cache 999\n"+
		"total_shmem 77\ntotal_inactive_file %d\ntotal_active_file %d\n", inactive, active)
}

func stat2(active, inactive int) string {
	return fmt.Sprintf("anon 5\nfile 999\nshmem 77\ninactive_file %d\nactive_file %d\n"+
		"slab_reclaimable 3\n", inactive, active)
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []bound
	}{
		{"v1, nested", map[string]string{
			"proc/self/cgroup": "9:cpu,cpuacct:/x\n4:memory:/a/b\n" +
				"0::/u\n",
			"proc/self/mountinfo": strings.ReplaceAll(mounts1,
				"TOP", "/"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     none1,
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes":   "2000\n",
			"sys/fs/cgroup/memory/a/memory.usage_in_bytes":   "1500\n",
			"sys/fs/cgroup/memory/a/memory.stat":             stat1(300, 200),
			"sys/fs/cgroup/memory/a/memory.use_hierarchy":    "1\n",
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "1000\n",
			"sys/fs/cgroup/memory/a/b/memory.usage_in_bytes": "900\n",
			"sys/fs/cgroup/memory/a/b/memory.stat":           stat1(100, 50),
		}, []bound{{"cgroup /a/b", true, 1000, 750}, {"cgroup /a", true, 2000, 1000}}},
		{"v1, the parent's limit does not count", map[string]string{
			"proc/self/cgroup": "4:memory:/a/b\n",
			"proc/self/mountinfo": strings.ReplaceAll(mounts1,
				"TOP", "/"),
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes":   "2000\n",
			"sys/fs/cgroup/memory/a/memory.use_hierarchy":    "0\n",
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": none1,
		}, nil},
		{"v1, a container that sees its own part", map[string]string{
			"proc/self/cgroup": "4:memory:/docker/1234\n",
			"proc/self/mountinfo": strings.ReplaceAll(mounts1, "TOP",
				"/docker/1234"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes": "900\n",
			"sys/fs/cgroup/memory/memory.stat":           stat1(0, 0),
		}, []bound{{"cgroup /", true, 1000, 900}}},
		{"v2, nested, max and high", map[string]string{
			"proc/self/cgroup": "0::/a.slice/b.service\n",
			"proc/self/mountinfo": strings.ReplaceAll(mounts2,
				"TOP", "/"),
			"sys/fs/cgroup v2/a.slice/memory.max":               "max\n",
			"sys/fs/cgroup v2/a.slice/memory.high":              "3000\n",
			"sys/fs/cgroup v2/a.slice/memory.current":           "2500\n",
			"sys/fs/cgroup v2/a.slice/memory.stat":              stat2(1000, 500),
			"sys/fs/cgroup v2/a.slice/b.service/memory.max":     "2000\n",
			"sys/fs/cgroup v2/a.slice/b.service/memory.high":    "max\n",
			"sys/fs/cgroup v2/a.slice/b.service/memory.current": "1900\n",
			"sys/fs/cgroup v2/a.slice/b.service/memory.stat":    stat2(100, 100),
		},
			[]bound{{"cgroup /a.slice/b.service", true, 2000, 1700}, {"cgroup /a.slice", true, 3000,
				1000}}},
		{"v2, outside of the namespace", map[string]string{
			"proc/self/cgroup":                "0::/../other\n",
			"proc/self/mountinfo":             strings.ReplaceAll(mounts2, "TOP", "/"),
			"sys/fs/cgroup v2/memory.max":     "2000\n",
			"sys/fs/cgroup v2/memory.current": "100\n",
			// more than all: read at another moment
			"sys/fs/cgroup v2/memory.stat": stat2(500, 500),
		}, []bound{{"cgroup /", true, 2000, 0}}},
		{"no limit", map[string]string{
			"proc/self/cgroup":               "0::/a\n",
			"proc/self/mountinfo":            strings.ReplaceAll(mounts2, "TOP", "/"),
			"sys/fs/cgroup v2/a/memory.max":  "max\n",
			"sys/fs/cgroup v2/a/memory.high": "max\n",
		}, nil},
	} {
		h, err := findHierarchy(tree(t, c.files))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := h.bounds()
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v (%v), want %+v", c.name, got, err, c.want)
		}
	}
}

func TestBoundsThatCannotBeRead(t *testing.T) {
	files := map[string]string{
		"proc/self/cgroup":                "0::/\n",
		"proc/self/mountinfo":             strings.ReplaceAll(mounts2, "TOP", "/"),
		"sys/fs/cgroup v2/memory.max":     "2000\n",
		"sys/fs/cgroup v2/memory.current": "100\n",
		"sys/fs/cgroup v2/memory.stat":    stat2(1, 1),
	}
	for name, text := range map[string]string{"memory.max": "many\n", "memory.current": "",
		"memory.stat": "active_file 1\n"} {
		bad := map[string]string{}
		for k, v := range files {
			bad[k] = v
		}
		bad["sys/fs/cgroup v2/"+name] = text
		h, err := findHierarchy(tree(t, bad))
		if err != nil {
			t.Fatal(err)
		}
		if list, err := h.bounds(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v %v", name, list, err)
		}
	}
	if _, err := findHierarchy(tree(t, map[string]string{"proc/self/cgroup": "4:memory:/\n",
		"proc/self/mountinfo": mounts2})); err != errNoCgroup {
		t.Error(err)
	}
}

func TestProcessUsed(t *testing.T) {
	root := tree(t, map[string]string{"proc/self/status": "VmRSS:\t 999 kB\nRssAnon:\t     100 " +
		"kB\nRssFile:\t  50 kB\nRssShmem:\t       20 kB\n"})
	if n, err := processUsed(root); n != 120<<10 || err != nil {
		t.Error(n, err)
	}
	s := &system{limit: 1 << 20, cgroups: hierarchy{root: root}}
	if list, err := s.bounds(); err != nil || len(list) != 1 ||
		list[0] != (bound{"Options.Limit", false, 1 << 20, 120 << 10}) {
		t.Error(list, err)
	}
}
