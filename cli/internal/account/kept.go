package account

import (
	"fmt"

	"cgoheap.example/cli/internal/termtext"
)

// Line is the line below C retained in the table.
func (k *Kept) Line() string {
	if k.Returnable == nil {
		return ""
	}
	text := "trim returns " + termtext.Bytes(*k.Returnable)
	if n := Known(k.Cached); n > 0 {
		text = fmt.Sprintf("trim returns up to %s (%s of it in small blocks)",
			termtext.Bytes(*k.Returnable+n), termtext.Bytes(n))
	}
	if k.ArenaEnds != nil { // jemalloc's have none
		text += ", at the ends of arenas " + termtext.Bytes(*k.ArenaEnds)
	}
	return text + ", on pages with blocks in use " + termtext.BytesOrDash(k.Pinned)
}

// String is "" if it has no statistics.
func (p PrivateAllocator) String() string {
	if p.InUse == nil {
		return ""
	}
	text := fmt.Sprintf("%s as %smalloc: in use %s", p.Name, p.Prefix, termtext.Bytes(*p.InUse))
	if p.Resident != nil && p.Metadata != nil {
		free := max(0, *p.Resident-*p.InUse-*p.Metadata)
		text += fmt.Sprintf(", kept free %s, its own tables %s",
			termtext.Bytes(free), termtext.Bytes(*p.Metadata))
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
