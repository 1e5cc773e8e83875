package verbs

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/outfile"
	page "cgoheap.example/cli/internal/report"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

const reportHelp = `usage: cgoheap report [DIR|FILE|PID|NAME] [flags]

Makes one HTML page to attach to a ticket: who owns the resident memory, over
time if the input has several moments; the verdict; growth and how sure it is;
a flame graph; a map of the address space.  The page needs no network.

It is made of a directory of cgoheap collect, a recording of cgoheap watch
(.jsonl), the file that a killed process left behind (.cgoheap), or one look at
a process.  What the input does not have, the page says.

  -o FILE   output file (default cgoheap-report.PROGRAM.PID.TIME.html; in a
            directory, a file of that name; - is stdout; symbolic links are
            refused)

Examples:
  cgoheap report 4242
  cgoheap report service.4242.cgoheap -o report.html
  cgoheap report 4242 -o - > report.html

PID may be a program's name; leave it out if only one process has cgoheap loaded.
`

func makeReport(std stdio, args []string) error {
	output := ""
	f := flags.New()
	f.Text("-o --output", &output)
	what, err := f.ParseTarget(args)
	if err != nil {
		return err
	}
	if output == "-" && std.terminal != nil {
		return errors.New("a report is a page of HTML, and stdout is a terminal: " +
			"name a file with -o")
	}
	in, err := reportInput(what)
	if err == nil {
		err = outfile.Spare(output, what)
	}
	if err != nil {
		return err
	}
	target, err := outfile.Open(std.out, output, reportName(in, time.Now()))
	if err != nil {
		return err
	}
	defer target.Discard()
	body, err := in.HTML(time.Now())
	if err != nil {
		return err
	}
	if err := target.Commit(body); err != nil || target.Path == "" {
		return err
	}
	fmt.Fprintf(std.err, "cgoheap: wrote %s, %s: open it in a browser\n",
		termtext.QuoteShell(target.Path), termtext.Bytes(int64(len(body))))
	for _, warning := range in.Warnings {
		fmt.Fprintf(std.err, "cgoheap: %s\n", termtext.Escape(warning))
	}
	return nil
}

// reportInput: a number is a process; else what is there under that name, if it is a thing to
// report on; else a program's name.
func reportInput(what string) (*page.Input, error) {
	if what == "" || attach.IsNumber(what) {
		return lookForReport(what)
	}
	in, err := page.Read(what)
	if err == nil || strings.ContainsRune(what, '/') || looksLikeFile(what) {
		return in, err
	}
	_, notThere := os.Stat(what)
	if notThere != nil || errors.Is(err, page.ErrUnknown) {
		if in, processErr := lookForReport(what); processErr == nil || notThere != nil {
			return in, processErr
		}
	}
	return nil, err
}

func looksLikeFile(word string) bool {
	extension := filepath.Ext(word)
	return extension == ".jsonl" || extension == ".cgoheap" || extension == ".gz"
}

// lookForReport is one look at a process, as explain takes it, with its profile and mappings.
func lookForReport(wanted string) (*page.Input, error) {
	c, err := attach.To(wanted)
	if err != nil {
		return nil, err
	}
	e, err := (&explainOptions{callers: stacks.CallerRule{}}).look(c)
	if err != nil {
		return nil, err
	}
	p := c.Process
	in := &page.Input{Source: "one look at the process", Program: p.Program(), PID: p.PID,
		Executable: p.Executable(), Account: e.account, Grown: e.grown, Verdict: e.verdict,
		Held: e.held}
	in.Host, _ = os.Hostname()
	for _, line := range cautions(e.status, p.PID) {
		in.Warnings = append(in.Warnings, line)
	}
	if body, err := c.ProfileBytes("memory", nil, attach.ProfileTimeout); err != nil {
		in.Missing = append(in.Missing, "There is no flame graph: "+err.Error()+".")
	} else if in.Profile, err = attach.ParseProfile(body); err != nil {
		in.Missing = append(in.Missing, "There is no flame graph: the profile cannot be read: "+
			err.Error()+".")
	}
	if in.Maps, err = p.Smaps(); err != nil {
		in.Missing = append(in.Missing, "There is no map of the address space: "+
			p.ExplainAccess(err).Error()+".")
	}
	return in, nil
}

// reportName differs by program, process and time.
func reportName(in *page.Input, now time.Time) string {
	return fmt.Sprintf("cgoheap-report.%s.%d.%s.html", fileWord(cmp.Or(in.Program, "process")),
		in.PID, now.Format("20060102-150405"))
}
