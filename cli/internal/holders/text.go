package holders

import (
	"fmt"
	"strings"

	"cgoheap.example/cli/internal/termtext"
)

// MappedLine says what mappings and thread stacks sum to.
func (s *Summary) MappedLine() string {
	var parts []string
	for _, o := range []struct{ origin, name string }{
		{originMmap, "mapped past malloc"}, {originStack, "thread stacks"},
	} {
		t, ok := s.Mapped[o.origin]
		switch {
		case !ok:
		case s.Resident:
			parts = append(parts, fmt.Sprintf("%s %s resident of %s",
				o.name, termtext.Bytes(t.Bytes), termtext.Bytes(t.Mapped)))
		case o.origin == originStack: // what was touched of them
			parts = append(parts, fmt.Sprintf("%s %s", o.name, termtext.Bytes(t.Mapped)))
		default:
			parts = append(parts, fmt.Sprintf("%s %s, resident or not",
				o.name, termtext.Bytes(t.Mapped)))
		}
	}
	return strings.Join(parts, "; ")
}

// NoRows is shown in place of an empty table.
func (s *Summary) NoRows() string {
	if s.filtered {
		return "no row's caller or leaf matches --filter"
	}
	return "no sampled block is in use"
}

// What relates a row's bytes to its caller.
func (r *Row) What() string {
	switch r.Origin {
	case originMmap:
		return "mapped by"
	case originStack:
		return "stacks by"
	}
	return "in use by"
}

// Amount is a row's bytes; those of mappings are counted, not estimated.
func (r *Row) Amount(estimated bool) string {
	return termtext.Estimate(termtext.Bytes(r.Bytes), estimated && r.Mapped == nil)
}

// Amount is the bytes of all blocks and how far they may be off: "~812.4 MiB ±3.1 %".
func (s *Summary) Amount() string {
	text := termtext.Estimate(termtext.Bytes(s.Bytes), s.Estimated)
	if m := s.Margin(); m != "" {
		text += " " + m
	}
	return text
}

// Count is a row's objects; "-" for mappings that no heap profile has.
func (r *Row) Count(estimated bool) string {
	if r.Mapped != nil && r.Objects == 0 {
		return "-"
	}
	return termtext.Estimate(termtext.Count(r.Objects), estimated && r.Mapped == nil)
}
