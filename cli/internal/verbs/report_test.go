package verbs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/fakeshim"
)

// One look at a process: its account, its stacks, its mappings; the file is written whole, over
// what was there.
func TestReportOfProcess(t *testing.T) {
	s := startShim(t, "serve")
	path := filepath.Join(s.dir, "report.html")
	check0(os.WriteFile(path, []byte("old"), 0o640))
	env := []string{"XDG_RUNTIME_DIR=" + s.dir}
	r := finish(t, command(env, "report", s.arg(), "-o", path))
	if r.code != 0 || r.out != "" ||
		!strings.HasPrefix(r.err, "cgoheap: wrote "+path+", ") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	page := readAll(t, path)
	for _, text := range []string{"C live", "572.0 MiB", `id="flame"`, `id="map"`, "Verdict",
		"one look at the process", "libcgoheap.so"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not have %q", text)
		}
	}
	info, err := os.Stat(path)
	check0(err)
	if info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is %o", info.Mode().Perm())
	}
	r = finish(t, command(env, "report", s.arg(), "-o", "-"))
	if r.code != 0 || r.err != "" || !strings.HasPrefix(r.out, "<!DOCTYPE html>") ||
		!strings.HasSuffix(r.out, "</html>\n") {
		t.Errorf("exit code %d, %d bytes\n%s", r.code, len(r.out), r.err)
	}
}

// The name that the command chooses is one that is not taken.
func TestReportNames(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "service.4242.cgoheap")
	check0(os.WriteFile(file, fakeshim.Recording(), 0o600))
	c := command(nil, "report", file)
	c.Dir = dir
	r := finish(t, c)
	if r.code != 0 || !strings.Contains(r.err, "wrote cgoheap-report.gone.4242.") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	if pages, _ := filepath.Glob(dir + "/cgoheap-report.gone.4242.*.html"); len(pages) != 1 {
		t.Errorf("pages: %v", pages)
	}
}

// A recording is not replaced by what is made of it.
func TestRecordingIsSpared(t *testing.T) {
	t.Chdir(t.TempDir())
	check0(os.WriteFile("r.cgoheap", fakeshim.Recording(), 0o600))
	for _, verb := range []string{"report", "autopsy"} {
		cgoheap(t, verb, "r.cgoheap", "-o", "./r.cgoheap").want(t, 1, "", `cgoheap: `+
			`"./r.cgoheap" is what is read, and would be overwritten: name another file `+
			"with -o\n")
		if readAll(t, "r.cgoheap") != string(fakeshim.Recording()) {
			t.Errorf("%s has changed the recording", verb)
		}
	}
}

// Each error is one sentence that names the thing; nothing is written.
func TestReportErrors(t *testing.T) {
	dir := t.TempDir()
	text, output := filepath.Join(dir, "notes.txt"), filepath.Join(dir, "out.html")
	check0(os.WriteFile(text, []byte("hello\n"), 0o600))
	const kinds = "it is neither a recording of cgoheap watch (.jsonl), nor a recorder's file " +
		"(.cgoheap), nor a directory of cgoheap collect\n"
	const missing = ": no such file or directory\n"
	for _, c := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{text}, 1, "cgoheap: " + text + ": " + kinds},
		{[]string{dir}, 1, "cgoheap: " + dir + ": " + kinds},
		{[]string{dir + "/none"}, 1, "cgoheap: cannot read " + dir + "/none" + missing},
		{[]string{"none.jsonl"}, 1, "cgoheap: cannot read none.jsonl" + missing},
		{[]string{"999999999"}, 1, "cgoheap: process 999999999 does not exist (it may have " +
			"ended); cgoheap list shows the processes that have cgoheap loaded\n"},
		{[]string{text, text}, 2, "cgoheap: report: unexpected argument \"" + text +
			"\"; see cgoheap report --help\n"},
	} {
		r := cgoheap(t, append([]string{"report", "-o", output}, c.args...)...)
		r.want(t, c.code, "", c.err)
		if _, err := os.Stat(output); err == nil {
			t.Errorf("%v: a file was written", c.args)
		}
	}
}
