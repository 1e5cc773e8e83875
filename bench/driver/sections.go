package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A section is another script of the bench, bench/NAME: it prints lines "NAME VALUE [TARGET]", or a
// small table. BENCH_QUICK is set for it in a quick run.
// The note says what a name does not.
type section struct{ name, title, note string }

var sections = []section{
	{"instructions", "A pair on the fast path",
		"Sampling includes the few samples of 500,000 pairs."},
	{"capture", "Capturing a stack",
		"What misses is the cost of a stack besides its frames. Of the 660 instructions of an " +
			"unchanged mixed stack about 155 compare frames, 200 are eight changes between " +
			"kinds of frames, 100 two crossings, 65 each the entry and the walk's own, 39 the " +
			"stack's bounds, 20 labels. Where all has changed, frames are also listed and kept. " +
			"Comparing within the walk was tried: 3 fewer in C, 13 more in Go."},
	{"exact", "Recording every allocation",
		"Of what is added in C about 370 instructions are the walk, and 620 the tables: " +
			"record_here 122, live_try_take 108, live_put 88, take_out_at_once 76, slow_malloc " +
			"50, the switch of stacks 60, the site 63. Two atomics for a site's counters " +
			"instead of four, one hash a free and the clock once in 16 records brought it there. " +
			"In Go, heaptrack ends at runtime.asmcgocall, and so walks half of the frames. Who " +
			"frees takes 54 instructions of a pair in C and 63 in Go, a twentieth: nine of " +
			"each free, and 2,900 of one in 64. At an interval of 64 bytes a sampled pair " +
			"takes 1,980 instead of 1,830, with what the peak takes."},
	{"sites", "What is kept of each stack",
		"A malloc and free pair of 64 bytes, recorded, from each of 256 stacks of 17 C frames, " +
			"by how often each stack is met; and the resident bytes of a stack, after three " +
			"pairs. The first 16 frees of each stack have their own stack captured, later ones " +
			"one in many. Before frees and cohorts were kept, these pairs took 3,882, 3,447 " +
			"and 3,420 instructions, and a stack 385 bytes."},
	{"marks", "How old it is",
		"Microseconds of processor time of the server's thread for a mark of cohorts, once in " +
			"5 s: 5,000 are 0.1 % of a core. A pair on the fast path and a sample take no " +
			"instruction more. A stack with a history takes 848 bytes, in a sixteenth of the " +
			"library's memory; reading is once for each labels=age, without names."},
	{"pinned", "Who pins free memory",
		"Processor time of the server's thread for an account, all of it: a walk over 10 million " +
			"chunks, half of them free; a million blocks, each a sample and half of them in " +
			"front of a free chunk; and again right after, when neither is read again."},
	{"scaling", "Eight threads", ""},
	{"scrape", "Making a profile", ""},
	{"statistics", "Bias of estimates, and coverage of the stated error", ""},
}

// How long all of them may take; those of a quick run have what is left of it.
const sectionsLimit = 12 * time.Minute

// runSections runs those that are there, and keeps what each prints in OUT/sections. One that fails
// or finds no time left says so there.
func runSections(o options, s setup) error {
	dir := filepath.Join(o.out, "sections")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	until := time.Now().Add(sectionsLimit)
	if o.quick {
		until = quickEnd()
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	for _, x := range sections {
		if !o.sections.MatchString(x.name) {
			continue
		}
		script := filepath.Join(o.root, "bench", x.name)
		if info, err := os.Stat(script); err != nil || info.IsDir() {
			continue
		}
		say("bench/%s", x.name)
		text := runScript(ctx, o, s, script)
		if err := os.WriteFile(filepath.Join(dir, x.name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func runScript(ctx context.Context, o options, s setup, script string) string {
	c := exec.CommandContext(ctx, script)
	c.Dir = o.root
	c.Env = append(os.Environ(), "BENCH_SHIM="+s.shim, "BENCH_OUT="+s.out)
	if o.quick {
		c.Env = append(c.Env, "BENCH_QUICK=1")
	}
	// All that it starts ends with it.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	text := string(out)
	switch {
	case ctx.Err() != nil && o.quick:
		text += "not finished in the time of a quick run\n"
	case ctx.Err() != nil:
		text += "not finished in time\n"
	case err != nil:
		text += fmt.Sprintf("failed: %v: %s\n", err, lastLine(said.String(), err))
	}
	return text
}

// A figure is a line "NAME VALUE [TARGET] [REMARK]": without a target, a remark is in parentheses.
type figure struct {
	name, value, target, remark string
}

var (
	figureLine = regexp.MustCompile(`^\s*([A-Za-z][\w./:+-]*)\s+([-+]?\d[\d.]*)(?:\s+(\S.*))?$`)
	targetText = regexp.MustCompile(`^\[?((?:(<=|>=|≤|≥|at most|at least) ?)?(-?\d+(?:\.\d+)?)` +
		`(?:(?:\.\.|-| to )(-?\d+(?:\.\d+)?))?)\]?(?:\s+(\D.*))?$`)
)

func parseFigure(line string) (figure, bool) {
	parts := figureLine.FindStringSubmatch(line)
	if parts == nil {
		return figure{}, false
	}
	f := figure{name: parts[1], value: parts[2]}
	t := targetText.FindStringSubmatch(parts[3])
	switch {
	case t != nil && (t[2] != "" || t[4] != ""): // a number alone may be anything
		f.target, f.remark = t[1], t[5]
	case parts[3] == "" || strings.HasPrefix(parts[3], "("):
		f.remark = parts[3]
	default:
		return figure{}, false
	}
	return f, true
}

// verdict is "met", by how much it is not, or "" without a target.
func (f figure) verdict() string {
	t := targetText.FindStringSubmatch(f.target)
	value, err := strconv.ParseFloat(f.value, 64)
	if t == nil || err != nil {
		return ""
	}
	low, _ := strconv.ParseFloat(t[3], 64)
	missed := value - low
	switch t[2] {
	case ">=", "≥", "at least":
		missed = low - value
	}
	if high, err := strconv.ParseFloat(t[4], 64); err == nil {
		missed = max(low-value, value-high)
	}
	if missed <= 0 {
		return "met"
	}
	return "**missed** by " + strconv.FormatFloat(missed, 'g', 3, 64)
}
