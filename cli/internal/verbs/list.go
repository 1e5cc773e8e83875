package verbs

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/termtext"
)

const listHelp = `usage: cgoheap list [--json]

Lists the processes that have libcgoheap.so loaded and that you may inspect:
state, sample interval, live sampled blocks, and the bytes that they stand for.
"~" marks an estimate.

Example:
  $ cgoheap list
   PID  STATE     INTERVAL        LIVE      IN USE  UPTIME  GO        PROGRAM
  4242  sampling  1 in 512KiB    1,625  ~812.4 MiB  4d02h   go1.26.8  service

A narrow terminal gets fewer columns.
"passive" means: library loaded but inactive.
`

// listEntry is one process.  What is not known is null.
type listEntry struct {
	PID         int     `json:"pid"`
	Program     string  `json:"program"`
	State       string  `json:"state"` // sampling, dormant, passive, unreachable
	Reason      string  `json:"reason,omitempty"`
	SampleBytes *uint64 `json:"sample_bytes"`
	LiveSamples *uint64 `json:"live_samples"`
	InUseBytes  *int64  `json:"in_use_bytes"`
	UptimeNS    *int64  `json:"uptime_ns"`
	GoVersion   *string `json:"go_version"`
}

// A figure beside the others is not worth a long wait.
const listProfileTimeout = 2 * time.Second

func listProcesses(std stdio, args []string) error {
	asJSON := false
	f := flags.New()
	f.Boolean("--json", &asJSON)
	if _, err := f.ParseExactly(args); err != nil {
		return err
	}
	found, unreadable, err := attach.FindShims()
	if err != nil {
		return err
	}
	entries := describeAll(found)
	if asJSON {
		return document.Write(std.out, "list", map[string]any{"processes": entries,
			"unreadable": unreadable})
	}
	printList(std, entries)
	// It explains an empty list; below a full one it would only be noise.
	if missing := attach.Missing(unreadable); missing != "" && len(entries) == 0 {
		fmt.Fprintf(std.err, "cgoheap: %s\n", missing)
	}
	return nil
}

func describeAll(found []*attach.Process) []listEntry {
	entries := make([]listEntry, len(found))
	attach.InParallel(len(found), func(i int) { entries[i] = describe(found[i]) })
	sort.Slice(entries, func(i, j int) bool { return entries[i].PID < entries[j].PID })
	return entries
}

func describe(p *attach.Process) listEntry {
	e := listEntry{PID: p.PID, Program: p.Program()}
	c := attach.NewClient(p)
	s, err := c.Status()
	if err != nil {
		e.State, e.Reason = "unreachable", err.Error()
		if env, envErr := p.Environ(); envErr == nil {
			if reason, _ := p.PassiveReason(env); reason != "" {
				e.State, e.Reason = "passive", reason
			}
		}
		return e
	}
	e.State = s.State
	e.SampleBytes, e.LiveSamples, e.UptimeNS = &s.SampleBytes, &s.Samples.Live, &s.UptimeNS
	if s.Host.GoVersion != "" {
		e.GoVersion = &s.Host.GoVersion
	}
	if total, err := inUseBytes(c); err == nil {
		e.InUseBytes = &total
	}
	return e
}

// inUseBytes sums a profile without names, which are what makes a profile costly.
func inUseBytes(c *attach.Client) (int64, error) {
	body, err := c.Request(http.MethodGet, "/debug/pprof/cgoheap", url.Values{"symbols": {"none"}},
		listProfileTimeout, attach.MaxProfileBytes)
	if err != nil {
		return 0, err
	}
	p, err := attach.ParseProfile(body)
	if err != nil {
		return 0, err
	}
	s, err := holders.Summarize(p, nil)
	if err != nil {
		return 0, err
	}
	return s.Bytes, nil
}

func printList(std stdio, entries []listEntry) {
	if len(entries) == 0 {
		fmt.Fprintln(std.err, "cgoheap: no process that you may inspect has cgoheap loaded; "+
			"start one with cgoheap run -- PROGRAM")
		return
	}
	rows := [][]string{{"PID", "STATE", "INTERVAL", "LIVE", "IN USE", "UPTIME", "GO", "PROGRAM"}}
	for _, e := range entries {
		rows = append(rows, e.row())
	}
	right := []bool{true, false, false, true, true, false, false, false}
	if std.terminal == nil { // scripts rely on the columns
		for i, e := range entries {
			rows[i+1][programColumn] += e.because(": ")
		}
		termtext.WriteTable(std.out, right, rows)
		return
	}
	printNarrow(std, rows, right, entries, textWidth(std))
}

const programColumn = 7

// Columns to drop on a narrow terminal, in this order, and the width that programs need.
var (
	spareListColumns = []string{"GO", "LIVE", "INTERVAL", "UPTIME", "STATE"}
	programWidth     = 12
)

// printNarrow fits the table to a terminal.  The reasons of processes that do not answer go
// below their rows.
func printNarrow(std stdio, rows [][]string, right []bool, entries []listEntry, width int) {
	longest := 0
	for _, row := range rows {
		longest = max(longest, utf8.RuneCountInString(row[programColumn]))
	}
	rows, right = fitColumns(rows, right, spareListColumns, "PROGRAM", width,
		max(programWidth, min(longest, width/3)))
	room := max(width-figuresWidth(rows, "PROGRAM"), programWidth)
	for _, row := range rows {
		row[len(row)-1] = termtext.CutStart(row[len(row)-1], room)
	}
	var table bytes.Buffer
	termtext.WriteTable(&table, right, rows)
	for i, line := range strings.Split(strings.TrimRight(table.String(), "\n"), "\n") {
		fmt.Fprintln(std.out, line)
		if i > 0 {
			if reason := entries[i-1].because(""); reason != "" {
				termtext.WriteWrapped(std.out, "  "+entries[i-1].State+": "+reason, "    ", width)
			}
		}
	}
}

func (e *listEntry) row() []string {
	row := []string{strconv.Itoa(e.PID), termtext.Escape(e.State), "-", "-", "-", "-", "-",
		e.Program}
	if e.SampleBytes != nil {
		row[2] = termtext.Interval(*e.SampleBytes)
	}
	if e.LiveSamples != nil {
		row[3] = termtext.Count(int64(*e.LiveSamples))
	}
	if e.InUseBytes != nil {
		row[4] = termtext.Estimate(termtext.Bytes(*e.InUseBytes), e.SampleBytes == nil ||
			*e.SampleBytes > 1)
	}
	if e.UptimeNS != nil {
		row[5] = termtext.Duration(time.Duration(*e.UptimeNS))
	}
	if e.GoVersion != nil {
		row[6] = termtext.Escape(*e.GoVersion)
	}
	return row
}

// because is a separator and why it does not answer; "": it does.
func (e *listEntry) because(separator string) string {
	if e.Reason == "" {
		return ""
	}
	reason := strings.TrimPrefix(e.Reason, fmt.Sprintf("process %d (%s)", e.PID, e.Program))
	return separator + strings.TrimLeft(reason, ": ")
}
