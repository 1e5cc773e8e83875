package report

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/recorder"
	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

// ErrUnknown says that a file is nothing that a page can be made of.
var ErrUnknown = errors.New("it is neither a recording of cgoheap watch (.jsonl), " +
	"nor a recorder's file (.cgoheap), nor a directory of cgoheap collect")

// Read takes a directory or a file by what is in it, whatever its name.
func Read(path string) (*Input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %s",
			termtext.QuoteShell(path), termtext.Reason(err))
	}
	if info.IsDir() {
		return readDirectory(path)
	}
	body, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var in *Input
	switch start := bytes.TrimLeft(body[:min(len(body), 512)], " \t\r\n"); {
	case len(start) == 0:
		return nil, fmt.Errorf("%s is empty", termtext.QuoteShell(path))
	case len(body) >= 8 && binary.LittleEndian.Uint64(body) == recordlayout.Magic:
		in, err = ofRecorder(path)
	case start[0] == '{':
		in, err = ofWatch(body)
	default:
		err = ErrUnknown
	}
	if errors.Is(err, series.ErrNotRecording) {
		err = ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", termtext.QuoteShell(path), err)
	}
	return in, nil
}

// ofWatch reads a recording of watch.
func ofWatch(body []byte) (*Input, error) {
	r, err := series.Read(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	in := &Input{Source: "a recording of cgoheap watch"}
	in.Host, in.Program, in.PID = r.Header.Host, r.Header.Program, r.Header.PID
	in.takeRecording(r)
	if len(r.Rows) == 0 {
		return nil, errors.New("it has no samples: there is nothing to show")
	}
	in.missing("A recording of cgoheap watch has no profile: there is no flame graph. " +
		"cgoheap collect saves one.")
	in.missing("It has no list of mappings: there is no map of the address space.")
	in.byRows()
	return in, nil
}

func (in *Input) takeRecording(r *series.Recording) {
	in.Rows, in.Events = r.Rows, r.Events
	if r.Ends != "" {
		in.warn("The recording is damaged: " + r.Ends + ".")
	}
}

// byRows takes the account, growth and the verdict from the samples.
func (in *Input) byRows() {
	var first, last *account.Account
	rows := in.current()
	for i := range rows {
		a := accountOf(&rows[i])
		if a != nil && first == nil {
			first = a
		}
		if a != nil {
			last = a
		}
	}
	if last == nil {
		in.missing("No sample has the owners of the RSS: only what the kernel and Go say " +
			"is shown, and there is no verdict.")
		return
	}
	in.Account = last
	if first != last {
		in.Grown = account.GrowthSince(first, last)
	}
	in.judge(verdict.Situation{})
}

// ofRecorder reads what a killed process left behind.
func ofRecorder(path string) (*Input, error) {
	data, alive, err := recorder.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b, err := recorder.Read(data)
	if err != nil {
		return nil, err
	}
	symbols := recorder.FindNames(b, "")
	in := &Input{Source: "the recorder's file of a process that has ended",
		Program: filepath.Base(b.Program), PID: int(b.PID), Executable: b.Program, File: path}
	if alive {
		in.Source = "the recorder's file of a process that is running"
	}
	if b.Program == "" {
		in.Program = "unknown program"
	}
	in.Account, _ = b.AccountBefore()
	if in.Account != nil {
		in.Grown = b.Grown(in.Account)
	} else {
		in.missing("No account was written before the end: the owners of the RSS are unknown.")
	}
	ring := b.Series()
	in.Rows, in.Events = ring.Rows, ring.Events
	if b.LacksStacks {
		in.missing("Its table of stacks is missing: there is no flame graph.")
	} else {
		in.Profile = b.Profile(symbols)
	}
	in.missing("A recorder's file has no list of mappings: there is no map of the address space.")
	for _, note := range b.Notes {
		in.warn(note)
	}
	for _, why := range symbols.Missing() {
		in.warn("No names from " + why + ".")
	}
	last := b.Last()
	in.judge(verdict.Situation{Env: b.Environment, Dropped: b.Dropped(), Off: b.Off(),
		Dormant: last != nil && last.SampleBytes == 0, File: path, Ended: !alive})
	return in, nil
}
