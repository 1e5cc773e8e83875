package verbs

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/termtext"
)

// freers are the values of the label freed_by, as they are said.
var freers = map[string]string{"finalizer": "finalizers", "cleanup": "cleanups", "go": "Go code",
	"c": "C threads", "": "stacks without a known root"}

// freer is what one kind has freed, and what is in use and waits for it.
type freer struct {
	kind           string
	freed, waiting int64
}

// freersOf sums a profile of who frees by kind, most freed bytes first.
func freersOf(p *profile.Profile) ([]freer, error) {
	freed, waiting := holders.SampleTypeIndex(p, "freed_space"),
		holders.SampleTypeIndex(p, "waiting_space")
	if freed < 0 || waiting < 0 {
		return nil, errors.New("the profile has no freed_space")
	}
	sums := map[string]*freer{}
	for _, s := range p.Sample {
		kind := strings.Join(s.Label["freed_by"], "")
		if _, known := freers[kind]; !known {
			kind = ""
		}
		if sums[kind] == nil {
			sums[kind] = &freer{kind: kind}
		}
		sums[kind].freed += s.Value[freed]
		sums[kind].waiting += s.Value[waiting]
	}
	var list []freer
	for _, f := range sums {
		list = append(list, *f)
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].freed != list[j].freed {
			return list[i].freed > list[j].freed
		}
		return list[i].kind < list[j].kind
	})
	return list, nil
}

// describeFrees: by whom, and what waits for the garbage collector.
func describeFrees(p *profile.Profile) (string, error) {
	list, err := freersOf(p)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "no free of a sampled block was seen yet", nil
	}
	var said []string
	var waiting int64
	for _, f := range list {
		said = append(said, fmt.Sprintf("%s by %s", termtext.Bytes(f.freed), freers[f.kind]))
		if holders.FreedByGC(f.kind) {
			waiting += f.waiting
		}
	}
	line := "freed, as far as it is known: about " + strings.Join(said, ", ")
	if waiting > 0 {
		line += fmt.Sprintf("; about %s in use waits for Go's GC", termtext.Bytes(waiting))
	}
	return line, nil
}
