package cgo_bridge

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"time"
)

// A ProfileKind is one of the library's profiles, by its name under /debug/pprof/.
type ProfileKind string

const (
	// ProfileC is C memory, with the sample types of Go's heap profile: the two merge and compare.
	ProfileC ProfileKind = "cgoheap"
	// ProfileAll is ProfileC and Go's own heap profile in one, distinguished by the label "origin":
	// "go" for Go's, "malloc", "mmap" and "thread_stack" for C's.
	ProfileAll ProfileKind = "allheap"
	// ProfileMemory is the whole RSS: a root for each owner of the account, and below it stacks if
	// they are known. Sample type memory_space/bytes; the total is the RSS.
	ProfileMemory ProfileKind = "memory"
)

// ProfileOptions says what [Profile] writes. The zero value is C memory now.
type ProfileOptions struct {
	Kind ProfileKind // "" is ProfileC

	// For ProfileC and ProfileAll: what was allocated and freed over this time, in whole seconds up
	// to an hour.
	Growth time.Duration
	// For ProfileC: only blocks that are at least this old.
	Older time.Duration
	// For ProfileC: text to read, instead of what go tool pprof reads.
	Text bool
	// For ProfileC: addresses and build IDs only, no names.
	NoSymbols bool
	// For ProfileC and ProfileAll: keep the frames of cgo and of the runtime between C and Go.
	AllFrames bool
	// For ProfileAll and ProfileMemory: collect garbage first. Go's heap profile is as of the last
	// collection but one.
	GC bool

	// Ends the wait for Growth and the writing; nil never does.
	Context context.Context
}

func (o *ProfileOptions) query() url.Values {
	q := url.Values{}
	if o.Growth != 0 {
		q.Set("seconds", strconv.FormatInt(int64((o.Growth+time.Second-1)/time.Second), 10))
	}
	if o.Older != 0 {
		q.Set("older", o.Older.String())
	}
	if o.Text {
		q.Set("debug", "1")
	}
	if o.NoSymbols {
		q.Set("symbols", "none")
	}
	if o.AllFrames {
		q.Set("frames", "all")
	}
	return q
}

// Profile writes one of the library's profiles, compressed, as go tool pprof reads
// it. It writes nothing before all of it is ready. The error is [ErrNotPreloaded],
// a [*VersionError], a [*PassiveError], a [*RequestError] (an option that the kind
// does not take, or no memory left), the context's, or w's.
func Profile(w io.Writer, opts ProfileOptions) error {
	ctx := opts.Context
	if ctx == nil {
		ctx = context.Background()
	}
	if opts.Kind == "" {
		opts.Kind = ProfileC
	}
	if opts.GC {
		if opts.Kind == ProfileC {
			return &RequestError{http.StatusBadRequest, "GC is not an option of " +
				string(ProfileC) + ": it has no Go memory"}
		}
		if err := check(); err != nil {
			return err
		}
		runtime.GC()
	}
	body, err := ask(ctx, http.MethodGet, "/debug/pprof/"+string(opts.Kind), opts.query())
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}
