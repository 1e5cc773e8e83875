// Package report makes one HTML page of a recording, a scene, what a killed process left behind,
// or one look at a process.  The page needs no network, and what it shows of the process is text.
package report

import (
	"fmt"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/verdict"
)

// Input is what a page is made of.  What is not known is empty.
type Input struct {
	Source        string // what it was made from, in a few words
	Host, Program string
	PID           int
	File          string // the recording that a process left behind
	Executable    string // its path, to tell its mappings from those of libraries

	Rows   []series.Row // in the order of MonoNS
	Events []series.Event

	Account *account.Account
	Grown   *account.Growth
	Verdict []verdict.Finding
	Held    []cohort.Held // why memory is still there, by row

	Profile *profile.Profile // the memory profile, or one of C memory in use
	Maps    []byte           // /proc/PID/smaps, or maps, which does not say what is resident

	Warnings []string // what makes the page doubtful, such as a file that was cut off
	Missing  []string // sentences: what the input does not have
}

func (in *Input) missing(format string, args ...any) {
	in.Missing = append(in.Missing, fmt.Sprintf(format, args...))
}

func (in *Input) warn(text string) { in.Warnings = append(in.Warnings, text) }

// What no sane input has: a file that is something else must not fill the memory.
const maxFileBytes = 512 << 20

func readFile(path string) ([]byte, error) { return binread.File(path, maxFileBytes) }

// last row, or the account as one; nil: there is neither.
func (in *Input) last() *series.Row {
	switch {
	case len(in.Rows) > 0:
		return &in.Rows[len(in.Rows)-1]
	case in.Account != nil:
		r := rowOf(in.Account, in.Account.Time, 0)
		return &r
	}
	return nil
}

// span is the time from the first row to the last.
func span(rows []series.Row) time.Duration {
	if len(rows) < 2 {
		return 0
	}
	return time.Duration(rows[len(rows)-1].MonoNS - rows[0].MonoNS)
}

// judge by the last account, and growth since the first.
func (in *Input) judge(s verdict.Situation) {
	if in.Account == nil {
		return
	}
	s.Account, s.Grown, s.PID, s.Held = in.Account, in.Grown, in.PID, in.Held
	in.Verdict = verdict.Judge(&s)
}
