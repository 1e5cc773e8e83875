package main

import (
	"slices"
	"testing"
)

func TestUntrackedSeen(t *testing.T) {
	call := func(looks, faults int64, name string) seenCalls {
		return seenCalls{looks, faults, []string{"main._Cfunc_x", name, "main.main"}}
	}
	for _, c := range []struct {
		calls []seenCalls
		want  []string
	}{
		{nil, nil},
		{[]seenCalls{call(3, 0, "main.waits")}, nil},
		{[]seenCalls{call(9, 800, "main.grows"), call(1, 100, "main.other"), call(1, 100, "main.third")},
			[]string{"800 pages touched, at 9 of 32 looks: main._Cfunc_x < main.grows"}},
		{[]seenCalls{call(9, 1, "main.a"), call(1, 1, "main.b")},
			[]string{"1 page touched, at 9 of 32 looks: main._Cfunc_x < main.a",
				"1 page touched, at 1 of 32 looks: main._Cfunc_x < main.b"}},
	} {
		u := untrackedSeen{Looks: 32, Calls: c.calls}
		if got := u.lines(nil); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.calls, got, c.want)
		}
		if (u.mostSeen(nil) == "") != (len(c.want) == 0) {
			t.Errorf("%v: %q", c.calls, u.mostSeen(nil))
		}
	}
}
