package verbs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/outfile"
	"cgoheap.example/cli/internal/recorder"
	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/termtext"
)

const peakView = "peak"

// peakOptions are of --peak alone.
type peakOptions struct {
	of    string // "": C in use
	reset bool
}

func (p *peakOptions) add(f *flags.Set) {
	f.Choice("--of", &p.of, recorder.PeakNames[:]...)
	f.Boolean("--reset", &p.reset)
}

// check: wanted may be a recording, of which only the peak is read here.
func (p *peakOptions) check(view *profileView, wanted string) error {
	isPeak := view != nil && view.name == peakView
	switch {
	case !isPeak && (p.of != "" || p.reset):
		return flags.Usagef("--of and --reset say which peak: they need --peak")
	case !isPeak && isRecording(wanted):
		return flags.Usagef("a profile of %s at its end is what cgoheap autopsy %s -o FILE saves; "+
			"--peak reads its peak", termtext.Quote(wanted), termtext.QuoteShell(wanted))
	case p.reset && isRecording(wanted):
		return flags.Usagef("--reset is for a process: %s is a recording", termtext.Quote(wanted))
	}
	return nil
}

// isRecording tells a file from a process: by its name, as no process is called by a path.
func isRecording(wanted string) bool {
	return strings.HasSuffix(wanted, ".cgoheap")
}

// ---- what is said ----------------------------------------------------------

var (
	peakLine  = regexp.MustCompile(`^peak of (C in use|RSS): (\d+) bytes at (\S+), the highest`)
	otherLine = regexp.MustCompile(`^(C in use|RSS) (then|now): (\d+) bytes$`)
)

// peakSaid is what the comments of a profile say of its peak.
type peakSaid struct {
	of         string
	bytes      int64
	at         time.Time
	then, now  int64 // the other figure then, and this one now; -1: not known
	unreadable bool
}

func readPeak(comments []string) peakSaid {
	s := peakSaid{then: -1, now: -1, unreadable: true}
	for _, c := range comments {
		if m := peakLine.FindStringSubmatch(c); m != nil {
			s.of = m[1]
			s.bytes, _ = strconv.ParseInt(m[2], 10, 64)
			at, err := time.Parse(time.RFC3339Nano, m[3])
			s.at, s.unreadable = at, err != nil
		} else if m := otherLine.FindStringSubmatch(c); m != nil {
			n, _ := strconv.ParseInt(m[3], 10, 64)
			if m[2] == "then" {
				s.then = n
			} else {
				s.now = n
			}
		}
	}
	return s
}

// describePeak: what was in use, when, and what it was compared with.
func describePeak(p *profile.Profile) (string, error) {
	said, err := describeHeap(p)
	peak := readPeak(p.Comments)
	if err != nil || peak.unreadable {
		return said, err
	}
	said += ", at " + peak.at.Local().Format("2006-01-02 15:04:05")
	switch {
	case peak.of == "RSS":
		said += fmt.Sprintf(" when RSS was highest, %s", termtext.Bytes(peak.bytes))
	case peak.then >= 0:
		said += fmt.Sprintf(" when most was; RSS was %s", termtext.Bytes(peak.then))
	default:
		said += " when most was"
	}
	if peak.now >= 0 {
		said += fmt.Sprintf("; now %s", termtext.Bytes(peak.now))
	}
	return said, nil
}

// ---- a recording -------------------------------------------------------------

func peakIndex(of string) int {
	if of == recorder.PeakNames[recordlayout.PeakRSS] {
		return recordlayout.PeakRSS
	}
	return recordlayout.PeakC
}

// saveRecordedPeak reads what a process left behind.
func (o *profileOptions) saveRecordedPeak(std stdio, path string) error {
	if o.raw || o.allFrames || o.asTxt {
		return flags.Usagef("a recording's profile has all that is known: --raw, --all-frames " +
			"and --text need a process")
	}
	data, _, err := recorder.ReadFile(path)
	if err != nil {
		return err
	}
	b, err := recorder.Read(data)
	if err != nil {
		return fmt.Errorf("%s: %s", termtext.QuoteShell(path), err)
	}
	if b.Peaks[peakIndex(o.peak.of)].Bytes == 0 && peakIndex(o.peak.of) == recordlayout.PeakRSS {
		return fmt.Errorf("%s has no peak of RSS: the process did not sample, or could not "+
			"read its RSS; --of c does not need it", termtext.QuoteShell(path))
	}
	if err := outfile.Spare(o.output, path); err != nil {
		return err
	}
	symbols := recorder.FindNames(b, "")
	p := b.ProfileAtPeak(symbols, peakIndex(o.peak.of))
	name := fmt.Sprintf("cgoheap-peak.%s.%d.%s%s", fileWord(programName(b.Program)), b.PID,
		time.Now().Format("20060102-150405"), outfile.Suffix)
	target, err := outfile.Open(std.out, o.output, name)
	if err != nil {
		return err
	}
	defer target.Discard()
	said, err := describePeak(p)
	if err != nil {
		return err
	}
	for _, why := range symbols.Missing() {
		fmt.Fprintf(std.err, "cgoheap: no names from %s\n", why)
	}
	fmt.Fprintf(std.err, "cgoheap: %s\n", said)
	return writeProfile(std, target, p)
}
