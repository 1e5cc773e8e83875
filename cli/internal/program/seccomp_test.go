package program

import (
	"os"
	"strings"
	"testing"
)

func TestSeccompModeIn(t *testing.T) {
	for text, want := range map[string]string{
		"Name:\tx\nNoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n": "2",
		"Seccomp:\t0\n":         "0",
		"Seccomp_filters:\t1\n": "",
		"":                      "",
	} {
		if got := seccompModeIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if SeccompMode(os.Getpid()) == "" {
		t.Error("the test's own mode cannot read")
	}
	if SeccompMode(1<<30) != "" {
		t.Error("a process that is not there has a mode")
	}
}

func TestSeccompIsSaid(t *testing.T) {
	if CheckSeccomp("0") != nil {
		t.Error("no filter: nothing to say")
	}
	for mode, want := range map[string]string{
		"2": "not available here: seccomp", "1": "not available here: seccomp", "": "cannot read",
	} {
		c := CheckSeccomp(mode)
		if c == nil || c.Level != LevelWarn || !strings.Contains(strings.ToLower(c.Text), want) {
			t.Errorf("mode %q: %v, want a warning with %q", mode, c, want)
		}
	}
}
