package verbs

import (
	"cmp"
	"fmt"
	"net/http"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

const trimHelp = `usage: cgoheap trim [PID|NAME] [--json]

Makes the C allocator of a process return free memory to the kernel (glibc:
malloc_trim; musl has no such call), and shows resident memory by owner before
and after.  The process keeps running; threads that allocate meanwhile may wait
briefly.  It explains what stays: not all free memory can be returned.

  --json   print the two accounts as JSON

Example:
  $ cgoheap trim 4242
  process 4242 (service): malloc_trim returned 427.1 MiB

  OWNER            BEFORE     AFTER      CHANGE
  C retained    427.3 MiB  41.6 KiB  -427.2 MiB
  RSS           434.2 MiB   7.1 MiB  -427.1 MiB

  It was free memory, not a leak. It comes back with the next peak; to keep it
  small, have the program call malloc_trim(0) after its peaks, or run it with
  jemalloc preloaded.
`

// trimmed is what POST /v1/trim answers.
type trimmed struct {
	Before   account.Account `json:"before"`
	After    account.Account `json:"after"`
	Released int64           `json:"released_bytes"`
	What     string          `json:"what"`

	env map[string]string // of the process, as it was started
}

func trim(std stdio, args []string) error {
	asJSON := false
	f := flags.New()
	f.Boolean("--json", &asJSON)
	wanted, err := f.ParseTarget(args)
	if err != nil {
		return err
	}
	c, err := attach.To(wanted)
	if err != nil {
		return err
	}
	t := &trimmed{}
	body, err := c.Answer(http.MethodPost, "/v1/trim", t)
	if err != nil {
		return err
	}
	if asJSON {
		o, err := document.ParseObject(body)
		if err != nil {
			return err
		}
		return document.Write(std.out, "trim", o)
	}
	t.env, _ = c.Process.Environ() // without it, what is set there is not known
	t.print(std, c.Process)
	return nil
}

func (t *trimmed) print(std stdio, p *attach.Process) {
	what := termtext.Escape(cmp.Or(t.What, "the allocator"))
	if t.Released <= 0 {
		fmt.Fprintf(std.out, "%s: %s returned nothing\n", p.Title(), what)
	} else {
		fmt.Fprintf(std.out, "%s: %s returned %s\n", p.Title(), what, termtext.Bytes(t.Released))
	}
	fmt.Fprintln(std.out)
	termtext.WriteTable(std.out, []bool{false, true, true, true}, t.rows())
	if text := verdict.AfterTrim(&t.Before, &t.After, t.env); text != "" {
		fmt.Fprintln(std.out)
		termtext.WriteWrapped(std.out, text, "", plainWidth)
	}
}

// rows are the owners that changed, and the sum.
func (t *trimmed) rows() [][]string {
	rows := [][]string{{"OWNER", "BEFORE", "AFTER", "CHANGE"}}
	for _, o := range t.After.Owners {
		before := t.Before.Owner(o.Name).Bytes
		if o.Bytes == nil || before == nil || *o.Bytes == *before {
			continue
		}
		rows = append(rows, trimRow(account.Label(o.Name), *before, *o.Bytes))
	}
	if t.Before.Unexplained != t.After.Unexplained {
		rows = append(rows, trimRow("unexplained", t.Before.Unexplained, t.After.Unexplained))
	}
	return append(rows, trimRow("RSS", t.Before.RSS, t.After.RSS))
}

func trimRow(label string, before, after int64) []string {
	return []string{label, termtext.Bytes(before), termtext.Bytes(after),
		termtext.Growth(after - before)}
}
