package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cgoheap/cli/internal/flags"
	"cgoheap/cli/internal/termtext"
)

// Which process is meant: an ID, a program's name, or nothing where one alone
// has the library loaded.

// errSeveral is a mistake of the command line, too: exit code 2.
type errSeveral struct {
	wanted string
	among  []*process
}

func (e errSeveral) Error() string {
	var b strings.Builder
	if e.wanted == "" {
		fmt.Fprintf(&b, "%d processes have cgoheap loaded; give the ID of one:", len(e.among))
	} else {
		fmt.Fprintf(&b, "%d processes of %s have cgoheap loaded; give the ID of one:", len(e.among), termtext.Quote(e.wanted))
	}
	for _, p := range e.among {
		fmt.Fprintf(&b, "\n  %-8d %s", p.pid, p.program())
	}
	return b.String()
}

// attach opens a process that has the shim loaded, for the verbs that talk to it.
func attach(wanted string) (*client, error) {
	p, err := findProcess(wanted)
	if err != nil {
		return nil, err
	}
	shims, err := p.shims()
	switch {
	case err != nil:
		return nil, p.explainAccess(err)
	case len(shims) == 0:
		return nil, p.explainNoShim()
	}
	return newClient(p), nil
}

func isNumber(word string) bool {
	_, err := strconv.Atoi(word)
	return err == nil
}

// findProcess takes a number for an ID, whatever a program may be called.
func findProcess(wanted string) (*process, error) {
	if isNumber(wanted) {
		pid, err := parsePID(wanted)
		if err != nil {
			return nil, err
		}
		return openProcess(pid)
	}
	loaded, unreadable, err := findShims()
	if err != nil {
		return nil, err
	}
	var found []*process
	for _, p := range loaded {
		if wanted == "" || p.isCalled(wanted) {
			found = append(found, p)
		}
	}
	found = withoutPassive(found)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		slices.SortFunc(found, func(a, b *process) int { return a.pid - b.pid })
		return nil, errSeveral{wanted, found}
	}
	return nil, explainNone(wanted, loaded, unreadable)
}

// isCalled compares with the executable's name and with the kernel's, which has 15 bytes.
func (p *process) isCalled(name string) bool {
	return p.program() == name || p.name == name
}

// withoutPassive leaves out those in which the shim sleeps (the shell that started the program), unless those are all.
func withoutPassive(all []*process) []*process {
	passive := make([]bool, len(all))
	var wait sync.WaitGroup
	for i, p := range all {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if env, err := p.environ(); err == nil {
				reason, _ := p.passiveReason(env)
				passive[i] = reason != ""
			}
		}()
	}
	wait.Wait()
	var active []*process
	for i, p := range all {
		if !passive[i] {
			active = append(active, p)
		}
	}
	if len(active) == 0 {
		return all
	}
	return active
}

func explainNone(wanted string, loaded []*process, unreadable int) error {
	hidden := ""
	if unreadable > 0 {
		hidden = fmt.Sprintf(" (%s could not be looked at: %s)", termtext.CountOf(unreadable, "process", "processes"), unreadableRemedy())
	}
	if wanted == "" {
		return fmt.Errorf("no process has cgoheap loaded: start one with cgoheap run -- PROGRAM%s", hidden)
	}
	if p := processCalled(wanted); p != nil {
		return p.explainNoShim()
	}
	var names []string
	for _, p := range loaded {
		names = append(names, p.program())
	}
	if near := flags.Nearest(wanted, names); near != "" {
		return fmt.Errorf("no process of %s has cgoheap loaded; is it %s?%s", termtext.Quote(wanted), termtext.Quote(near), hidden)
	}
	return fmt.Errorf("no process of %s has cgoheap loaded; cgoheap list shows those that have%s", termtext.Quote(wanted), hidden)
}

// processCalled is one that runs without the shim; nil where there is none of that name.
func processCalled(name string) *process {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if !isNumber(entry.Name()) {
			continue
		}
		pid, _ := strconv.Atoi(entry.Name())
		p, err := openProcess(pid)
		if err == nil && p.executable() != "" && p.isCalled(name) {
			return p
		}
	}
	return nil
}
