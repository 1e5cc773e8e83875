package leak

import (
	"fmt"
	"io"

	"cgoheap.example/cli/internal/termtext"
)

// Print shows the stacks of one program's leaks, at most rows of them.
func (r *Result) Print(w io.Writer, rows int) {
	fmt.Fprintf(w, "cgoheap: %s held %s of C memory at exit that was allocated after start-up:\n",
		r.Name(), r.Total.Text(r.IsEstimate))
	for i := range r.Leaks[:min(rows, len(r.Leaks))] {
		r.Leaks[i].print(w, r.IsEstimate)
	}
	if more := len(r.Leaks) - rows; more > 0 {
		fmt.Fprintf(w, "\n  and %s\n", termtext.CountOf(more, "stack more", "stacks more"))
	}
	fmt.Fprintln(w)
}

func (h *Held) print(w io.Writer, isEstimate bool) {
	how := ""
	if h.Origin == "mmap" {
		how = ", mapped"
	}
	if h.Ways > 1 {
		how += fmt.Sprintf(", by %d ways through C; the largest:", h.Ways)
	}
	fmt.Fprintf(w, "\n  %s%s\n", h.Text(isEstimate), how)
	if len(h.Frames) == 0 {
		fmt.Fprintln(w, "    (its stack was not recorded)")
	}
	for _, f := range h.Frames {
		fmt.Fprintf(w, "    %s\n", f.Function)
		if f.File != "" {
			fmt.Fprintf(w, "        %s:%d\n", f.File, f.Line)
		}
	}
}
