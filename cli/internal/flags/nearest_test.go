package flags

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"run", "list", "doctor", "top", "profile", "explain", "--seconds", "--json"}
	for word, want := range map[string]string{
		"expalin": "explain", "tpo": "top", "dcotor": "doctor", "prof": "profile",
		"--sec": "--seconds", "--jsno": "--json", "frobnicate": "", "x": "", "cat": "", "": "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
