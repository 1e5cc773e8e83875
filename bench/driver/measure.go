package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A record is rounds.tsv as it grows: a bench that is interrupted leaves what it has.
type record struct{ file *os.File }

func (r record) put(round int, k key, what string, value any) {
	text := fmt.Sprint(value)
	if v, is := value.(float64); is {
		text = fmt.Sprintf("%.0f", v)
	}
	fmt.Fprint(r.file, row{round, k, what, text})
}

// measure leaves in the output directory: rounds.tsv, machine.txt, and sections/, what the other
// scripts of the bench print.
func measure(o options) error {
	s := setup{o.root, o.out, or(os.Getenv("BENCH_SHIM"),
		filepath.Join(o.root, "build", "libcgoheap.so"))}
	if _, err := os.Stat(s.shim); err != nil {
		return fmt.Errorf("%w: run `make`", err)
	}
	left, _ := filepath.Glob(filepath.Join(o.out, "run-*")) // by a bench that was interrupted
	for _, dir := range left {
		os.RemoveAll(dir)
	}
	file, err := os.Create(filepath.Join(o.out, "rounds.tsv"))
	if err != nil {
		return err
	}
	defer file.Close()
	rec := record{file}
	programs, profilers := o.chosen()
	programs, err = buildable(o, rec, programs, profilers)
	if err != nil {
		return err
	}
	profilers = installed(s, rec, programs, profilers)
	if err := writeMachine(o); err != nil {
		return err
	}
	countInstructions(o, s, rec, programs, profilers)
	measureRounds(o, s, rec, programs, profilers)
	return runSections(o, s)
}

// chosen is what the user did not exclude.
func (o options) chosen() (w []workload, p []profiler) {
	for _, x := range workloads {
		if o.only.MatchString(x.name) {
			w = append(w, x)
		}
	}
	for i, x := range profilers {
		if i == 0 || o.profilers.MatchString(x.name) {
			p = append(p, x)
		}
	}
	return w, p
}

// buildable builds the workloads, and leaves out, with a row, those that cannot be built.
func buildable(o options, rec record, w []workload, p []profiler) ([]workload, error) {
	say("building %d workloads", len(w))
	failed, err := build(o.root, o.out, w)
	for _, x := range w {
		for _, y := range p {
			if why := failed[x.name]; why != "" {
				rec.put(0, key{x.name, y.name}, "failed", why)
			}
		}
	}
	return slices.DeleteFunc(w, func(x workload) bool { return failed[x.name] != "" }), err
}

// installed leaves out, with a row, what is not on this machine.
func installed(s setup, rec record, w []workload, p []profiler) (there []profiler) {
	for _, y := range p {
		_, lacks := y.library(s)
		if lacks == "" {
			there = append(there, y)
			continue
		}
		say("%s: %s", y.title, lacks)
		for _, x := range w {
			rec.put(0, key{x.name, y.name}, "failed", lacks)
		}
	}
	return there
}

// measureRounds does every workload under every profiler in each round, beginning with another
// profiler each time, so that what the machine does in between falls on all of them.
func measureRounds(o options, s setup, rec record, w []workload, p []profiler) {
	for _, x := range w {
		for _, y := range p {
			rec.put(0, key{x.name, y.name}, "amount", x.amount(o.scale, y))
		}
	}
	until := time.Now().Add(time.Duration(o.minutes * float64(time.Minute)))
	if o.quick {
		until = quickRounds()
	}
	for round := 0; o.rounds == 0 || round < o.rounds; round++ {
		if round > 0 && (o.quick || o.rounds == 0) && time.Now().After(until) {
			break
		}
		say("round %d", round+1)
		for _, x := range w {
			for i := range p {
				y := p[(i+round)%len(p)]
				measureOne(o, s, rec, round, x, y)
			}
		}
	}
}

func measureOne(o options, s setup, rec record, round int, x workload, y profiler) {
	k := key{x.name, y.name}
	f, err := run(s, x, y, x.amount(o.scale, y), round == 0)
	if err != nil {
		say("%s under %s: %v", x.name, y.name, err)
		rec.put(round, k, "failed", err)
		return
	}
	rec.put(round, k, string(wall), f.wallNS)
	rec.put(round, k, string(cpu), f.cpuNS)
	if !y.isSlow || x.share == 1 { // else it keeps less than the run that it is compared with
		rec.put(round, k, string(peak), f.peakKiB)
	}
	if f.profile.ns > 0 {
		rec.put(round, k, string(size), f.profile.bytes)
		rec.put(round, k, string(request), f.profile.ns)
	}
	if f.profile.goCaller != "" {
		rec.put(round, k, "caller", f.profile.goCaller)
	}
}

// countInstructions counts a part of each workload; a quick run not that of DuckDB, which alone
// would take as long as all others.
func countInstructions(o options, s setup, rec record, w []workload, p []profiler) {
	if _, lacks := callgrind(); lacks != "" {
		say("no instructions: %s", lacks)
		return
	}
	say("counting instructions")
	scale := o.scale
	if o.quick {
		scale = 1
	}
	var jobs []job
	for _, x := range w {
		if o.quick && x.name == "duckdb" {
			continue
		}
		for _, y := range p {
			jobs = append(jobs, job{x, y, x.counted(scale, y)})
		}
	}
	until := began.Add(time.Hour)
	if o.quick {
		until = quickCounts()
	}
	countAll(s, jobs, until, func(j job, n float64, err error) {
		if err != nil {
			say("%s under %s: %v", j.workload.name, j.profiler.name, err)
			return
		}
		k := key{j.workload.name, j.profiler.name}
		rec.put(0, k, string(instructions), n)
		rec.put(0, k, "counted", j.n)
	})
}

// writeMachine says what was measured, and where: a line a fact, "NAME: VALUE".
func writeMachine(o options) error {
	var b strings.Builder
	fact := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	output := func(name string, args ...string) string {
		c := exec.Command(name, args...)
		c.Dir = o.root
		text, _ := c.Output()
		return string(text)
	}
	fact("run", map[bool]string{true: "quick", false: "full"}[o.quick])
	fact("date", time.Now().UTC().Format("2006-01-02"))
	fact("cgoheap", output("git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"))
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(cpuinfo)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			fact("CPU", strings.TrimSpace(value)+", "+strings.TrimSpace(output("nproc"))+" cores")
			break
		}
	}
	fact("kernel", output("uname", "-r"))
	fact("libc", output("getconf", "GNU_LIBC_VERSION"))
	fact("compiler", firstLine(output(or(os.Getenv("CC"), "cc"), "--version"), ""))
	fact("Go", output(or(os.Getenv("GO"), "go"), "env", "GOVERSION"))
	for _, name := range []string{"heaptrack", "libjemalloc2", "libgoogle-perftools4", "valgrind"} {
		fact(name, output("dpkg-query", "-W", "-f", "${Version}", name))
	}
	modules, _ := os.ReadFile(filepath.Join(o.root, "bench", "workloads", "go.mod"))
	for line := range strings.Lines(string(modules)) {
		f := strings.Fields(line)
		if len(f) == 2 && strings.HasPrefix(f[0], "github.com/") {
			fact(strings.TrimPrefix(f[0], "github.com/"), f[1])
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fact("load when it began", strings.Join(strings.Fields(string(load))[:1], ""))
	return os.WriteFile(filepath.Join(o.out, "machine.txt"), []byte(b.String()), 0o644)
}
