package observe

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/series"
)

// goURL is Go's figures from the service's net/http/pprof.  MemStats stop the world, shortly,
// and the whole heap profile comes with them.
type goURL struct {
	heap, index string
	cycles      int64 // GC cycles whose pauses are in pauseNS; -1: none yet
	pauseNS     int64
}

const (
	goURLPause = 10 * time.Second
	goURLShare = 0.01 // of the time, at most
)

// newGoURL takes what attach.GoPprofURL completed.
func newGoURL(heap string) *goURL {
	g := &goURL{heap: heap, cycles: -1}
	u, err := url.Parse(heap)
	if err == nil && strings.HasSuffix(u.Path, "/heap") {
		u.Path, u.RawQuery = strings.TrimSuffix(u.Path, "heap"), ""
		g.index = u.String()
	}
	return g
}

func (g *goURL) name() string { return shownURL(g.heap) }

func (g *goURL) read() (series.Row, time.Duration, error) {
	start := time.Now()
	var r series.Row
	body, err := fetch(context.Background(), g.heap, fetchTimeout)
	if err == nil {
		err = g.addMemStats(&r, body)
	}
	pause := func() time.Duration {
		return max(goURLPause, time.Duration(float64(time.Since(start))/goURLShare))
	}
	if err != nil {
		return r, pause(), err
	}
	if g.index != "" { // the page of an older or another handler has no counts: no figure then
		if page, err := fetch(context.Background(), g.index, fetchTimeout); err == nil {
			if n, ok := goroutineCount(page); ok {
				r.Set(series.Goroutines, n)
			}
		}
	}
	return r, pause(), nil
}

// goroutineCount is on the index page, which counts and does not stop the world.
func goroutineCount(page []byte) (float64, bool) {
	m := goroutineRow.FindSubmatch(page)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(string(m[1]), 10, 53)
	return float64(n), err == nil
}

var goroutineRow = regexp.MustCompile(
	`<td>\s*(\d+)\s*</td>\s*<td>\s*<a href=['"]?goroutine\?`)

func (g *goURL) addMemStats(r *series.Row, body []byte) error {
	stats, ok := attach.MemStats(body)
	if !ok {
		what := "answers something else than a heap profile with Go's MemStats"
		if looksLikeHTML(body) {
			what = "answers an HTML page, not a heap profile with Go's MemStats"
		}
		return fmt.Errorf("%s %s: name the service's own /debug/pprof", g.name(), what)
	}
	for key, name := range map[string]string{
		"HeapInuse": series.GoInUse, "HeapReleased": series.GoReleased, "NextGC": series.GoGoal,
		"NumGC": series.GCCycles, "GCCPUFraction": series.GCCPU,
	} {
		if v, err := strconv.ParseFloat(stats[key], 64); err == nil && v >= 0 {
			r.Set(name, v)
		}
	}
	if err := g.addPauses(r, stats); err != nil {
		return fmt.Errorf("%s %w", g.name(), err)
	}
	return nil
}

// pauseRoom is how many pauses MemStats keep, in a ring.
const pauseRoom = 256

// addPauses sums the pauses since the last look.  If more cycles passed than the ring holds, or
// before the first look, those that it lost are missing from the total.
func (g *goURL) addPauses(r *series.Row, stats map[string]string) error {
	cycles, err := strconv.ParseInt(stats["NumGC"], 10, 64)
	ring := strings.Fields(strings.Trim(stats["PauseNs"], "[]"))
	if err != nil || len(ring) != pauseRoom {
		return nil
	}
	if cycles < g.cycles { // another process answers there now
		g.cycles, g.pauseNS = -1, 0
	}
	for cycle := max(g.cycles, cycles-pauseRoom, 0); cycle < cycles; cycle++ {
		pause, err := strconv.ParseInt(ring[cycle%pauseRoom], 10, 64)
		if err != nil || pause < 0 {
			return errors.New("has garbage collection pauses that are no numbers")
		}
		g.pauseNS += pause
	}
	g.cycles = cycles
	r.Set(series.GCPause, float64(g.pauseNS))
	return nil
}

func looksLikeHTML(body []byte) bool {
	begin := strings.ToLower(strings.TrimSpace(string(body[:min(len(body), 512)])))
	return strings.HasPrefix(begin, "<!doctype html") || strings.HasPrefix(begin, "<html")
}
