package collect

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

const readmeWidth = 96

// Question is what a README.txt begins with.
const Question = "Does the Go heap explain the RSS?"

// Readme answers the first question from the files of a scene, and says what to do next.
func Readme(dir string, m *Manifest, o *Options) string {
	f := ReadFacts(dir, m)
	var b strings.Builder
	for _, line := range f.Answer() {
		fmt.Fprintln(&b, line)
	}
	f.writeVerdict(&b, o)
	f.writeHolders(&b, o.Situation.Callers)
	f.writeGoroutines(&b)
	f.writeNext(&b)
	f.writeMissing(&b, o)
	f.writeAbout(&b, o)
	return b.String()
}

// Answer is the first lines: the question, its answer, and what makes that doubtful.
func (f *Facts) Answer() []string {
	a := f.answer()
	lines := append([]string{Question + " " + a.word}, termtext.Wrap(a.text, readmeWidth)...)
	for _, text := range append([]string{f.cgroupLine()}, f.cautions()...) {
		if text != "" {
			lines = append(lines, termtext.Wrap(text, readmeWidth)...)
		}
	}
	return lines
}

// cgroupLine says why the cgroup's figure is another one; "": it hardly is.
func (f *Facts) cgroupLine() string {
	if f.body {
		text := f.Account.CgroupDiffers()
		if text != "" && f.isMostlyCache() {
			text += " The kernel reclaims page cache before it kills."
		}
		return text
	}
	if f.CgroupNow == nil || !f.isMostlyCache() {
		return ""
	}
	return fmt.Sprintf("The cgroup is charged %s, of which %s is page cache that this process "+
		"does not map: the kernel reclaims that before it kills.",
		termtext.Bytes(*f.CgroupNow), termtext.Bytes(f.pageCache()))
}

// isMostlyCache: at least a third of what the cgroup is charged.
func (f *Facts) isMostlyCache() bool {
	return f.CgroupNow != nil && float64(f.pageCache()) >= partlyShare*float64(*f.CgroupNow)
}

func heading(w io.Writer, title string) { fmt.Fprintf(w, "\n%s\n", title) }

func (f *Facts) writeVerdict(w io.Writer, o *Options) {
	if !f.body {
		return
	}
	heading(w, "VERDICT")
	for _, text := range verdict.Paragraphs(f.judge(o)) {
		termtext.WriteWrapped(w, text, "", readmeWidth)
	}
}

// judge lets the verdict's rules see the scene: its sentences name the files here.
func (f *Facts) judge(o *Options) []verdict.Finding {
	s := o.Situation
	s.Account = f.Account
	s.Grown = f.grownSince(o.First)
	if f.manifest.PID != nil {
		s.PID = *f.manifest.PID
	}
	s.Saved = map[string]string{}
	for name, path := range map[string]string{"heap": heapProfile, "goroutine": routines,
		"cgoheap": cgoProfile, "memory": memoryProfile} {
		if f.manifest.Has(path) {
			s.Saved[name] = path
		}
	}
	if st := f.Status; st != nil {
		s.Dormant, s.Dropped = st.State == "dormant", st.DroppedSamples()
		s.Missed, s.Off = st.Dropped[attach.MissedFree], time.Duration(st.OffNS)
	}
	s.Held = f.held(s.Callers)
	return verdict.Judge(&s)
}

func (f *Facts) writeGoroutines(w io.Writer) {
	lines := f.goroutineLines()
	if lines == nil {
		return
	}
	heading(w, "GOROUTINES")
	termtext.WriteWrapped(w, lines[0], "", readmeWidth)
	for _, line := range lines[1:] {
		fmt.Fprintln(w, line)
	}
}

func (f *Facts) writeNext(w io.Writer) {
	heading(w, "NEXT, in this directory")
	write := func(steps []step) {
		for _, s := range steps {
			fmt.Fprintf(w, "  %s:\n      %s\n", s.what, s.command)
		}
	}
	for i, t := range f.topics() {
		about := ""
		if t.bytes > 1 {
			about = ": " + termtext.Bytes(t.bytes)
		}
		fmt.Fprintf(w, "%d. %s%s\n", i+1, t.title, about)
		write(t.steps)
	}
	if general := f.general(); len(general) > 0 {
		fmt.Fprintln(w, "Also")
		write(general)
	}
}

// writeMissing names what the scene lacks, by reason.
func (f *Facts) writeMissing(w io.Writer, o *Options) {
	var reasons []string
	files := map[string][]string{}
	add := func(path, why string) {
		if files[why] == nil {
			reasons = append(reasons, why)
		}
		files[why] = append(files[why], path)
	}
	for _, file := range f.manifest.Files {
		if file.Error != nil {
			add(file.Path, *file.Error)
		}
	}
	for _, s := range sources {
		if o.Server != nil && s.from == fromGo && !o.isWanted(s) {
			add(s.path, "not asked for: "+s.only)
		}
	}
	if o.Server == nil {
		add("go/*", "no --url was given: Go's own profiles are on the service's net/http/pprof")
	}
	if o.Process == nil {
		add("proc/*, cgroup/*, host/*", "no process ID was given")
	}
	for _, path := range []string{"go/mutex.pb.gz", "go/block.pb.gz"} {
		if f.empty[path] {
			add(path, "empty, because the service does not record it "+
				"(runtime.SetMutexProfileFraction, runtime.SetBlockProfileRate)")
		}
	}
	if len(reasons) == 0 {
		return
	}
	heading(w, "MISSING, and why")
	for _, why := range reasons {
		list := strings.Join(slices.Compact(files[why]), ", ")
		termtext.WriteWrapped(w, list+": "+why, "    ", readmeWidth)
	}
}

// writeAbout says whose scene it is, what is private in it, and by whose eyes it was seen.
func (f *Facts) writeAbout(w io.Writer, o *Options) {
	heading(w, "ABOUT THIS DIRECTORY")
	m := f.manifest
	var of []string
	if m.PID != nil {
		of = append(of, fmt.Sprintf("process %d (%s) on %s", *m.PID, m.Program, m.Host))
	}
	if m.URL != nil {
		of = append(of, *m.URL)
	}
	text := fmt.Sprintf("Taken by cgoheap %s of %s, on %s", m.Version, strings.Join(of, " and "),
		m.Started.Format("2006-01-02 15:04:05 MST"))
	if m.Stopped != nil {
		text += ". It is not complete: " + *m.Stopped
	}
	paragraphs := []string{text + ". manifest.json has the time of each file.", f.viewLine(o),
		"It is private: it contains the command line, memory addresses, goroutine labels and " +
			"the names of functions and files. It has no environment variables and no contents " +
			"of memory."}
	for _, p := range paragraphs {
		if p != "" {
			termtext.WriteWrapped(w, p, "", readmeWidth)
		}
	}
}

func (f *Facts) viewLine(o *Options) string {
	switch {
	case o.Process == nil:
		return ""
	case f.manifest.View == viewContainer:
		return "Seen from inside a container: the figures of host/ are what it lets see, zombies " +
			"only its own processes, and the cgroup's path is relative to the container's."
	case o.Process.InnerPID() != o.Process.PID:
		return fmt.Sprintf("Seen from the host; in its own container the process is %d.",
			o.Process.InnerPID())
	}
	return "Seen from the host."
}

// commandLine as ps has it.
func commandLine(text []byte) string {
	return strings.Trim(strings.ReplaceAll(string(text), "\x00", " "), " \n")
}

// grownSince is what a series adds to the verdict's knowledge.
func (f *Facts) grownSince(first *account.Account) *account.Growth {
	if first == nil || f.Account == nil {
		return nil
	}
	return account.GrowthSince(first, f.Account)
}
