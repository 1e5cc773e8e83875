package manual

import (
	"fmt"
	"strings"
)

// Page is the man page of a verb, for man(7).  It has no date: the same tree gives the same page.
func (v Verb) Page(version string, others []Verb) string {
	var b strings.Builder
	name := "cgoheap-" + v.Name
	header(&b, name, version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(v.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.nf\n%s\n.fi\n.SH DESCRIPTION\n", roff(usage(v.Help)))
	body(&b, v.Help)
	fmt.Fprint(&b, ".SH EXIT STATUS\n0: done. 1: failed. 2: wrong usage.\n.SH SEE ALSO\n")
	seeAlso(&b, v.Name, others)
	return b.String()
}

// Overview is cgoheap(1): help is what the command prints without a verb.
func Overview(help, version string, verbs []Verb) string {
	var b strings.Builder
	header(&b, "cgoheap", version)
	fmt.Fprint(&b, ".SH NAME\ncgoheap \\- what the C code of a Go program allocates\n")
	fmt.Fprint(&b, ".SH SYNOPSIS\ncgoheap VERB [flags] [arguments]\n.SH DESCRIPTION\n.nf\n")
	for _, line := range strings.Split(strings.TrimRight(help, "\n"), "\n") {
		fmt.Fprintln(&b, roff(line))
	}
	fmt.Fprint(&b, ".fi\n.SH SEE ALSO\n")
	seeAlso(&b, "", verbs)
	return b.String()
}

func header(b *strings.Builder, name, version string) {
	fmt.Fprintf(b, ".TH %s 1 \"\" \"cgoheap %s\" \"User Commands\"\n",
		strings.ToUpper(name), version)
}

func seeAlso(b *strings.Builder, but string, verbs []Verb) {
	var pages []string
	if but != "" {
		pages = append(pages, ".BR cgoheap (1)")
	}
	for _, v := range verbs {
		if v.Name != but {
			pages = append(pages, ".BR "+roff("cgoheap-"+v.Name)+" (1)")
		}
	}
	fmt.Fprintln(b, strings.Join(pages, ",\n"))
}

// body writes the blocks: flags below OPTIONS, what a heading says below it, the rest as
// paragraphs.
func body(b *strings.Builder, help string) {
	hadFlags, inExamples := false, false
	for _, part := range blocks(help) {
		switch part.kind {
		case flagList:
			if !hadFlags {
				fmt.Fprintln(b, ".SH OPTIONS")
			}
			hadFlags = true
			options(b, part.flags)
		case heading:
			title := strings.TrimSuffix(part.lines[0], ":")
			if inExamples = strings.HasPrefix(title, "Example"); inExamples {
				title = "EXAMPLES"
			}
			fmt.Fprintf(b, ".SH %s\n", roff(strings.ToUpper(title)))
		case literal:
			fmt.Fprint(b, ".PP\n.nf\n")
			for _, line := range part.lines {
				fmt.Fprintln(b, roff(strings.TrimPrefix(line, "  ")))
			}
			fmt.Fprintln(b, ".fi")
		case paragraph:
			if inExamples || hadFlags {
				fmt.Fprintln(b, ".SH NOTES")
				hadFlags, inExamples = false, false
			}
			fmt.Fprintf(b, ".PP\n%s\n", roff(strings.Join(part.lines, "\n")))
		}
	}
}

func options(b *strings.Builder, flags []Flag) {
	for _, f := range flags {
		var spelled []string
		for _, name := range f.Names {
			spelled = append(spelled, "\\fB"+roff(name)+"\\fR")
		}
		line := strings.Join(spelled, ", ")
		switch {
		case f.Optional:
			line += "[=\\fI" + roff(f.Value) + "\\fR]"
		case f.Value != "":
			line += " \\fI" + roff(f.Value) + "\\fR"
		}
		fmt.Fprintf(b, ".TP\n%s\n%s\n", line, roff(f.Text))
	}
}

// roff escapes text for man(7): backslashes, hyphens (else typographic), and a line's first
// dot or quote.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
