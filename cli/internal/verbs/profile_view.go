package verbs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/termtext"
)

// profileView is a profile of the stacks that is not of what is in use now: a flag --NAME, and
// view=NAME in the request.
type profileView struct {
	name     string
	describe func(*profile.Profile) (string, error) // after "wrote FILE: "
}

// profileViews exclude each other.
var profileViews = []profileView{
	{peakView, describePeak},
	{"frees", describeFrees},
	{"pinned", describePinned},
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
				viewFlags("and"))
		case v[i]:
			found = &profileViews[i]
		}
	}
	return found, nil
}

// viewFlags names all of them, as "--a, --b and --c".
func viewFlags(and string) string {
	var names []string
	for i := range profileViews {
		names = append(names, "--"+profileViews[i].name)
	}
	return termtext.List(names, and)
}

// describePinned: the sum over the stacks, and what else is said in the comments.
func describePinned(p *profile.Profile) (string, error) {
	pinned, blocks := holders.SampleTypeIndex(p, "pinned_space"),
		holders.SampleTypeIndex(p, "pinning_space")
	if pinned < 0 || blocks < 0 {
		return "", errors.New("the profile has no pinned_space")
	}
	var bytes, held int64
	for _, s := range p.Sample {
		bytes += s.Value[pinned]
		held += s.Value[blocks]
	}
	about := bytes > 0 && p.Period != 1
	said := fmt.Sprintf("%s of the C allocator's free memory is pinned by %s of blocks, in %s",
		termtext.Estimate(termtext.Bytes(bytes), about),
		termtext.Estimate(termtext.Bytes(held), about),
		termtext.CountOf(len(p.Sample), "stack", "stacks"))
	for _, c := range p.Comments {
		if strings.HasPrefix(c, "incomplete") || strings.HasPrefix(c, "pinned: less") {
			said += "; " + termtext.Escape(c)
		}
	}
	return said, nil
}
