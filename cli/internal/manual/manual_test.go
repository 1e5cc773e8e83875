package manual

import (
	"reflect"
	"strings"
	"testing"
)

const help = `usage: cgoheap look [PID|NAME] [on|off] [--json]

Looks at a process.  It doesn't stop
'it.

  -n, --rows N   rows to show
                 (default 20)
  --limit[=D]    stop after D
  -o FILE        where to: [a] b's "c"

Example:
  $ cgoheap look 42
  .dot

What it says.
`

var look = Verb{Name: "look", Short: "look at a process", Help: help}

func TestFlags(t *testing.T) {
	want := []Flag{
		{Names: []string{"-n", "--rows"}, Value: "N", Text: "rows to show (default 20)"},
		{Names: []string{"--limit"}, Value: "D", Text: "stop after D", Optional: true},
		{Names: []string{"-o"}, Value: "FILE", Text: `where to: [a] b's "c"`},
		{Names: []string{"--json"}},
	}
	if got := look.Flags(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestOperands(t *testing.T) {
	want := operands{processes: true, words: []string{"on", "off"}}
	if got := look.operands(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	run := Verb{Name: "run", Help: "usage: cgoheap run [flags] [--] PROGRAM [arguments]\n"}
	if got := run.operands(); !reflect.DeepEqual(got, operands{command: true}) {
		t.Errorf("run: got %+v", got)
	}
}

func TestPage(t *testing.T) {
	page := look.Page("1.2", []Verb{look, {Name: "other"}})
	for _, want := range []string{
		".TH CGOHEAP-LOOK 1 \"\" \"cgoheap 1.2\"", "\n\\&'it.\n", "\n\\&.dot\n",
		"\\fB\\-n\\fR, \\fB\\-\\-rows\\fR \\fIN\\fR\nrows to show (default 20)\n",
		".SH OPTIONS\n", ".SH EXAMPLES\n", ".SH NOTES\n.PP\nWhat it says.\n",
		".BR cgoheap (1),\n.BR cgoheap\\-other (1)\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}
