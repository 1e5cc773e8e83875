package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/pprof/profile"
)

const autopsyHelp = `usage: cgoheap autopsy FILE [flags]

Reads what a process left behind that was killed, by the OOM killer or otherwise:
the file of its flight recorder (CGOHEAP_BLACKBOX=DIR when it was started).
It shows its last figures, how they had come about, and who held C memory.

  -o FILE       also write a profile that go tool pprof reads
  -n, --rows N  rows to show (default 20)
  --json        the answer for machines

Names come from the binaries on this machine; where one is missing or is not
the same build any more, it says which.

Examples:
  cgoheap autopsy /var/lib/cgoheap/service.4242.cgoheap
  cgoheap autopsy service.4242.cgoheap -o killed.pb.gz
`

// A region and its black box are far smaller; this is against a wrong file.
const maxBlackboxBytes = 2 << 30

type autopsyOptions struct {
	output string
	rows   int
	asJSON bool
}

func autopsy(std stdio, args []string) error {
	o := &autopsyOptions{}
	f := newFlags()
	f.text("-o --output", &o.output)
	f.count("-n --rows", &o.rows, 1, 100000)
	f.boolean("--json", &o.asJSON)
	rest, err := f.parseExactly(args, "FILE")
	if err != nil {
		return err
	}
	if o.rows == 0 {
		o.rows = 20
	}
	data, alive, err := readBoxFile(rest[0])
	if err != nil {
		return err
	}
	b, err := readBlackbox(data)
	if err != nil {
		return fmt.Errorf("%s: %s", quoteShell(rest[0]), err)
	}
	symbols := newBoxSymbols(b)
	p := b.profile(symbols)
	sum, err := summarize(p)
	if err != nil {
		return err
	}
	if o.asJSON {
		err = writeJSON(std.out, b.toJSON(sum, symbols, alive, o.rows))
	} else {
		b.print(std, sum, symbols, alive, o.rows)
	}
	if err != nil || o.output == "" {
		return err
	}
	return writeBoxProfile(std, o.output, p)
}

// readBoxFile also says whether the process still runs: the shim's lock lasts as long as its mapping.
func readBoxFile(path string) (data []byte, alive bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, fmt.Errorf("cannot read %s: %s", quoteShell(path), pathReason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false, fmt.Errorf("%s is not a file", quoteShell(path))
	}
	alive = errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
	data, err = readBounded(io.Reader(f), maxBlackboxBytes)
	if err != nil {
		err = fmt.Errorf("cannot read %s: %s", quoteShell(path), pathReason(err))
	}
	return data, alive, err
}

func pathReason(err error) string {
	var wrapped *os.PathError
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}

func writeBoxProfile(std stdio, path string, p *profile.Profile) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		err = p.Write(f)
		if closed := f.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %s", quoteShell(path), pathReason(err))
	}
	fmt.Fprintf(std.err, "cgoheap: wrote %s\n  go tool pprof %s\n", quoteShell(path), quoteShell(path))
	return nil
}

func (b *blackbox) last() *boxMoment {
	if len(b.moments) == 0 {
		return nil
	}
	return &b.moments[len(b.moments)-1]
}

func boxBytes(n uint64) string {
	if n > 1<<62 {
		return "unknown"
	}
	return formatBytes(int64(n))
}

// isEstimated unless every allocation was recorded.
func (b *blackbox) isEstimated() bool {
	for _, m := range b.moments {
		if m.SampleBytes > 1 {
			return true
		}
	}
	return false
}

func (b *blackbox) print(std stdio, sum *summary, symbols *boxSymbols, alive bool, limit int) {
	name := programName(b.program)
	fmt.Fprintf(std.out, "%s (%d)  %s  cgoheap %s\n", name, b.pid,
		orElse(escapeName(b.goVersion), "not Go"), orElse(escapeName(b.shimVersion), "unknown"))
	b.printEnd(std.out, alive)
	b.printFigures(std.out)
	estimated := b.isEstimated()
	fmt.Fprintf(std.out, "C memory in use at the end %s in %s\n\n", estimate(formatBytes(sum.bytes), estimated),
		estimate(countOf(int(sum.objects), "object", "objects"), estimated))
	if len(sum.rows) == 0 {
		fmt.Fprintln(std.out, noRows)
	} else {
		rows := [][]string{{"IN USE", "OBJECTS", "GO CALLER", "C LEAF"}}
		for _, r := range sum.rows[:min(limit, len(sum.rows))] {
			rows = append(rows, []string{estimate(formatBytes(r.Bytes), estimated),
				estimate(formatCount(r.Objects), estimated), escapeName(r.GoCaller), escapeName(r.CLeaf)})
		}
		writeTable(std.out, []bool{true, true, false, false}, rows)
		if left := len(sum.rows) - limit; left > 0 {
			fmt.Fprintf(std.out, "and %s\n", countOf(left, "row more", "rows more"))
		}
	}
	for _, why := range symbols.missing() {
		fmt.Fprintf(std.err, "cgoheap: no names from %s\n", why)
	}
	for _, why := range b.notes {
		fmt.Fprintf(std.err, "cgoheap: %s\n", escapeName(why))
	}
}

func (b *blackbox) printEnd(out io.Writer, alive bool) {
	const layout = "2006-01-02 15:04:05 MST"
	last := b.last()
	switch {
	case last == nil:
		fmt.Fprintf(out, "started %s; it ended before its first figures were written\n", b.start.Format(layout))
	case alive:
		fmt.Fprintf(out, "started %s; it is still running\n", b.start.Format(layout))
	default:
		fmt.Fprintf(out, "started %s, last seen %s, after %s\n", b.start.Format(layout), last.Time.Format(layout),
			formatDuration(last.Time.Sub(b.start)))
	}
}

// printFigures shows the last ones and how they were before.
func (b *blackbox) printFigures(out io.Writer) {
	last := b.last()
	if last == nil {
		return
	}
	line := fmt.Sprintf("RSS %s: anonymous %s, files %s, swapped %s", boxBytes(last.RSS), boxBytes(last.Anon),
		boxBytes(last.File), boxBytes(last.Swap))
	if last.CgroupCurrent < 1<<62 {
		line += "; cgroup " + boxBytes(last.CgroupCurrent)
		if last.CgroupLimit < 1<<62 {
			line += " of " + boxBytes(last.CgroupLimit)
		}
	}
	fmt.Fprintln(out, line)
	if last.SampleBytes == 0 {
		fmt.Fprintln(out, "dormant at the end: what was allocated then is not known")
	} else {
		fmt.Fprintf(out, "sampled: %s, %s", formatInterval(uint64(last.SampleBytes)),
			countOf(int(last.Samples), "sample", "samples"))
		if last.Dropped > 0 {
			fmt.Fprintf(out, ", %s dropped", formatCount(int64(last.Dropped)))
		}
		fmt.Fprintln(out)
	}
	rows := [][]string{{"BEFORE", "RSS", "C IN USE", "C MAPPED"}}
	for _, back := range []time.Duration{time.Hour, 10 * time.Minute, time.Minute, 10 * time.Second, 0} {
		if m := b.before(back); m != nil {
			rows = append(rows, []string{formatDuration(back), boxBytes(m.RSS), boxBytes(m.CLive), boxBytes(m.CMapped)})
		}
	}
	fmt.Fprintln(out)
	writeTable(out, []bool{true, true, true, true}, rows)
	fmt.Fprintln(out)
}

// before is the moment that long before the last; nil: the record is shorter.
func (b *blackbox) before(back time.Duration) *boxMoment {
	last := b.last()
	for i := len(b.moments) - 1; i >= 0; i-- {
		// A tick a second, each a little late; the oldest of an hour is as good as an hour.
		if age := last.Time.Sub(b.moments[i].Time); age >= back-back/20 {
			return &b.moments[i]
		}
	}
	return nil
}

type momentJSON struct {
	Time          string  `json:"time"`
	RSS           *uint64 `json:"rss_bytes"`
	Anon          *uint64 `json:"anon_bytes"`
	File          *uint64 `json:"file_bytes"`
	Shmem         *uint64 `json:"shmem_bytes"`
	Swap          *uint64 `json:"swap_bytes"`
	CgroupCurrent *uint64 `json:"cgroup_current_bytes"`
	CgroupLimit   *uint64 `json:"cgroup_limit_bytes"`
	CLive         *uint64 `json:"c_live_bytes"`
	CObjects      *uint64 `json:"c_live_objects"`
	CMapped       *uint64 `json:"c_mapped_bytes"`
	ThreadStacks  *uint64 `json:"thread_stack_bytes"`
	SampleBytes   uint32  `json:"sample_bytes"` // 0: dormant
	Dropped       uint64  `json:"dropped"`
}

type autopsyJSON struct {
	Program   string       `json:"program"`
	PID       uint32       `json:"pid"`
	GoVersion string       `json:"go_version"`
	Start     string       `json:"start_time"`
	Alive     bool         `json:"alive"`
	Estimated bool         `json:"estimated"`
	Bytes     int64        `json:"in_use_bytes"`
	Objects   int64        `json:"in_use_objects"`
	Rows      []row        `json:"rows"`
	RowsLeft  int          `json:"rows_left_out"`
	Moments   []momentJSON `json:"moments"`
	Missing   []string     `json:"missing_binaries"`
	Notes     []string     `json:"notes"`
}

func (b *blackbox) toJSON(sum *summary, symbols *boxSymbols, alive bool, limit int) autopsyJSON {
	shown := append([]row{}, sum.rows[:min(limit, len(sum.rows))]...)
	j := autopsyJSON{Program: strings.ToValidUTF8(b.program, "?"), PID: b.pid, GoVersion: b.goVersion,
		Start: b.start.UTC().Format(time.RFC3339Nano), Alive: alive, Estimated: b.isEstimated(),
		Bytes: sum.bytes, Objects: sum.objects, Rows: shown, RowsLeft: len(sum.rows) - len(shown),
		Moments: []momentJSON{}, Missing: append([]string{}, symbols.missing()...), Notes: append([]string{}, b.notes...)}
	known := func(n uint64) *uint64 {
		if n == boxUnknown {
			return nil
		}
		return &n
	}
	for _, m := range b.moments {
		j.Moments = append(j.Moments, momentJSON{m.Time.UTC().Format(time.RFC3339Nano), known(m.RSS), known(m.Anon), known(m.File),
			known(m.Shmem), known(m.Swap), known(m.CgroupCurrent), known(m.CgroupLimit), known(m.CLive),
			known(m.CObjects), known(m.CMapped), known(m.ThreadStacks), m.SampleBytes, m.Dropped})
	}
	return j
}

func programName(path string) string {
	if path == "" {
		return "unknown program"
	}
	return escapeName(filepath.Base(path))
}
