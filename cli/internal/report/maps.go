package report

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// The map of the address space: each mapping, whose it is, and who mapped it.

const (
	maxMappings = 2000
	maxFiles    = 64 << 10 // cost of all file names
	maxStacks   = 60
	maxMakers   = 3  // stacks at a mapping
	maxShown    = 12 // frames of a stack
	maxFrame    = 100
)

type mapData struct {
	Owners   []mapOwner `json:"owners"`
	Stacks   []madeBy   `json:"stacks"`
	Files    []string   `json:"files"`
	Mappings []*mapping `json:"mappings"`
	fileAt   map[string]int
	fileRoom int
	notes    []string // sentences
	ownerAt  map[string]int
	stackAt  map[string]int
	makers   map[string][]maker
}

type mapOwner struct {
	Name  string `json:"name"`
	Label string `json:"label"`
}

type madeBy struct {
	What   string   `json:"what"`
	Frames []string `json:"frames"` // leaf first
}

// mapping is a line of maps.  Addresses do not fit into a number of JavaScript.
type mapping struct {
	Low    uint32 `json:"low"`
	High   uint32 `json:"high"`
	Size   uint64 `json:"size"`
	Perms  string `json:"perms"`
	File   int    `json:"file"` // in Files; 0: none
	Owner  int    `json:"owner"`
	RSS    *int64 `json:"rss"` // nil: unknown
	Swap   int64  `json:"swap"`
	Stacks []int  `json:"stacks"`

	start, end uint64
	path       string
	owner      string
}

// maker is a stack that made memory of an owner.
type maker struct {
	bytes, mapped int64
	file          string
	frames        []string
}

// addressMap is nil without mappings.
func (in *Input) addressMap() *mapData {
	all := parseMaps(in.Maps)
	if len(all) == 0 {
		return nil
	}
	d := &mapData{ownerAt: map[string]int{}, stackAt: map[string]int{}, Owners: []mapOwner{},
		Stacks: []madeBy{}, makers: in.makers(), Files: []string{"", "(name left out)"},
		fileAt: map[string]int{"": 0}, fileRoom: maxFiles}
	classify(all, in.Executable)
	kept := all[:0:0]
	var reserved uint64
	reservations := 0
	for _, m := range all {
		if strings.HasPrefix(m.Perms, "---") && (m.RSS == nil || *m.RSS == 0) {
			reserved += m.Size
			reservations++
			continue
		}
		kept = append(kept, m)
	}
	if reservations > 0 {
		d.notes = append(d.notes, fmt.Sprintf("Not shown: %s without access, %s of address space "+
			"and no memory.", termtext.CountOf(reservations, "reservation", "reservations"),
			termtext.Bytes(int64(min(reserved, 1<<62)))))
	}
	if len(kept) > 0 && kept[0].RSS == nil {
		d.notes = append(d.notes, "What of each is resident is unknown: there is maps, not smaps.")
	}
	d.Mappings = d.largest(kept)
	for _, m := range d.Mappings {
		m.Owner, m.File = d.ownerIndex(m.owner), d.fileIndex(m.path)
		m.Stacks = d.stacksOf(m)
	}
	return d
}

// largest of them, in the order of their addresses.
func (d *mapData) largest(all []*mapping) []*mapping {
	if len(all) <= maxMappings {
		return all
	}
	bySize := slices.Clone(all)
	slices.SortFunc(bySize, func(a, b *mapping) int {
		return cmp.Or(cmp.Compare(account.Known(b.RSS), account.Known(a.RSS)),
			cmp.Compare(b.Size, a.Size))
	})
	d.notes = append(d.notes, fmt.Sprintf("The %d largest of %d mappings are shown.",
		maxMappings, len(all)))
	kept := bySize[:maxMappings]
	slices.SortFunc(kept, func(a, b *mapping) int { return cmp.Compare(a.start, b.start) })
	return kept
}

func (d *mapData) ownerIndex(name string) int {
	if at, ok := d.ownerAt[name]; ok {
		return at
	}
	d.ownerAt[name] = len(d.Owners)
	d.Owners = append(d.Owners, mapOwner{shown(name), ownerLabel(name)})
	return len(d.Owners) - 1
}

func (d *mapData) fileIndex(path string) int {
	at, ok := d.fileAt[path]
	if !ok {
		name := shown(path)
		if cost(name) > d.fileRoom {
			return 1
		}
		d.fileRoom -= cost(name)
		at = len(d.Files)
		d.fileAt[path] = at
		d.Files = append(d.Files, name)
	}
	return at
}

// stackIndex is -1 if there is no room.
func (d *mapData) stackIndex(what string, frames []string) int {
	s := madeBy{what, []string{}}
	for _, f := range frames[:min(len(frames), maxShown)] {
		s.Frames = append(s.Frames, termtext.CutEnd(shown(stacks.ReadableName(f)), maxFrame))
	}
	if len(frames) > maxShown {
		s.Frames = append(s.Frames, "...")
	}
	key := what + "\x00" + strings.Join(s.Frames, "\x00")
	if at, ok := d.stackAt[key]; ok {
		return at
	}
	if len(d.Stacks) == maxStacks {
		return -1
	}
	d.stackAt[key] = len(d.Stacks)
	d.Stacks = append(d.Stacks, s)
	return len(d.Stacks) - 1
}

// stacksOf: an account has sizes and files of mappings, not their addresses.  Where neither
// singles a stack out, the largest of the owner are shown as such.
func (d *mapData) stacksOf(m *mapping) []int {
	list := []int{}
	add := func(what string, fits func(maker) bool) {
		for _, s := range d.makers[m.owner] {
			if len(list) < maxMakers && len(s.frames) > 0 && fits(s) {
				if at := d.stackIndex(what, s.frames); at >= 0 && !slices.Contains(list, at) {
					list = append(list, at)
				}
			}
		}
	}
	add("Mapped by:", func(s maker) bool { return s.file != "" && s.file == m.path })
	if len(list) == 0 && m.path == "" {
		add("A mapping of this size was made by:", func(s maker) bool {
			return s.mapped == int64(m.Size)
		})
	}
	if len(list) == 0 && m.path == "" || m.owner == ownerAllocator {
		add("Largest of this owner:", func(s maker) bool { return s.file == "" })
	}
	return list
}

// makers are the stacks of the account, then those of the memory profile, by owner.
func (in *Input) makers() map[string][]maker {
	by := map[string][]maker{}
	if a := in.Account; a != nil {
		for _, s := range a.MmapTop {
			by[ownerAnonymous] = append(by[ownerAnonymous],
				maker{bytes: s.Bytes, mapped: s.Mapped, frames: s.Frames})
		}
		for _, s := range a.MappedTop {
			m := maker{bytes: s.Bytes, mapped: s.Mapped, frames: s.Frames}
			if s.File != nil {
				m.file = *s.File
			}
			by[s.Owner] = append(by[s.Owner], m)
		}
	}
	profiled := map[string][]maker{}
	if in.Profile != nil && valueOf(in.Profile) >= 0 {
		for _, s := range in.Profile.Sample {
			names := stacks.NamesOf(stacks.FramesOf(s))
			if n := len(names); n > 1 && strings.HasPrefix(names[n-1], "[") {
				owner := mapOwnerOf(strings.Trim(names[n-1], "[]"))
				profiled[owner] = append(profiled[owner],
					maker{bytes: s.Value[valueOf(in.Profile)], frames: names[:n-1]})
			}
		}
	}
	for owner, list := range profiled {
		slices.SortStableFunc(list, func(a, b maker) int { return cmp.Compare(b.bytes, a.bytes) })
		by[owner] = append(by[owner], list[:min(len(list), maxMakers)]...)
	}
	return by
}

// parseMaps reads maps or smaps; lines that are neither are left out.
func parseMaps(text []byte) []*mapping {
	var all []*mapping
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := parseMapping(line); m != nil {
			all = append(all, m)
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if len(all) == 0 || !ok || key != "Rss" && key != "Swap" {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 52)
		if err != nil || kib < 0 {
			continue
		}
		bytes := kib << 10
		if last := all[len(all)-1]; key == "Rss" {
			last.RSS = &bytes
		} else {
			last.Swap = bytes
		}
	}
	return all
}

func parseMapping(line string) *mapping {
	fields := strings.Fields(line)
	if len(fields) < 5 || len(fields[1]) != 4 {
		return nil
	}
	from, to, _ := strings.Cut(fields[0], "-")
	start, err := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err != nil || err2 != nil || end <= start {
		return nil
	}
	m := &mapping{Low: uint32(start), High: uint32(start >> 32), Size: end - start,
		Perms: shown(fields[1]), start: start, end: end}
	m.path = line
	for range 5 { // a path may have spaces
		m.path = strings.TrimLeft(m.path, " ")
		_, m.path, _ = strings.Cut(m.path, " ")
	}
	m.path = strings.TrimLeft(m.path, " ")
	return m
}
