package recorder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"

	"cgoheap/cli/internal/account"
	"cgoheap/cli/internal/binread"
	"cgoheap/cli/internal/document"
	"cgoheap/cli/internal/recordlayout"
	"cgoheap/cli/internal/stacks"
)

// The account in a recording, turned into an answer of /v1/account, so that it is shown and
// judged as in explain.

// accountJSON has the members of /v1/account, in its order.
type accountJSON struct {
	RSS         *uint64     `json:"rss_bytes"`
	Owners      []ownerJSON `json:"owners"`
	Unexplained *uint64     `json:"unexplained_bytes"`
	TookNS      *uint64     `json:"took_ns"`
	Time        time.Time   `json:"time"`
	Allocator   struct {
		Name        *string `json:"name"`
		InUse       *uint64 `json:"in_use_bytes"`
		Free        *uint64 `json:"free_bytes"`
		Mapped      *uint64 `json:"mapped_bytes"`
		System      *uint64 `json:"system_bytes"`
		Arenas      *uint64 `json:"arenas"`
		Nanoseconds *uint64 `json:"nanoseconds"`
	} `json:"allocator"`
	Estimate struct {
		Bytes       *uint64 `json:"bytes"`
		Error       *uint64 `json:"standard_error_bytes"`
		SampleBytes *uint64 `json:"sample_bytes"`
	} `json:"c_live_estimate"`
	ResidentRatio *json.Number `json:"c_blocks_resident_ratio"`
	Go            struct {
		Source      *string `json:"source"`
		InUse       *uint64 `json:"heap_in_use_bytes"`
		Free        *uint64 `json:"heap_free_bytes"`
		Released    *uint64 `json:"heap_released_bytes"`
		Stacks      *uint64 `json:"stacks_bytes"`
		MappedReady *uint64 `json:"mapped_ready_bytes"`
		TotalAlloc  *uint64 `json:"total_alloc_bytes"`
		runtimeJSON
	} `json:"go"`
	Process struct {
		RSS      *uint64 `json:"vm_rss_bytes"`
		RSSAnon  *uint64 `json:"rss_anon_bytes"`
		RSSFile  *uint64 `json:"rss_file_bytes"`
		RSSShmem *uint64 `json:"rss_shmem_bytes"`
		Data     *uint64 `json:"vm_data_bytes"`
		Stk      *uint64 `json:"vm_stk_bytes"`
		Size     *uint64 `json:"vm_size_bytes"`
		Swap     *uint64 `json:"vm_swap_bytes"`
		HWM      *uint64 `json:"vm_hwm_bytes"`
		Threads  *uint64 `json:"threads"`
	} `json:"process"`
	Cgroup struct {
		Version *uint64 `json:"version"`
		Path    *string `json:"path"`
		Current *uint64 `json:"current_bytes"`
		Limit   *uint64 `json:"limit_bytes"`
		Anon    *uint64 `json:"anon_bytes"`
		File    *uint64 `json:"file_bytes"`
		Kernel  *uint64 `json:"kernel_bytes"`
		Swap    *uint64 `json:"swap_bytes"`
	} `json:"cgroup"`
	Mappings      *uint64    `json:"mappings"`
	SplitMappings *uint64    `json:"split_mappings"`
	ThreadStacks  *uint64    `json:"thread_stacks"`
	EndedStacks   *uint64    `json:"thread_stacks_ended"`
	EndedBytes    *uint64    `json:"thread_stacks_ended_bytes"`
	MmapTop       []mmapJSON `json:"c_mmap_top"`
	MappedTop     []mmapJSON `json:"mapped_top"` // not recorded
	Warnings      []string   `json:"warnings"`
}

// runtimeJSON is the Go package's figures.
type runtimeJSON struct {
	Metadata    *uint64         `json:"metadata_bytes"`
	Objects     *uint64         `json:"heap_objects_bytes"`
	Live        *uint64         `json:"heap_live_bytes"`
	DeadOrNew   *uint64         `json:"heap_dead_or_new_bytes"`
	Unused      *uint64         `json:"heap_unused_bytes"`
	Goal        *uint64         `json:"gc_goal_bytes"`
	MemoryLimit *uint64         `json:"memory_limit_bytes"`
	Goroutines  *uint64         `json:"goroutines"`
	LastGC      *time.Time      `json:"last_gc_time"`
	Metrics     document.Object `json:"runtime_metrics"`
}

// goMetrics are the names of those that runtime/metrics has, by place.
var goMetrics = []string{
	"/memory/classes/heap/free:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/released:bytes",
	"/memory/classes/heap/stacks:bytes", "/memory/classes/heap/unused:bytes", "/memory/classes/metadata/mcache/free:bytes",
	"/memory/classes/metadata/mcache/inuse:bytes", "/memory/classes/metadata/mspan/free:bytes",
	"/memory/classes/metadata/mspan/inuse:bytes", "/memory/classes/metadata/other:bytes", "/memory/classes/os-stacks:bytes",
	"/memory/classes/other:bytes", "/memory/classes/profiling/buckets:bytes", "/memory/classes/total:bytes",
	"/gc/heap/live:bytes", "/gc/heap/goal:bytes", "/gc/heap/allocs:bytes", "/gc/gomemlimit:bytes", "/sched/goroutines:goroutines",
}

func (r *fields) runtime() (j runtimeJSON) {
	r.figures(&j.Metadata, &j.MemoryLimit)
	var raw [recordlayout.GoFigures]uint64
	var figures [recordlayout.GoFigures]*uint64
	for i := range raw {
		raw[i] = r.u64()
		figures[i] = figure(raw[i])
	}
	j.Objects, j.Unused, j.Goal, j.Goroutines = figures[recordlayout.GoObjects], figures[recordlayout.GoUnused], figures[recordlayout.GoGoal], figures[recordlayout.GoRoutines]
	if live := figures[recordlayout.GoLive]; live != nil {
		j.Live = live
		if j.Objects != nil {
			least := min(*live, *j.Objects) // swept since
			dead := *j.Objects - least
			j.Live, j.DeadOrNew = &least, &dead
		}
	}
	if ns := figures[recordlayout.GoLastGC]; ns != nil && *ns != 0 {
		at := unixNano(*ns).UTC()
		j.LastGC = &at
	}
	for i, name := range goMetrics {
		value := json.RawMessage("null")
		if raw[i] != recordlayout.Unknown { // "no limit" is a figure here, and no machine has it
			value = json.RawMessage(strconv.FormatUint(raw[i], 10))
		}
		j.Metrics = append(j.Metrics, document.Member{Key: name, Value: value})
	}
	return j
}

type ownerJSON struct {
	Name     string  `json:"name"`
	Bytes    *uint64 `json:"bytes"`
	Exact    bool    `json:"exact"`
	Huge     *uint64 `json:"huge_bytes"`
	LazyFree *uint64 `json:"lazy_free_bytes"`
	Swap     *uint64 `json:"swap_bytes"`
	Mapped   *uint64 `json:"mapped_bytes"`
}

type mmapJSON struct {
	Bytes  *uint64  `json:"bytes"`
	Mapped *uint64  `json:"mapped_bytes"`
	Frames []string `json:"frames"`
}

// figure is nil if unknown, or larger than any machine's memory.
func figure(n uint64) *uint64 {
	if n > 1<<62 {
		return nil
	}
	return &n
}

// readAccounts keeps the newest account that is whole.
func (b *Recording) readAccounts(f binread.Image, room uint64) {
	newest, torn := uint64(0), false
	for i := uint64(0); i < min(room, 16); i++ {
		slot := binread.Image(f.At(i*recordlayout.AccountBytes, recordlayout.AccountBytes))
		switch {
		case slot == nil:
			b.note("the accounts are cut off")
			return
		case slot.U32(0) == 0 && slot.U32(4) == 0: // never written
		case crc32.ChecksumIEEE(slot[recordlayout.AccountCRCBytes:]) != slot.U32(0) || slot.U32(4) != recordlayout.AccountBytes:
			torn = true
		case slot.U64(8) >= newest:
			newest, b.account = slot.U64(8), slot
		}
	}
	if torn && b.account == nil {
		b.note("the account is damaged")
	}
}

// fields reads consecutive fields.
type fields struct {
	image binread.Image
	at    uint64
}

func (r *fields) u32() uint32 {
	r.at += 4
	return r.image.U32(r.at - 4)
}

func (r *fields) u64() uint64 {
	r.at += 8
	return r.image.U64(r.at - 8)
}

func (r *fields) figures(into ...**uint64) {
	for _, to := range into {
		*to = figure(r.u64())
	}
}

func (r *fields) text(n uint64) string {
	r.at += n
	return r.image.Text(r.at-n, n)
}

// known is nil for an empty text, which is unknown.
func (r *fields) known(n uint64) *string {
	text := r.text(n)
	if text == "" {
		return nil
	}
	return &text
}

// accountBody is the account as /v1/account would have sent it; nil: there is none.
func (b *Recording) accountBody(symbols *Names) []byte {
	if b.account == nil {
		return nil
	}
	r := &fields{b.account, 16}
	a := &accountJSON{Owners: []ownerJSON{}, MmapTop: []mmapJSON{}, MappedTop: []mmapJSON{}, Warnings: []string{}}
	a.Time = unixNano(r.u64()).UTC()
	r.figures(&a.TookNS, &a.RSS, &a.Unexplained, &a.Estimate.Bytes, &a.Estimate.Error)
	if permille := r.u64(); permille <= 1000 {
		ratio := json.Number(fmt.Sprintf("%d.%03d", permille/1000, permille%1000))
		a.ResidentRatio = &ratio
	}
	r.figures(&a.Estimate.SampleBytes, &a.Mappings, &a.SplitMappings, &a.ThreadStacks)
	s := &a.Allocator
	r.figures(&s.InUse, &s.Free, &s.Mapped, &s.System, &s.Arenas, &s.Nanoseconds)
	s.Name = r.known(32)
	g := &a.Go
	r.figures(&g.InUse, &g.Free, &g.Released, &g.Stacks, &g.MappedReady, &g.TotalAlloc)
	g.Source = r.known(32)
	g.runtimeJSON = r.runtime()
	p := &a.Process
	r.figures(&p.RSS, &p.RSSAnon, &p.RSSFile, &p.RSSShmem, &p.Data, &p.Stk, &p.Size, &p.Swap, &p.HWM, &p.Threads)
	c := &a.Cgroup
	if version := r.u64(); version == 1 || version == 2 {
		c.Version = &version
	}
	r.figures(&c.Current, &c.Limit, &c.Anon, &c.File, &c.Kernel, &c.Swap)
	c.Path = r.known(256)
	b.readOwners(r, a, symbols)
	text, err := json.Marshal(a)
	if err != nil {
		return nil
	}
	return text
}

func (b *Recording) readOwners(r *fields, a *accountJSON, symbols *Names) {
	owners, top := r.u32(), r.u32()
	for i := uint32(0); i < recordlayout.Owners; i++ {
		o := ownerJSON{Name: r.text(recordlayout.OwnerNameBytes)}
		r.figures(&o.Bytes, &o.Huge, &o.LazyFree, &o.Swap, &o.Mapped)
		if isKnown := r.u32() != 0; !isKnown {
			o.Bytes, o.Huge, o.LazyFree, o.Swap, o.Mapped = nil, nil, nil, nil, nil
		}
		o.Exact = r.u32() != 0
		if i < owners {
			a.Owners = append(a.Owners, o)
		}
	}
	for i := uint32(0); i < recordlayout.Top; i++ {
		m := mmapJSON{Frames: symbols.siteFrames(r.u64())}
		r.figures(&m.Bytes, &m.Mapped)
		if i < top {
			a.MmapTop = append(a.MmapTop, m)
		}
	}
	for i := 0; i < recordlayout.Warnings; i++ {
		if w := r.text(recordlayout.WarningBytes); w != "" {
			a.Warnings = append(a.Warnings, w)
		}
	}
	r.figures(&a.EndedStacks, &a.EndedBytes)
}

// siteFrames are the functions that led to a site, leaf first; empty: unknown.
func (s *Names) siteFrames(id uint64) []string {
	frames := []string{}
	for _, stack := range s.recording.stacks {
		for _, site := range stack.sites {
			if uint64(site.id) != id || id == 0 {
				continue
			}
			for _, pc := range stack.frames[:min(recordlayout.TopFrames, len(stack.frames))] {
				frames = append(frames, s.shownFunction(pc)...)
			}
			return frames
		}
	}
	return frames
}

// shownFunction is the innermost function of a call; none: profiles leave it out.
func (s *Names) shownFunction(pc uint64) []string {
	lines := s.lines(pc - 1)
	for _, l := range lines {
		if !l.IsPlumbing() {
			return []string{l.Function}
		}
	}
	m := s.module(pc - 1)
	switch {
	case len(lines) > 0 || m != nil && m.flags&recordlayout.ModuleShim != 0:
		return nil
	case m == nil:
		return []string{"(unknown)"}
	}
	return []string{stacks.Place(m.Path, pc-1-m.start+m.fileOffset)}
}

// accountAt is the account before a second, as far as the second has it; nil: it has none.
// now is the last account, which has the owners' names.
func (m *Second) accountAt(now *account.Account) *account.Account {
	if m == nil || m.AccountTime == 0 {
		return nil
	}
	a := &account.Account{Time: unixNano(m.AccountTime)}
	pages := func(n uint32) *int64 {
		if n == ^uint32(0) {
			return nil
		}
		bytes := int64(n) * recordlayout.PageBytes
		return &bytes
	}
	if n := pages(m.UnexplainedPages); n != nil {
		a.Unexplained = *n
	}
	a.RSS = a.Unexplained
	for i, o := range now.Owners {
		if i == len(m.OwnerPages) {
			break
		}
		bytes := pages(m.OwnerPages[i])
		a.RSS += account.Known(bytes)
		a.Owners = append(a.Owners, account.Owner{Name: o.Name, Bytes: bytes})
	}
	if n := figure(m.AllocatorInUse); n != nil {
		inUse := int64(*n)
		a.Allocator.InUse = &inUse
	}
	return a
}

// Grown compares with the account of an hour, ten minutes, a minute or ten seconds before.
func (b *Recording) Grown(now *account.Account) *account.Growth {
	for _, back := range []time.Duration{time.Hour, 10 * time.Minute, time.Minute, 10 * time.Second} {
		if before := b.Before(back).accountAt(now); before != nil {
			return account.GrowthSince(before, now)
		}
	}
	return nil
}

// AccountBefore is the last account that was written, and its text; nil: there is none.
func (b *Recording) AccountBefore(symbols *Names) (*account.Account, []byte) {
	body, a := b.accountBody(symbols), &account.Account{}
	if body == nil || json.NewDecoder(bytes.NewReader(body)).Decode(a) != nil {
		return nil, nil
	}
	return a, body
}

// Dropped samples until the end.
func (b *Recording) Dropped() uint64 {
	if last := b.Last(); last != nil {
		return last.Dropped
	}
	return 0
}

// Off is how long sampling was off, as far as the recording goes back.
func (b *Recording) Off() (sum time.Duration) {
	for _, m := range b.Seconds {
		if m.SampleBytes == 0 {
			sum += time.Second
		}
	}
	return sum
}
