package verbs

import (
	"strings"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/flags"
)

// profileView is a profile of the stacks that is not of what is in use now: a flag --NAME, and
// view=NAME in the request.
type profileView struct {
	name     string
	describe func(*profile.Profile) (string, error) // after "wrote FILE: "
}

// profileViews exclude each other.
var profileViews = []profileView{
	{"peak", describeHeap},
}

// views is which of them are wanted, by their flags.
type views []bool

func (v *views) add(f *flags.Set) {
	*v = make(views, len(profileViews))
	for i := range profileViews {
		f.Boolean("--"+profileViews[i].name, &(*v)[i])
	}
}

// chosen is nil without a flag: what is in use now.
func (v views) chosen() (*profileView, error) {
	var found *profileView
	for i := range v {
		switch {
		case v[i] && found != nil:
			return nil, flags.Usagef("%s cannot be combined: each is another profile",
				viewFlags())
		case v[i]:
			found = &profileViews[i]
		}
	}
	return found, nil
}

// viewFlags names all of them, as "--a and --b".
func viewFlags() string {
	var names []string
	for i := range profileViews {
		names = append(names, "--"+profileViews[i].name)
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
