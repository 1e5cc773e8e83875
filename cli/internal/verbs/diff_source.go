package verbs

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/collect"
	"cgoheap.example/cli/internal/difference"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/outfile"
	"cgoheap.example/cli/internal/termtext"
)

// Where diff takes its two profiles from.

// moments reads both.
func (o *diffOptions) moments(operands []string) (before, after *difference.Moment, err error) {
	first := savedAt(operands[0])
	if len(first) == 0 {
		return nil, nil, notSaved(operands[0])
	}
	if before, err = o.readSaved(first[0]); err != nil {
		return nil, nil, err
	}
	switch {
	case len(operands) == 2:
		after, err = o.second(operands[1])
	case o.url != "":
		after, err = o.fromURL(before)
	case len(first) > 1:
		after, err = o.readSaved(first[len(first)-1])
	default:
		after, err = o.fromProcess("")
	}
	return before, after, err
}

// savedAt are the profiles that an operand names: a file, or what is in a directory.
func savedAt(operand string) []string {
	info, err := os.Stat(operand)
	switch {
	case err == nil && info.IsDir():
		return collect.SavedProfiles(operand)
	case err == nil || strings.ContainsRune(operand, '/') || looksLikeFile(operand):
		return []string{operand} // reading it says what is wrong
	}
	return nil
}

// spareInputs: -o must not replace a profile that it compares, which may be the only one of its
// moment.
func (o *diffOptions) spareInputs(operands []string) error {
	for _, operand := range operands {
		if err := outfile.Spare(o.output, savedAt(operand)...); err != nil {
			return err
		}
	}
	return nil
}

func notSaved(operand string) error {
	shown := termtext.QuoteShell(operand)
	if info, err := os.Stat(operand); err == nil && info.IsDir() {
		return fmt.Errorf("%s has no cgoheap.pb.gz: name a directory of cgoheap collect, "+
			"or a profile", shown)
	}
	return flags.Usagef("%s is not a file: the first moment is a profile that was saved "+
		"(cgoheap profile %s -o before.pb.gz)", shown, shown)
}

// second is a process if it is a number, or if nothing is saved under that name: the program may
// well lie here.
func (o *diffOptions) second(operand string) (*difference.Moment, error) {
	if operand == "" {
		return nil, flags.Usagef(`"" is neither a file nor a process`)
	}
	if !attach.IsNumber(operand) && !isProgram(operand) {
		if saved := savedAt(operand); len(saved) > 0 {
			return o.readSaved(saved[len(saved)-1])
		}
	}
	m, err := o.fromProcess(operand)
	if info, statErr := os.Stat(operand); err != nil && statErr == nil && info.IsDir() {
		return nil, notSaved(operand)
	}
	return m, err
}

// isProgram: a name without a directory, and a file that the kernel could run.
func isProgram(name string) bool {
	if strings.ContainsRune(name, '/') {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, len(elf.ELFMAG))
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == elf.ELFMAG
}

func (o *diffOptions) readSaved(path string) (*difference.Moment, error) {
	body, err := binread.File(path, attach.MaxProfileBytes)
	if err != nil {
		return nil, err
	}
	m, err := difference.Read(termtext.QuoteShell(path), body)
	if err == nil && o.callers.Module == "" && len(m.Profile.Mapping) > 0 {
		o.callers.Know(m.Profile.Mapping[0].File)
	}
	return m, err
}

func (o *diffOptions) fromProcess(wanted string) (*difference.Moment, error) {
	c, err := attach.To(wanted)
	if err != nil {
		return nil, err
	}
	o.callers.Know(attach.ProcPath(c.Process.PID, "exe"))
	body, err := c.ProfileBytes("cgoheap", nil, attach.ProfileTimeout)
	if err != nil {
		return nil, err
	}
	return difference.Read("the profile of "+c.Process.Title(), body)
}

// fromURL takes the page that fits the first profile.
func (o *diffOptions) fromURL(before *difference.Moment) (*difference.Moment, error) {
	server, err := collect.ParseURL(o.url, collect.UsualLimits)
	if err != nil {
		return nil, flags.Usagef("invalid --url %s: expected %s",
			termtext.Quote(attach.ShownURL(o.url)), err)
	}
	page := before.Page()
	body, err := server.Page(context.Background(), page)
	if err != nil {
		return nil, err
	}
	return difference.Read(server.String()+"/"+page, body)
}
