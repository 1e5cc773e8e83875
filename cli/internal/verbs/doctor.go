package verbs

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/program"
	"cgoheap.example/cli/internal/termtext"
)

const doctorHelp = `usage: cgoheap doctor [PROGRAM|PID|NAME] [--json] [--library PATH]

Checks whether cgoheap works: in a program before you start it, or in a running
process.  NAME is a program in PATH, else the name of a process; without an
argument, the only process that has cgoheap loaded.  Each check prints one line,
and what to do if it failed.  The exit code is 0 if cgoheap works, else 1.

Examples:
  cgoheap doctor ./service
  cgoheap doctor 4242
`

// report is the checks and a verdict of one sentence.
type report struct {
	Target  string          `json:"target"`
	PID     *int            `json:"pid"`
	Works   bool            `json:"works"`
	Verdict string          `json:"verdict"`
	Checks  []program.Check `json:"checks"`
}

func doctor(std stdio, args []string) error {
	asJSON, library := false, ""
	f := flags.New()
	f.Boolean("--json", &asJSON)
	f.Text("--library", &library)
	wanted, err := f.ParseTarget(args)
	if err != nil {
		return err
	}
	r, err := examine(wanted, library)
	if err != nil {
		return err
	}
	if asJSON {
		err = document.Write(std.out, "doctor", r)
	} else {
		r.print(std)
	}
	if err == nil && !r.Works {
		err = errReported
	}
	return err
}

// examine takes a number for a process; a program of that name is ./4242.
func examine(target, library string) (*report, error) {
	if target != "" && !attach.IsNumber(target) {
		r, err := examineProgram(target, library)
		if err == nil || strings.Contains(target, "/") {
			return r, err
		}
		p, notFound := attach.FindAny(target)
		var several attach.SeveralError
		if errors.As(notFound, &several) {
			return nil, notFound
		}
		if p == nil {
			return nil, fmt.Errorf("%w; and %w", err, notFound)
		}
		return examineProcess(p, library)
	}
	p, err := attach.FindProcess(target)
	if err != nil {
		return nil, err
	}
	return examineProcess(p, library)
}

func examineProgram(name, library string) (*report, error) {
	path, err := resolveProgram(name)
	if err != nil {
		// It may not be executable: a check says so.
		if _, statErr := os.Stat(name); statErr != nil {
			return nil, err
		}
		path = name
	}
	f, err := program.Inspect(path)
	if err != nil {
		return nil, explainOpen(path, err)
	}
	r := &report{Target: path, Checks: program.CheckProgram(f, os.Getuid(), os.Getgid())}
	if f.Loader != "" {
		found, err := attach.FindLibrary(library)
		r.Checks = append(r.Checks, program.CheckLibrary(found, err, f))
		r.Checks = append(r.Checks, program.CheckPreload(os.Getenv("LD_PRELOAD"),
			attach.IsLibraryHere)...)
		// The program would have this command's user, root directory and environment.
		if self, err := attach.OpenProcess(os.Getpid()); err == nil {
			if env, err := self.Environ(); err == nil {
				r.Checks = append(r.Checks, program.CheckPlaces(self, env))
			}
		}
	}
	next := "start it with cgoheap run -- " + termtext.QuoteShell(path)
	if f.IsGoLibrary {
		next = f.LibraryNext()
	}
	r.judge(next)
	return r, nil
}

func examineProcess(p *attach.Process, library string) (*report, error) {
	r := &report{Target: p.Executable(), PID: &p.PID}
	shims, err := p.Shims()
	if err != nil {
		return nil, p.ExplainAccess(err)
	}
	if r.Target == "" {
		return nil, p.ExplainNoShim()
	}
	f, err := program.InspectProcess(p, r.Target)
	if err != nil {
		return nil, p.ExplainAccess(err)
	}
	env, err := p.Environ()
	if err != nil {
		return nil, p.ExplainAccess(err)
	}
	if len(shims) == 0 {
		r.examineUnloaded(p, f, env, library)
		return r, nil
	}
	r.Checks = append(r.Checks, program.CheckGo(f))
	if s, err := attach.NewClient(p).Status(); err == nil && !f.IsGo() && s.Host.GoVersion != "" {
		r.Checks[0] = program.OK("go", "%s, in a library that it loaded",
			termtext.Escape(s.Host.GoVersion))
	} else if env["CGOHEAP_ANY"] == "1" && !f.IsGo() {
		r.Checks[0] = program.OK("go", "not a Go program, but CGOHEAP_ANY=1 is set")
	}
	r.Checks = append(r.Checks, program.CheckTables(f)...)
	if f.HasCgo || !f.IsGo() {
		f.ReadMapped(p)
		r.Checks = append(r.Checks, program.CheckAllocator(f))
		if c := program.CheckPrivate(f); c != nil {
			r.Checks = append(r.Checks, *c)
		}
	}
	r.Checks = append(r.Checks, checkLoaded(shims), checkOrder(env["LD_PRELOAD"], p.IsLibrary))
	if len(f.Instrumented()) > 0 {
		r.Checks = append(r.Checks, program.CheckInstrumented(f, env["ASAN_OPTIONS"]))
	}
	if c := program.CheckProc(p); c != nil {
		r.Checks = append(r.Checks, *c)
	}
	// Before the library is asked: what a filter keeps it from doing.
	if c := program.CheckSeccomp(program.SeccompMode(p.PID)); c != nil {
		r.Checks = append(r.Checks, *c)
	}
	r.Checks = append(r.Checks, checkShim(attach.NewClient(p))...)
	r.judge(fmt.Sprintf("see who holds C memory with cgoheap top %d", p.PID))
	return r, nil
}

// examineUnloaded says what would happen after a restart.
func (r *report) examineUnloaded(p *attach.Process, f *program.Facts, env map[string]string,
	library string) {
	restart := "restart it with cgoheap run -- " + termtext.QuoteShell(p.Executable())
	why := "not loaded, and it cannot be loaded into a running process"
	for _, preload := range attach.Preloads(env["LD_PRELOAD"]) {
		if p.IsLibrary(preload) {
			why = program.WhyNotLoaded(p, f, preload)
		}
	}
	r.Checks = program.CheckProgram(f, p.EffectiveUID(), os.Getgid())
	if f.Loader != "" {
		found, err := attach.FindLibrary(library)
		r.Checks = append(r.Checks, program.CheckLibrary(found, err, f))
		r.Checks = append(r.Checks, program.CheckPreload(env["LD_PRELOAD"], p.IsLibrary)...)
		r.Checks = append(r.Checks, program.CheckPlaces(p, env))
		if c := program.CheckProc(p); c != nil {
			r.Checks = append(r.Checks, *c)
		}
	}
	works := true
	for _, c := range r.Checks {
		works = works && c.Level != program.LevelFail
	}
	if !works {
		restart = ""
	}
	r.Checks = append(r.Checks, program.Fail("loaded", restart, "%s", why))
	r.judge("")
	if works {
		r.Verdict = "not loaded, but it would work: " + restart
	}
}

func checkLoaded(shims []string) program.Check {
	if len(shims) > 1 {
		return program.Warn("loaded", "preload one of them", "%d copies are loaded: %s", len(shims),
			termtext.Escape(strings.Join(shims, ", ")))
	}
	return program.OK("loaded", "%s", termtext.Escape(shims[0]))
}

// knownAllocators are libraries that answer malloc and call no next one.
var knownAllocators = []string{"jemalloc", "tcmalloc", "mimalloc", "snmalloc", "rpmalloc",
	"hardened_malloc",
	"hoard", "tbbmalloc", "libasan", "libscudo", "heaptrack", "dmalloc"}

// checkOrder: an allocator before our library in LD_PRELOAD hides all calls from it.
func checkOrder(preload string, isLibrary func(path string) bool) program.Check {
	const name = "order"
	var before []string
	found := false
	for _, p := range attach.Preloads(preload) {
		if isLibrary(p) {
			found = true
			break
		}
		before = append(before, p)
	}
	if !found {
		return program.OK(name, "loaded by something other than LD_PRELOAD")
	}
	for _, p := range before {
		for _, a := range knownAllocators {
			if strings.Contains(filepath.Base(p), a) {
				return program.Fail(name, "restart it with "+attach.LibraryName+
					" first in LD_PRELOAD, as cgoheap run does",
					"%s comes before it in LD_PRELOAD and provides malloc itself",
					termtext.Escape(p))
			}
		}
	}
	if len(before) > 0 {
		return program.Warn(name, "put "+attach.LibraryName+" first, as cgoheap run does",
			"%s before it in LD_PRELOAD", termtext.Escape(strings.Join(before, ", ")))
	}
	return program.OK(name, "first in LD_PRELOAD")
}

// checkShim asks the library.
func checkShim(c *attach.Client) []program.Check {
	s, err := c.Status()
	if err != nil {
		return []program.Check{program.Fail("socket", "", "%s", err)}
	}
	answer := "answers, library " + termtext.Escape(s.Version)
	switch {
	case s.Socket != nil:
		answer = termtext.Escape(*s.Socket) + " " + answer
	case s.TCPPort != nil:
		answer = fmt.Sprintf("no unix socket, but TCP port %d %s", *s.TCPPort, answer)
	}
	checks := []program.Check{program.OK("socket", "%s", answer), checkState(c.Process.PID, s),
		checkDropped(s), checkStacks(s),
		program.OK("memory", "%s of at most %s", termtext.Bytes(int64(s.Memory.ResidentBytes)),
			termtext.Bytes(int64(s.Memory.MaxBytes)))}
	if s.Host.Unknown != nil {
		checks = append(checks, checkFunctions(*s.Host.Unknown))
	}
	return checks
}

// checkFunctions: a C library newer than this cgoheap may have more ways to allocate.
func checkFunctions(names string) program.Check {
	return program.Warn("functions", "use a newer cgoheap if there is one",
		"the C library has allocation functions that cgoheap does not know; what they allocate "+
			"or free is missed: %s", termtext.Escape(names))
}

func checkState(pid int, s *attach.Status) program.Check {
	const name = "state"
	malloc := "the allocator is unknown"
	if s.Host.Allocator != "" {
		malloc = fmt.Sprintf("malloc is %s's", termtext.Escape(s.Host.Allocator))
	}
	text := fmt.Sprintf("%s, %s, %s taken, %s live, %s", termtext.Escape(s.State),
		termtext.Interval(s.SampleBytes),
		termtext.CountOf(int(s.Samples.Taken), "sample", "samples"),
		termtext.Count(int64(s.Samples.Live)), malloc)
	switch {
	case s.IsUnbounded():
		return program.Warn(name, "", "%s; %s", text, unboundedCost(s, pid))
	case s.State == "sampling":
		return program.OK(name, "%s", text)
	}
	return program.Warn(name, fmt.Sprintf("cgoheap sampling %d on", pid), "%s", text)
}

func checkDropped(s *attach.Status) program.Check {
	const name = "dropped"
	var parts []string
	full := false
	for _, key := range slices.Sorted(maps.Keys(s.Dropped)) {
		// A stale record is a free that was missed: no sample was lost.
		if n := s.Dropped[key]; n > 0 {
			what := strings.ReplaceAll(termtext.Escape(key), "_", " ")
			if key == attach.MissedFree {
				what = "frees missed"
			}
			parts = append(parts, termtext.Count(int64(n))+" "+what)
			full = full || strings.HasSuffix(key, "_full")
		}
	}
	if s.ThreadsMissed > 0 {
		parts = append(parts, termtext.CountOf(int(s.ThreadsMissed), "thread stack not recorded",
			"thread stacks not recorded"))
	}
	if len(parts) == 0 {
		return program.OK(name, "no sample was dropped")
	}
	remedy := ""
	if full {
		remedy = fmt.Sprintf("give it more memory (CGOHEAP_MAX_MEMORY, now %s) or larger "+
			"CGOHEAP_SAMPLE_BYTES",
			termtext.ExactBytes(s.Memory.MaxBytes))
	}
	return program.Warn(name, remedy, "%s", strings.Join(parts, ", "))
}

// checkStacks: a stack that ends early still has its leaf, but not who asked.
func checkStacks(s *attach.Status) program.Check {
	const name = "stacks"
	total := s.Stacks.Complete + s.Stacks.Truncated
	if total == 0 {
		return program.OK(name, "none yet")
	}
	share := 100 * float64(s.Stacks.Complete) / float64(total)
	text := fmt.Sprintf("%s of %s complete", formatShare(share), termtext.Count(int64(total)))
	var reasons []string
	for _, end := range slices.Sorted(maps.Keys(s.Stacks.ByEnd)) {
		if n := s.Stacks.ByEnd[end]; n > 0 && !strings.HasPrefix(end, "complete_") {
			reasons = append(reasons, termtext.Count(int64(n))+" "+
				strings.ReplaceAll(termtext.Escape(end), "_", " "))
		}
	}
	if len(reasons) > 0 {
		text += "; the others: " + strings.Join(reasons, ", ")
	}
	remedy := ""
	if n := s.Stacks.NoRoom; n > 0 {
		text += fmt.Sprintf("; %s shortened for lack of room", termtext.Count(int64(n)))
		if n > total/100 {
			share = 0
			remedy = fmt.Sprintf("give it more memory (CGOHEAP_MAX_MEMORY, now %s) or larger "+
				"CGOHEAP_SAMPLE_BYTES", termtext.ExactBytes(s.Memory.MaxBytes))
		}
	}
	if share < 99 {
		return program.Warn(name, remedy, "%s", text)
	}
	return program.OK(name, "%s", text)
}

// formatShare never rounds up to 100 %.
func formatShare(percent float64) string {
	if percent == 100 {
		return "100 %"
	}
	return fmt.Sprintf("%.2f %%", min(percent, 99.99))
}

// judge makes the verdict of the checks.
func (r *report) judge(next string) {
	var warnings []string
	for _, c := range r.Checks {
		switch c.Level {
		case program.LevelFail:
			r.Verdict = "will not work: " + c.Text
			return
		case program.LevelWarn:
			warnings = append(warnings, c.Name)
		}
	}
	r.Works = true
	r.Verdict = "works: " + next
	if len(warnings) > 0 {
		r.Verdict = fmt.Sprintf("works, but see %s: %s", strings.Join(warnings, ", "), next)
	}
}

func (r *report) print(std stdio) {
	title := termtext.Escape(r.Target)
	if r.PID != nil {
		title = fmt.Sprintf("process %d, %s", *r.PID, title)
	}
	fmt.Fprintln(std.out, title)
	width := 10
	for _, c := range r.Checks {
		width = max(width, len(c.Name))
	}
	for _, c := range r.Checks {
		fmt.Fprintf(std.out, "  %-5s %-*s %s\n", c.Level, width, c.Name, c.Text)
		if c.Remedy != "" {
			fmt.Fprintf(std.out, "  %-5s %-*s -> %s\n", "", width, "", c.Remedy)
		}
	}
	fmt.Fprintln(std.out, r.Verdict)
}
