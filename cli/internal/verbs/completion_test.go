package verbs

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// What the help lists is what the verb takes: a flag with a value says that it
// needs one, and a flag without one is taken, so that the error is of what follows.
func TestHelpListsFlags(t *testing.T) {
	for _, v := range manuals() {
		for _, f := range v.Flags() {
			for _, name := range f.Names {
				args, want := []string{v.Name, name}, name+" needs a value"
				if f.Value == "" || strings.Contains(v.Help, name+"[=") {
					args, want = append(args, "--no-such-flag"), "unknown flag --no-such-flag"
				}
				var out, err bytes.Buffer
				execute(stdio{out: &out, err: &err}, args)
				if !strings.Contains(err.String(), want) {
					t.Errorf("%v: %swant %q", args, err.String(), want)
				}
			}
		}
	}
}

func script(t *testing.T, shell string) string {
	t.Helper()
	var out, err bytes.Buffer
	if code := execute(stdio{out: &out, err: &err}, []string{"completion", shell}); code != 0 {
		t.Fatalf("completion %s: exit code %d, %s", shell, code, err.String())
	}
	return out.String()
}

func TestBashCompletes(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"cgoheap expl", "explain"},
		{"cgoheap help tri", "trim"},
		{"cgoheap run --sample-b", "--sample-bytes"},
		{"cgoheap sampling of", "off"},
		{"cgoheap explain 42", "4242"},
		{"cgoheap autopsy /etc/host.con", "/etc/host.conf"},
		{"cgoheap profile -o /etc/host.con", "/etc/host.conf"},
		{"cgoheap top --interval ", ""},
	} {
		words := strings.Split(c.line, " ")
		last := `COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _cgoheap; echo "${COMPREPLY[0]-}"`
		shell := exec.Command("bash", "-uc", script(t, "bash")+`
			cgoheap() { printf '  PID  STATE\n4242  sampling\n'; }
			compopt() { :; }
			COMP_WORDS=("$@"); `+last, "bash")
		shell.Args = append(shell.Args, words...)
		out, err := shell.CombinedOutput()
		got := strings.TrimSuffix(string(out), "\n")
		if err != nil || got != c.want {
			t.Errorf("%q: completed to %q, %v; want %q", c.line, got, err, c.want)
		}
	}
}

func TestZshReads(t *testing.T) {
	zsh, err := exec.LookPath("zsh")
	if err != nil {
		t.Skip("zsh is not installed")
	}
	check := exec.Command(zsh, "-n", "/dev/stdin")
	check.Stdin = strings.NewReader(script(t, "zsh"))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("zsh -n: %v, %s", err, out)
	}
}

func TestManualPages(t *testing.T) {
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("groff is not installed")
	}
	for _, args := range [][]string{{"help", "--man"}, {"help", "--man", "run"},
		{"help", "--man", "top"}} {
		var out, err bytes.Buffer
		if code := execute(stdio{out: &out, err: &err}, args); code != 0 {
			t.Fatalf("%v: exit code %d, %s", args, code, err.String())
		}
		groff := exec.Command("groff", "-man", "-ww", "-Tutf8", "-z")
		groff.Stdin = &out
		if said, err := groff.CombinedOutput(); err != nil || len(said) > 0 {
			t.Errorf("%v: groff says %v, %s", args, err, said)
		}
	}
}
