package collect

import (
	"bufio"
	"cmp"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cgoheap.example/cli/internal/account"
)

// Goroutines counted from their text, which tells what each waits for, since when, and who
// started it.

type goroutines struct {
	count    int64
	long     int64 // of count, those that wait for longWait or more
	states   []tally
	creators []tally
}

// tally is a count of one kind.
type tally struct {
	name  string
	count int64
	long  int64
}

// longWait is in minutes: a request that takes longer has been forgotten.
const longWait = 10

var (
	goroutineHead  = regexp.MustCompile(`^goroutine \d+ .*?\[([^\],]*)(?:, (\d+) minutes)?`)
	goroutineMaker = regexp.MustCompile(`^created by (.+?)(?: in goroutine \d+)?$`)
)

// readGoroutines reads what debug=2 answers; nil: nothing of it can be read.
func readGoroutines(path string) *goroutines {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	g := &goroutines{}
	states, creators := map[string]*tally{}, map[string]*tally{}
	isLong := false
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := goroutineHead.FindStringSubmatch(line); m != nil {
			minutes, _ := strconv.Atoi(m[2])
			isLong = minutes >= longWait
			g.count++
			if isLong {
				g.long++
			}
			count(states, m[1], isLong)
		} else if m := goroutineMaker.FindStringSubmatch(line); m != nil {
			count(creators, m[1], isLong)
		}
	}
	if g.count == 0 {
		return nil
	}
	g.states, g.creators = ranked(states), ranked(creators)
	return g
}

func count(among map[string]*tally, name string, isLong bool) {
	if among[name] == nil {
		among[name] = &tally{name: name}
	}
	among[name].count++
	if isLong {
		among[name].long++
	}
}

// ranked by their count.
func ranked(among map[string]*tally) []tally {
	var list []tally
	for _, t := range among {
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b tally) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.name, b.name))
	})
	return list
}

// A crowd is so many goroutines, at least half of them by one function.
const (
	crowdCount = 1000
	crowdShare = 0.5
)

// crowd is the function that started most goroutines, if they are many; "" else.
func (g *goroutines) crowd() (tally, bool) {
	if g == nil || g.count < crowdCount || len(g.creators) == 0 {
		return tally{}, false
	}
	first := g.creators[0]
	return first, float64(first.count) >= crowdShare*float64(g.count)
}

func sortOwners(owners []account.Owner) {
	slices.SortFunc(owners, func(a, b account.Owner) int {
		return cmp.Or(cmp.Compare(account.Known(b.Bytes), account.Known(a.Bytes)),
			strings.Compare(a.Name, b.Name))
	})
}
