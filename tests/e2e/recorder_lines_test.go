package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// markedLines of a program's sources: "// line: NAME" is where NAME allocates or calls.
func markedLines(t *testing.T, dir string) map[string]string {
	t.Helper()
	mark := regexp.MustCompile(`line: ([\w.]+)`)
	lines := map[string]string{}
	files, _ := filepath.Glob(filepath.Join(dir, "*.[cg]*"))
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for s, n := bufio.NewScanner(f), 1; s.Scan(); n++ {
			if m := mark.FindStringSubmatch(s.Text()); m != nil {
				lines[m[1]] = fmt.Sprintf("%s:%d", path, n)
			}
		}
	}
	return lines
}

// sourceLines of a sample, leaf first, "FUNCTION FILE:LINE".
func sourceLines(s *profile.Sample) (lines []string) {
	for _, l := range s.Location {
		for _, line := range l.Line {
			lines = append(lines, fmt.Sprintf("%s %s:%d", line.Function.Name,
				line.Function.Filename, line.Line))
		}
	}
	return lines
}

// The profile of a killed process names the lines of C that leaked, those of inlined calls
// and of C in a Go file too, and go tool pprof shows them in the source.
func TestAutopsyNamesLinesOfC(t *testing.T) {
	dir := boxDir(t)
	h := start(t, program(t, "go-lines", oneBuild()), hostOptions{sampleBytes: 1,
		env: []string{"CGOHEAP_BLACKBOX=" + dir}})
	h.waitForMoments(dir, 1)
	h.cmd.Process.Kill()
	<-h.ended
	a := readAutopsy(t, dir)
	if len(a.Notes) != 0 || len(a.Missing) != 0 {
		t.Errorf("%q %q", a.Notes, a.Missing)
	}
	lines := markedLines(t, filepath.Join(repositoryRoot(), "tests", "programs", "go-lines"))
	for goCaller, want := range map[string]struct {
		leaf      string
		bytes     int64
		functions []string // below, leaf first, what Go calls C by left out
	}{
		"main.leakInFile":     {"grab", 100_000, []string{"grab", "ln_record"}},
		"main.leakInPreamble": {"ln_preamble", 30_000, []string{"ln_preamble"}},
	} {
		if n, _, leaf := a.row(goCaller); n != want.bytes || leaf != want.leaf {
			t.Errorf("%s: %d bytes by %s, want %d by %s", goCaller, n, leaf, want.bytes, want.leaf)
		}
		for _, s := range a.profile.Sample {
			if !contains(s, goCaller) {
				continue
			}
			got := sourceLines(s)[1:] // without malloc
			for i, name := range append(want.functions, "", goCaller) {
				if name != "" && (i >= len(got) || got[i] != name+" "+lines[name]) {
					t.Errorf("%s: frame %d of %q, want %s %s", goCaller, i, got, name, lines[name])
				}
			}
			wantSourceFlags(t, s.Location[1].Mapping, true)
			wantSourceFlags(t, s.Location[0].Mapping, s.Location[0].Line[0].Function.Filename != "")
		}
	}
	wantListed(t, a.profile, "ln_record", "grab(n); /* line: ln_record */", "97.66kB")
	wantListed(t, a.profile, "grab", "malloc(n); /* line: grab */", "97.66kB")
	wantListed(t, a.profile, "ln_preamble", "malloc(n); // line: ln_preamble", "29.30kB")
}

// The program has DWARF; libc, where malloc is, has where its debug package is installed.
func wantSourceFlags(t *testing.T, m *profile.Mapping, want bool) {
	t.Helper()
	if !m.HasFunctions || m.HasFilenames != want || m.HasLineNumbers != want ||
		m.HasInlineFrames != want {
		t.Errorf("%s: functions %v, files %v, lines %v, inlined %v; want true and three times %v",
			m.File, m.HasFunctions,
			m.HasFilenames, m.HasLineNumbers, m.HasInlineFrames, want)
	}
}

// wantListed: go tool pprof shows the source line with the bytes.
func wantListed(t *testing.T, p *profile.Profile, function, source, bytes string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.pb.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	text, err := exec.Command("go", "tool", "pprof", "-list", "^"+function+"$", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.Contains(line, source) && strings.Contains(line, bytes) {
			return
		}
	}
	t.Errorf("pprof -list %s has no line %q with %s:\n%s", function, source, bytes, text)
}
