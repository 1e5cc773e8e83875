package collect

import (
	"cmp"
	"fmt"
	"slices"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/termtext"
)

// The next commands: topics in the order of the memory that they are about, each with the
// commands for which the scene has the files.

type step struct {
	what, command string
	needs         []string // files
}

type topic struct {
	title  string
	bytes  int64 // that it is about
	first  bool  // before larger ones
	always bool  // however little it is about
	steps  []step
}

func diff(before, after string) string { return "cgoheap diff " + before + " " + after }

func pprof(flags, file string) string { return "go tool pprof " + flags + " " + file }

const (
	cgoProfile    = "cgoheap.pb.gz"
	memoryProfile = "memory.pb.gz"
	heapProfile   = "go/heap.pb.gz"
	liveProfile   = "go/heap-gc.pb.gz"
	allocsProfile = "go/allocs.pb.gz"
	routines      = "go/goroutine.pb.gz"
)

// Index and way of showing.
const (
	topBytes   = "-sample_index=inuse_space -top"
	topObjects = "-sample_index=inuse_objects -top"
	browser    = "-http=:"
	// All C memory is malloc's at the leaf: who asked for it is above.
	callersToo = " -cum"
)

func use(what, flags, file string) step {
	return step{what, pprof(flags, file), []string{file}}
}

// shownShare of the memory that all topics are about, below which one is left out.
const shownShare = 0.01

// topics of the scene, by their bytes; those about nothing are left out.
func (f *Facts) topics() []topic {
	topics := []topic{f.goTopic(), f.liveTopic(), f.retainedTopic(), f.mappedTopic(),
		f.goroutineTopic(), f.threadTopic(), f.fileTopic()}
	for i := range topics {
		topics[i].steps = slices.DeleteFunc(topics[i].steps, func(s step) bool {
			return slices.ContainsFunc(s.needs, func(p string) bool { return !f.manifest.Has(p) })
		})
	}
	var all int64
	for _, t := range topics {
		all += t.bytes
	}
	topics = slices.DeleteFunc(topics, func(t topic) bool {
		return len(t.steps) == 0 || t.bytes <= 0 ||
			!t.always && float64(t.bytes) < shownShare*float64(all)
	})
	slices.SortStableFunc(topics, func(a, b topic) int {
		if a.first != b.first {
			return map[bool]int{true: -1, false: 1}[a.first]
		}
		return cmp.Compare(b.bytes, a.bytes)
	})
	return topics
}

func (f *Facts) resident(owners ...string) int64 {
	if f.Account == nil {
		return 0
	}
	return f.Account.Resident(owners...)
}

func (f *Facts) goTopic() topic {
	bytes := f.goHeld()
	if f.Account != nil {
		bytes = goHeap(f.Account)
	}
	live := liveProfile
	if !f.manifest.Has(live) {
		live = heapProfile
	}
	return topic{title: "Go's heap", bytes: bytes, always: true, steps: []step{
		use("Who holds it, by bytes", topBytes, live),
		use("Who holds it, by objects", topObjects, live),
		{"What a collection freed: garbage, that a lower GOGC collects sooner",
			pprof(topBytes+" -diff_base="+liveProfile, heapProfile),
			[]string{liveProfile, heapProfile}},
		use("Who allocates, by bytes: the garbage collector's work",
			"-sample_index=alloc_space -top", allocsProfile),
		use("Who allocates, by objects", "-sample_index=alloc_objects -top", allocsProfile),
		use("As a flame graph", browser, live),
	}}
}

func (f *Facts) liveTopic() topic {
	return topic{title: "C memory in use", bytes: f.resident(account.CLive), steps: []step{
		use("Who holds it, by bytes", topBytes+callersToo, cgoProfile),
		use("Who holds it, by objects", topObjects+callersToo, cgoProfile),
		use("Whole stacks, from C to the goroutine's root", "-sample_index=inuse_space -traces",
			cgoProfile),
		use("By tenant, endpoint or any other label", "-tags", cgoProfile),
		{"Together with Go's heap", pprof(browser, heapProfile+" "+cgoProfile),
			[]string{heapProfile, cgoProfile}},
		f.ask("Only old blocks, while it runs: a leak is old", "profile %d --older 10m"),
	}}
}

// ask is a command about the running process.
func (f *Facts) ask(what, format string) step {
	if f.manifest.PID == nil {
		return step{needs: []string{"-"}}
	}
	return step{what, fmt.Sprintf("cgoheap "+format, *f.manifest.PID), []string{"account.json"}}
}

func (f *Facts) retainedTopic() topic {
	return topic{title: "C memory that is free and kept", bytes: f.resident(account.CRetained),
		steps: []step{
			f.ask("Return what can be returned, and see how much that is", "trim %d"),
			use("Who allocated most so far: whose peaks it may be from",
				"-sample_index=alloc_space -top"+callersToo, cgoProfile),
		}}
}

func (f *Facts) mappedTopic() topic {
	bytes := f.resident(account.CMmap, account.CBrk, account.UntrackedMmap, account.DeviceMaps,
		account.FileCopies)
	return topic{title: "Memory mapped past malloc", bytes: bytes, steps: []step{
		use("Who mapped it", topBytes+callersToo+" -tagfocus=origin=mmap", cgoProfile),
		use("All of it, by owner", "-traces", memoryProfile),
	}}
}

func (f *Facts) goroutineTopic() topic {
	bytes := f.resident(account.GoStacks) + f.MemStats["Stack"]
	if f.Account != nil && f.Account.Owner(account.GoStacks).Bytes != nil {
		bytes = f.resident(account.GoStacks)
	}
	_, isCrowd := f.Goroutines.crowd()
	steps := []step{
		use("Where they are, by count", "-top", routines),
		use("Their stacks, by count", "-traces", routines),
		{"Each, with what it waits for and since when", "less go/goroutine.txt",
			[]string{"go/goroutine.txt"}},
	}
	return topic{title: "Goroutines", bytes: max(bytes, 1), first: isCrowd, always: true,
		steps: steps}
}

func (f *Facts) threadTopic() topic {
	return topic{title: "Thread stacks", bytes: f.resident(account.ThreadStacks), steps: []step{
		use("Whose threads", "-top -focus=thread_stacks", memoryProfile),
		use("What made Go start threads", "-top", "go/threadcreate.pb.gz"),
	}}
}

func (f *Facts) fileTopic() topic {
	bytes := f.resident(account.MappedFiles, account.SharedMemory)
	if f.Account == nil {
		bytes = f.Process["RssFile"] + f.Process["RssShmem"]
	}
	if f.CgroupMax != nil { // without a limit, page cache costs the process nothing
		bytes = max(bytes, f.pageCache())
	}
	return topic{title: "Files: mapped, and in the page cache", bytes: bytes, steps: []step{
		use("Which files are mapped", "-top -focus=mapped_files", memoryProfile),
		{"Page cache that the cgroup is charged (file, inactive_file)",
			"grep -E '^(file|inactive_file|active_file|shmem) ' cgroup/memory.stat",
			[]string{"cgroup/memory.stat"}},
		{"Resident bytes of each mapping", "grep -E '^[0-9a-f]+-|^Rss' proc/smaps | less",
			[]string{"proc/smaps"}},
	}}
}

// pageCache is what the cgroup is charged for files that the process does not map.
func (f *Facts) pageCache() int64 {
	if f.CgroupFile == nil {
		return 0
	}
	return max(0, *f.CgroupFile-f.Process["RssFile"]-f.Process["RssShmem"])
}

// general are commands of any scene, after the topics.
func (f *Facts) general() []step {
	steps := []step{
		use("The whole RSS by owner, as a flame graph", browser, memoryProfile),
		use("Where the processor's time goes", "-top", "go/cpu.pb.gz"),
	}
	for _, p := range []struct{ path, what string }{
		{"go/mutex.pb.gz", "Locks that are waited for"},
		{"go/block.pb.gz", "What goroutines wait for"},
	} {
		if isEmpty, isThere := f.empty[p.path]; isThere && !isEmpty {
			steps = append(steps, use(p.what, "-top", p.path))
		}
	}
	if f.manifest.Has("go/trace.out") {
		steps = append(steps, step{what: "The trace", command: "go tool trace go/trace.out"})
	}
	base := cgoProfile
	if !f.manifest.Has(base) {
		base = heapProfile
	}
	steps = append(steps, step{"What grew: collect again later, and compare",
		diff(base, "LATER/"+base), []string{base}})
	return slices.DeleteFunc(steps, func(s step) bool {
		return slices.ContainsFunc(s.needs, func(p string) bool { return !f.manifest.Has(p) })
	})
}

// goroutineLines say how many goroutines there are, and what they wait for.
func (f *Facts) goroutineLines() []string {
	g := f.Goroutines
	if g == nil {
		return nil
	}
	lines := []string{termtext.Count(g.count)}
	if g.long > 0 {
		lines[0] += fmt.Sprintf(", of which %s wait for %d minutes or more",
			termtext.Count(g.long), longWait)
	}
	if first, isCrowd := g.crowd(); isCrowd {
		lines[0] += fmt.Sprintf(". %s of them were started by %s: if they keep growing, they leak",
			termtext.Count(first.count), termtext.Escape(first.name))
	}
	lines[0] += "."
	for _, t := range g.states[:min(len(g.states), 6)] {
		lines = append(lines, t.line())
	}
	for i, t := range g.creators[:min(len(g.creators), 3)] {
		if i == 0 {
			lines = append(lines, "Started by")
		}
		lines = append(lines, t.line())
	}
	return lines
}

func (t tally) line() string {
	long := ""
	if t.long > 0 {
		long = fmt.Sprintf(", %s for %d minutes or more", termtext.Count(t.long), longWait)
	}
	return fmt.Sprintf("%10s  %s%s", termtext.Count(t.count), termtext.Escape(t.name), long)
}
