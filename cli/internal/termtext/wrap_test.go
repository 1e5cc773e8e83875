package termtext

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		width      int
		text, want string
	}{
		{10, "aa bb cc dd ee", "aa bb cc|dd ee"},
		{10, "aa `bb cc dd` ee", "aa|`bb cc dd`|ee"},
		{10, "`aa bb cc dd`, ee ff", "`aa bb cc dd`,|ee ff"},
		{10, "hold 12.5 MiB, say", "hold|12.5 MiB,|say"},
		{10, "", ""},
		{3, "überlänge ist", "überlänge|ist"},
		{10, "an odd `quote here", "an odd|`quote here"},
	} {
		if got := strings.Join(Wrap(c.text, c.width), "|"); got != c.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", c.text, c.width, got, c.want)
		}
	}
}
