package account

import (
	"fmt"

	"cgoheap/cli/internal/termtext"
)

// Kept is what C retained consists of, if the allocator is glibc.
type Kept struct {
	Returnable *int64 `json:"returnable_bytes"` // malloc_trim returns it
	ArenaEnds  *int64 `json:"arena_ends_bytes"` // and this it never does
	Ends       *int64 `json:"arena_ends"`       // how many arenas those are the ends of
	Cached     *int64 `json:"cached_bytes"`     // small blocks, which malloc_trim joins first
	Pinned     *int64 `json:"pinned_bytes"`     // on pages that blocks in use lie on
}

// Line is the line below C retained in the table.
func (k *Kept) Line() string {
	if k.Returnable == nil {
		return ""
	}
	text := "trim returns " + termtext.Bytes(*k.Returnable)
	if n := Known(k.Cached); n > 0 {
		text = fmt.Sprintf("trim returns up to %s (%s of it in small blocks)", termtext.Bytes(*k.Returnable+n), termtext.Bytes(n))
	}
	return fmt.Sprintf("%s, at the ends of arenas %s, on pages with blocks in use %s", text, termtext.BytesOrDash(k.ArenaEnds), termtext.BytesOrDash(k.Pinned))
}

// PrivateAllocator is the statistics of a prefixed allocator, whose memory is in C mmap.
type PrivateAllocator struct {
	Name     string `json:"name"`
	Prefix   string `json:"prefix"`
	InUse    *int64 `json:"in_use_bytes"`
	Metadata *int64 `json:"metadata_bytes"`
	Resident *int64 `json:"resident_bytes"`
}

// String is "" if it has no statistics.
func (p PrivateAllocator) String() string {
	if p.InUse == nil {
		return ""
	}
	text := fmt.Sprintf("%s as %smalloc: in use %s", p.Name, p.Prefix, termtext.Bytes(*p.InUse))
	if p.Resident != nil && p.Metadata != nil {
		text += fmt.Sprintf(", kept free %s, its own tables %s", termtext.Bytes(max(0, *p.Resident-*p.InUse-*p.Metadata)), termtext.Bytes(*p.Metadata))
	}
	return termtext.Escape(text)
}

// PrivateLines are lines below C mmap in the table.
func (a *Account) PrivateLines() []string {
	var lines []string
	for _, p := range a.Private {
		if text := p.String(); text != "" {
			lines = append(lines, text)
		}
	}
	return lines
}
