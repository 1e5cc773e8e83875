// Command driver measures what the library costs beside its peers, in rounds, and writes
// bench/RESULTS.md. bench/run starts it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// options are of one run of the bench.
type options struct {
	root, out, results           string
	quick, render, check, update bool
	minutes, scale               float64
	rounds                       int
	only, profilers, sections    *regexp.Regexp
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench/run", flag.ContinueOnError)
	root := flags.String("root", ".", "the source tree")
	flags.BoolVar(&o.quick, "quick", false, "under three minutes, with less certainty; "+
		"leaves bench/RESULTS.md as it is unless -results names it")
	flags.BoolVar(&o.render, "render", false, "measure nothing: "+
		"write again what the last run measured")
	flags.BoolVar(&o.check, "check", false, "measure nothing: "+
		"fail where a page quotes another figure than bench/RESULTS.md has")
	flags.BoolVar(&o.update, "quote", false, "measure nothing: "+
		"make the pages quote bench/RESULTS.md")
	flags.StringVar(&o.results, "results", "", "write the table there (default bench/RESULTS.md)")
	flags.Float64Var(&o.minutes, "minutes", 10, "rounds go on for so long")
	flags.IntVar(&o.rounds, "rounds", 0, "this many rounds, however long they take")
	flags.Float64Var(&o.scale, "scale", 1, "how much of each workload a round does")
	only := flags.String("only", ".*", "workloads, a regular expression")
	names := flags.String("profilers", ".*", "profilers, a regular expression; "+
		"the run without is always in")
	others := flags.String("sections", ".*", "other scripts of bench/, a regular expression")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.root, err = filepath.Abs(*root); err != nil {
		return o, err
	}
	for _, x := range []struct {
		text string
		to   **regexp.Regexp
	}{{*only, &o.only}, {*names, &o.profilers}, {*others, &o.sections}} {
		if *x.to, err = regexp.Compile("^(" + x.text + ")$"); err != nil {
			return o, err
		}
	}
	o.out = or(os.Getenv("BENCH_OUT"), filepath.Join(o.root, "build", "bench"))
	if o.out, err = filepath.Abs(o.out); err != nil {
		return o, err
	}
	if o.quick && o.rounds == 0 {
		o.rounds, o.scale = 4, o.scale/2
	}
	if o.results == "" && o.quick {
		o.results = filepath.Join(o.out, "RESULTS.md")
	} else if o.results == "" {
		o.results = filepath.Join(o.root, "bench", "RESULTS.md")
	}
	return o, nil
}

func execute(o options) error {
	switch {
	case o.check:
		return checkQuotes(o.root)
	case o.update:
		return updateQuotes(o.root)
	case !o.render:
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return err
		}
		if err := measure(o); err != nil {
			return err
		}
	}
	return write(o)
}

// write makes the page of what is in the output directory, prints it, and lets the other pages
// quote it where it is the tree's own.
func write(o options) error {
	page, err := render(o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.results, []byte(page), 0o644); err != nil {
		return err
	}
	fmt.Print(plain(page))
	say("written to %s", o.results)
	if o.results != filepath.Join(o.root, "bench", "RESULTS.md") {
		return nil
	}
	return updateQuotes(o.root)
}

// say tells how far the bench is.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: %4.0f s  "+format+"\n",
		append([]any{time.Since(began).Seconds()}, args...)...)
}

var began = time.Now()

// A quick run is over in three minutes on a machine that has other things to do too: counts, rounds
// and other scripts each begin nothing after their time.
func quickCounts() time.Time { return began.Add(50 * time.Second) }
func quickRounds() time.Time { return began.Add(100 * time.Second) }
func quickEnd() time.Time    { return began.Add(165 * time.Second) }

func main() {
	o, err := parse(os.Args[1:])
	if err == flag.ErrHelp {
		return
	}
	if err == nil {
		err = execute(o)
	}
	if err != nil {
		say("%v", err)
		os.Exit(1)
	}
}
