package collect

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/holders"
)

// Facts are the figures of a scene, from its files.  What is missing is nil.
type Facts struct {
	manifest *Manifest
	dir      string

	Account    *account.Account
	body       bool // the account is the library's, not put together from a profile
	Status     *attach.Status
	MemStats   map[string]int64 // of go/memstats.txt
	Process    map[string]int64 // bytes of proc/status, by the kernel's names
	Goroutines *goroutines
	CgroupNow  *int64
	CgroupMax  *int64
	CgroupFile *int64
	empty      map[string]bool // profiles without a sample
	live       map[string]*int64
}

// ReadFacts reads the files of a scene; those that are missing or damaged are left out.
func ReadFacts(dir string, m *Manifest) *Facts {
	f := &Facts{manifest: m, dir: dir, empty: map[string]bool{}, live: map[string]*int64{}}
	f.readAccount()
	s := &attach.Status{}
	if f.readJSON("status.json", s) {
		f.Status = s
	}
	f.readMemStats()
	if text := f.text("proc/status"); text != nil {
		f.Process = readSizes(text)
	}
	if m.Has("go/goroutine.txt") {
		f.Goroutines = readGoroutines(filepath.Join(dir, "go/goroutine.txt"))
	}
	f.fillGo()
	f.readCgroup()
	f.readProfiles()
	return f
}

// text of a file; nil: the scene has none.
func (f *Facts) text(path string) []byte {
	if !f.manifest.Has(path) {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(f.dir, path))
	if err != nil {
		return nil
	}
	return text
}

func (f *Facts) readJSON(path string, into any) bool {
	text := f.text(path)
	return text != nil && json.Unmarshal(text, into) == nil
}

// readAccount takes the library's, else the owners of the memory profile.
func (f *Facts) readAccount() {
	a := &account.Account{}
	if f.readJSON("account.json", a) && a.RSS > 0 {
		f.Account, f.body = a, true
		return
	}
	if a := f.accountOfProfile(); a != nil {
		f.Account = a
	}
}

// accountOfProfile sums the memory profile by its root frames: "[c_live]" is an owner.
func (f *Facts) accountOfProfile() *account.Account {
	text := f.text("memory.pb.gz")
	if text == nil {
		return nil
	}
	p, err := attach.ParseProfile(text)
	if err != nil {
		return nil
	}
	at := holders.SampleTypeIndex(p, "memory_space")
	if at < 0 {
		return nil
	}
	sums := map[string]int64{}
	a := &account.Account{}
	for _, s := range p.Sample {
		a.RSS += s.Value[at]
		if n := len(s.Location); n > 0 && len(s.Location[n-1].Line) > 0 {
			root := s.Location[n-1].Line[0].Function
			if root != nil {
				sums[strings.Trim(root.Name, "[]")] += s.Value[at]
			}
		}
	}
	for name, bytes := range sums {
		if name == "unexplained" {
			a.Unexplained = bytes
			continue
		}
		owner := account.Owner{Name: name, Bytes: &bytes, Exact: true}
		a.Owners = append(a.Owners, owner)
	}
	sortOwners(a.Owners)
	if a.RSS <= 0 {
		return nil
	}
	return a
}

// readSizes reads lines such as "VmRSS:  123 kB", and plain numbers.
func readSizes(text []byte) map[string]int64 {
	sizes := map[string]int64{}
	attach.EachField(text, func(key, _ string, fields []string) {
		n, err := strconv.ParseInt(fields[0], 10, 64)
		switch {
		case err != nil || n < 0 || n > 1<<50:
		case len(fields) == 2 && fields[1] == "kB":
			sizes[key] = n << 10
		case len(fields) == 1:
			sizes[key] = n
		}
	})
	return sizes
}

// readMemStats takes those that are numbers, the first where there are two.
func (f *Facts) readMemStats() {
	lines, isThere := attach.MemStats(f.text("go/memstats.txt"))
	if !isThere {
		return
	}
	f.MemStats = map[string]int64{}
	for name, value := range lines {
		first, _, _ := strings.Cut(value, " ")
		if n, err := strconv.ParseInt(first, 10, 64); err == nil && n >= 0 {
			f.MemStats[name] = n
		}
	}
}

// fillGo adds what Go says to what the library cannot know, unless that is another process's.
func (f *Facts) fillGo() {
	if f.Account == nil || f.MemStats == nil || f.otherProcess() != "" {
		return
	}
	if split, err := attach.ParseMemStats(f.text("go/memstats.txt")); err == nil {
		_ = f.Account.FillGo(split, "") // it fits: otherProcess says so
	}
}

// readCgroup takes the account's figures, which know limits above, else the files.
func (f *Facts) readCgroup() {
	if a := f.Account; a != nil && a.Cgroup.Current != nil {
		f.CgroupNow, f.CgroupMax, f.CgroupFile = a.Cgroup.Current, a.Cgroup.Limit, a.Cgroup.File
		return
	}
	f.CgroupNow = cmp.Or(f.number("cgroup/memory.current"),
		f.number("cgroup/memory.usage_in_bytes"))
	f.CgroupMax = cmp.Or(f.number("cgroup/memory.max"), f.number("cgroup/memory.limit_in_bytes"))
	if f.CgroupMax != nil && *f.CgroupMax > 1<<60 { // version 1 has no word for none
		f.CgroupMax = nil
	}
	for _, line := range strings.Split(string(f.text("cgroup/memory.stat")), "\n") {
		key, value, _ := strings.Cut(line, " ")
		if key == "file" || key == "total_cache" || key == "cache" && f.CgroupFile == nil {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				f.CgroupFile = &n
			}
		}
	}
}

func (f *Facts) number(path string) *int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(string(f.text(path))), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// readProfiles notes which are empty, and what is in use by those of heaps.
func (f *Facts) readProfiles() {
	for _, file := range f.manifest.Files {
		if file.Kind != kindProfile || file.Path == "memory.pb.gz" ||
			file.Path == AgesFile {
			continue
		}
		text := f.text(file.Path)
		if text == nil {
			continue
		}
		p, err := attach.ParseProfile(text)
		if err != nil {
			continue
		}
		f.empty[file.Path] = len(p.Sample) == 0
		if at := holders.SampleTypeIndex(p, "inuse_space"); at >= 0 {
			var sum int64
			for _, s := range p.Sample {
				sum += s.Value[at]
			}
			f.live[file.Path] = &sum
		}
	}
}
