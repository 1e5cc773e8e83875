package account

import (
	"fmt"

	"cgoheap.example/cli/internal/termtext"
)

// keptStackBytes is how much glibc keeps of ended threads' stacks for new threads (nptl's
// cache).  More than that belongs to threads that were neither joined nor detached.
const keptStackBytes = 40 << 20

// Unjoined says that more stacks of ended threads remain than libc keeps; musl keeps none.
func (a *Account) Unjoined() bool {
	if a.Allocator.IsMusl() {
		return a.EndedStacks > 0
	}
	return a.EndedStacks > 0 && a.EndedBytes > keptStackBytes+a.EndedBytes/a.EndedStacks
}

// StacksCount: "6,005 stacks, of which 6,000 belong to threads that have ended (not joined)".
func (a *Account) StacksCount() string {
	text := termtext.CountOf(int(a.ThreadStacks+a.EndedStacks), "stack", "stacks")
	if a.EndedStacks == 0 {
		return text
	}
	text += fmt.Sprintf(", of which %s", belong(a.EndedStacks))
	if a.Unjoined() {
		return text + " (not joined)"
	}
	return text + " (libc keeps them for new threads)"
}

func belong(n int64) string {
	if n == 1 {
		return "1 belongs to a thread that has ended"
	}
	return termtext.Count(n) + " belong to threads that have ended"
}
