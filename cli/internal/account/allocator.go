package account

import "strings"

// IsMusl says that musl's own malloc answers, whichever of them.
func (a *Allocator) IsMusl() bool { return a.Name == "musl" || strings.HasPrefix(a.Name, "musl ") }
