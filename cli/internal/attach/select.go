package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/termtext"
)

// Which process is meant: an ID, a program's name, or nothing where only one has the
// library loaded.

// SeveralError is a usage error: exit code 2.
type SeveralError struct {
	wanted  string
	Among   []*Process
	without bool // none of them has the library
}

func (e SeveralError) Error() string {
	var b strings.Builder
	if e.without {
		fmt.Fprintf(&b, "%d processes are called %s; name one by its ID:",
			len(e.Among), termtext.Quote(e.wanted))
	} else if e.wanted == "" {
		fmt.Fprintf(&b, "%d processes have cgoheap loaded; name one by its ID:", len(e.Among))
	} else {
		fmt.Fprintf(&b, "%d processes of %s have cgoheap loaded; name one by its ID:",
			len(e.Among), termtext.Quote(e.wanted))
	}
	for _, p := range e.Among {
		fmt.Fprintf(&b, "\n  %-8d %s", p.PID, p.Program())
	}
	return b.String()
}

// To finds a process that has the library loaded.
func To(wanted string) (*Client, error) {
	p, err := FindProcess(wanted)
	if err != nil {
		return nil, err
	}
	shims, err := p.Shims()
	switch {
	case err != nil:
		return nil, p.ExplainAccess(err)
	case len(shims) == 0:
		return nil, p.ExplainNoShim()
	}
	return NewClient(p), nil
}

// IsNumber says whether a word is taken for a process ID.
func IsNumber(word string) bool {
	_, err := strconv.Atoi(word)
	return err == nil
}

// FindProcess takes a number for a process ID, even if a program has that name.
func FindProcess(wanted string) (*Process, error) {
	if IsNumber(wanted) {
		pid, err := parsePID(wanted)
		if err != nil {
			return nil, err
		}
		return OpenProcess(pid)
	}
	loaded, unreadable, err := FindShims()
	if err != nil {
		return nil, err
	}
	var found []*Process
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
		slices.SortFunc(found, func(a, b *Process) int { return a.PID - b.PID })
		return nil, SeveralError{wanted: wanted, Among: found}
	}
	return nil, explainNone(wanted, loaded, unreadable)
}

// FindAny is FindProcess, and takes a process without the library where none of that name has
// it.
func FindAny(wanted string) (*Process, error) {
	p, err := FindProcess(wanted)
	var several SeveralError
	if err == nil || wanted == "" || IsNumber(wanted) || errors.As(err, &several) {
		return p, err
	}
	switch found := processesCalled(wanted); len(found) {
	case 0:
		return nil, err
	case 1:
		return found[0], nil
	default:
		return nil, SeveralError{wanted: wanted, Among: found, without: true}
	}
}

// isCalled compares with the executable's name, and with the kernel's name of 15 bytes.
func (p *Process) isCalled(name string) bool {
	return p.Program() == name || p.kernelName == name
}

// withoutPassive drops processes whose library is passive, such as the shell that started
// the program, unless all are.
func withoutPassive(all []*Process) []*Process {
	passive := make([]bool, len(all))
	InParallel(len(all), func(i int) {
		if env, err := all[i].Environ(); err == nil {
			reason, _ := all[i].PassiveReason(env)
			passive[i] = reason != ""
		}
	})
	var active []*Process
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

func explainNone(wanted string, loaded []*Process, unreadable int) error {
	hidden := Missing(unreadable)
	if hidden != "" {
		hidden = " (" + hidden + ")"
	}
	if wanted == "" {
		return fmt.Errorf("no process has cgoheap loaded: "+
			"start one with cgoheap run -- PROGRAM%s", hidden)
	}
	if found := processesCalled(wanted); len(found) > 0 {
		return found[0].ExplainNoShim()
	}
	var names []string
	for _, p := range loaded {
		names = append(names, p.Program())
	}
	if near := flags.Nearest(wanted, names); near != "" {
		return fmt.Errorf("no process of %s has cgoheap loaded; is it %s?%s",
			termtext.Quote(wanted), termtext.Quote(near), hidden)
	}
	return fmt.Errorf("no process of %s has cgoheap loaded; "+
		"cgoheap list shows those that have%s", termtext.Quote(wanted), hidden)
}

// processesCalled are those of a name, by ID.
func processesCalled(name string) (found []*Process) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if !IsNumber(entry.Name()) {
			continue
		}
		pid, _ := strconv.Atoi(entry.Name())
		p, err := OpenProcess(pid)
		if err == nil && p.Executable() != "" && p.isCalled(name) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b *Process) int { return a.PID - b.PID })
	return found
}

// FindShims finds the processes that map the library, and counts those that it may not read.
func FindShims() (found []*Process, unreadable int, err error) {
	names, err := os.ReadDir("/proc")
	if err != nil || !hasProc() {
		return nil, 0, errNoProc
	}
	var mu sync.Mutex
	InParallel(len(names), func(i int) {
		pid, err := strconv.Atoi(names[i].Name())
		if err != nil {
			return
		}
		p, err := OpenProcess(pid)
		if errors.As(err, &hiddenError{}) {
			mu.Lock()
			unreadable++
			mu.Unlock()
		}
		if err != nil {
			return
		}
		shims, err := p.Shims()
		closed := err != nil && p.alive() && (errors.Is(err, errGuarded) || p.hasCommandLine())
		mu.Lock()
		defer mu.Unlock()
		switch {
		case closed:
			unreadable++
		case len(shims) > 0 && p.State != 'Z':
			found = append(found, p)
		}
	})
	slices.SortFunc(found, func(a, b *Process) int { return a.PID - b.PID })
	return found, unreadable, nil
}

// hasCommandLine tells programs from kernel threads, which have none; every user may read it.
func (p *Process) hasCommandLine() bool {
	text, err := readGuarded(ProcPath(p.PID, "cmdline"))
	return err == nil && len(text) > 0
}

// Missing says which processes a look at all of them did not see, and what to do; "": none.
func Missing(unreadable int) string {
	// Each PID namespace has a process 1, which a user sees unless /proc hides others' (hidepid=2).
	_, err := os.Stat("/proc/1")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "/proc hides the processes of other users (hidepid): " + hiddenRemedy()
	case unreadable > 0:
		return fmt.Sprintf("%s could not be inspected: %s",
			termtext.CountOf(unreadable, "process", "processes"), unreadableRemedy())
	}
	return ""
}

// unreadableRemedy is what to do about processes that could not be read.
func unreadableRemedy() string {
	if os.Geteuid() == 0 {
		return "even root is denied access, by the kernel or this container"
	}
	return "run this as root to see those of other users too"
}

const lookers = 8

// InParallel calls do for 0 to n-1, a few at a time, so that one process that hangs does not
// hold up the others.
func InParallel(n int, do func(i int)) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, lookers)
	for i := range n {
		wait.Add(1)
		slots <- struct{}{}
		go func() {
			do(i)
			<-slots
			wait.Done()
		}()
	}
	wait.Wait()
}
