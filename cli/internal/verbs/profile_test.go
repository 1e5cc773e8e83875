package verbs

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/attach"
)

func profileIn(t *testing.T, dir string, args ...string) result {
	t.Helper()
	c := command(nil, append([]string{"profile"}, args...)...)
	c.Dir = dir
	return finish(t, c)
}

func readProfile(t *testing.T, path string) *profile.Profile {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := attach.ParseProfile(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestProfileDefaultName(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	r := profileIn(t, dir, s.arg())
	names := namesIn(t, dir)
	if r.code != 0 || len(names) != 1 ||
		!regexp.MustCompile(`^cgoheap\.verbs\.test\.\d+\.\d{8}-\d{6}\.pb\.gz$`).MatchString(
			names[0]) {
		t.Fatal(r, names)
	}
	want := "cgoheap: wrote NAME: ~812.0 MiB ±4.6 % in use in 3 stacks\n" +
		"  go tool pprof NAME             the stacks, as text\n" +
		"  go tool pprof -http=: NAME     a flame graph in the browser\n"
	if r.out != "" || r.err != strings.ReplaceAll(want, "NAME", names[0]) {
		t.Errorf("%q", r.err)
	}
	if p := readProfile(t, filepath.Join(dir, names[0])); len(p.Sample) != 3 {
		t.Error(p)
	}
}

func TestProfileMemory(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	r := profileIn(t, dir, s.arg(), "--memory")
	names := namesIn(t, dir)
	if r.code != 0 || len(names) != 1 ||
		!regexp.MustCompile(`^cgoheap-memory\.verbs\.test\.\d+\.\d{8}-\d{6}\.pb\.gz$`).MatchString(
			names[0]) {
		t.Fatal(r, names)
	}
	if !strings.HasPrefix(r.err, "cgoheap: wrote "+names[0]+": 901.0 MiB resident in 2 stacks\n") {
		t.Errorf("%q", r.err)
	}
	// The other profile is no profile of memory, and is not saved as one.
	s = startShim(t, "wrong profile")
	r = profileIn(t, t.TempDir(), s.arg(), "--memory").normal(s)
	r.want(t, 1, "", "cgoheap: process PID (service) sent a profile that cannot be read: the "+
		"profile has no memory_space\n")
}

func TestProfileQuery(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	for query, args := range map[string][]string{
		"":                       nil,
		"seconds=1":              {"--seconds", "1"},
		"older=10m0s":            {"--older", "10m"},
		"frames=all":             {"--all-frames"},
		"older=1s&symbols=none":  {"--raw", "--older", "1"},
		"frames=all&older=250ms": {"--older", "250ms", "--all-frames"},
		"symbols=none&view=peak": {"--peak", "--raw"},
		"of=rss&view=peak":       {"--peak", "--of", "rss"},
		"reset=1&view=peak":      {"--peak", "--reset"},
		"frames=all&labels=age":  {"--age", "--all-frames"},
	} {
		path := filepath.Join(dir, "p.pb.gz")
		r := profileIn(t, dir, append([]string{s.arg(), "-o", path}, args...)...)
		if r.code != 0 {
			t.Fatal(r)
		}
		if p := readProfile(t, path); p.Comments[0] != "query "+query {
			t.Errorf("%v asked for %s, want %s", args, p.Comments[0], query)
		}
	}
	if names := namesIn(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestProfileToStandardOutput(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	r := profileIn(t, dir, s.arg(), "-o", "-")
	p, err := attach.ParseProfile([]byte(r.out))
	if r.code != 0 || r.err != "" || err != nil || len(p.Sample) != 3 {
		t.Errorf("%d %q %v", r.code, r.err, err)
	}
	r = profileIn(t, dir, s.arg(), "--text")
	r.want(t, 0, "heap profile: query debug=1\n", "")
	profileIn(t, dir, s.arg(), "--text", "-o", "a b.txt").want(t, 0, "",
		"cgoheap: wrote 'a b.txt'\n")
	if names := namesIn(t, dir); len(names) != 1 || names[0] != "a b.txt" {
		t.Errorf("%v", names)
	}
}

func TestProfileFailuresLeaveNoFile(t *testing.T) {
	s := startShim(t, "cut")
	dir := t.TempDir()
	r := profileIn(t, dir, s.arg()).normal(s)
	if r.code != 1 || !strings.HasPrefix(r.err, "cgoheap: process PID (service) sent a profile "+
		"that cannot be read: ") {
		t.Errorf("%+v", r)
	}
	r = profileIn(t, dir, s.arg(), "-o", "missing/p.pb.gz")
	r.want(t, 1, "", "cgoheap: cannot write to \"missing\" (no such file or directory): name "+
		"another place with -o\n")
	if names := namesIn(t, dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestProfileInterrupted(t *testing.T) {
	s := startShim(t, "silent")
	dir := t.TempDir()
	c := command(nil, "profile", s.arg(), "--seconds", "100")
	c.Dir = dir
	errs, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	text := readUntil(t, errs, "\n")
	if s.normal(text) != "cgoheap: watching process PID (service) for 100s\n" {
		t.Errorf("%q", text)
	}
	c.Process.Signal(syscall.SIGINT)
	text = readUntil(t, errs, "\n")
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != 1 ||
		text != "cgoheap: interrupted: nothing was saved\n" {
		t.Errorf("%v %q", err, text)
	}
	if names := namesIn(t, dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// TestProfileInterruptedInTime: a shim that can says what has grown by then.
func TestProfileInterruptedInTime(t *testing.T) {
	s := startShim(t, "growing")
	dir := t.TempDir()
	c := command(nil, "profile", s.arg(), "--seconds", "100", "-o", "p.pb.gz")
	c.Dir = dir
	errs, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	readUntil(t, errs, "\n")
	s.awaitAsked(t) // sooner nothing is saved, which is said
	c.Process.Signal(syscall.SIGINT)
	text, _ := io.ReadAll(errs)
	if err := c.Wait(); err != nil ||
		!strings.Contains(string(text), "cgoheap: wrote p.pb.gz: ~812.0 MiB of growth in 10m "+
			"(+4.8 GiB an hour) in 3 stacks") ||
		!strings.Contains(string(text), "interrupted") {
		t.Errorf("%v %q", err, text)
	}
	readProfile(t, filepath.Join(dir, "p.pb.gz"))
}

func TestProfileFiles(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	// Within a second or two: three files.
	for i := 0; i < 3; i++ {
		if r := profileIn(t, dir, s.arg()); r.code != 0 {
			t.Fatal(r)
		}
	}
	if names := namesIn(t, dir); len(names) != 3 {
		t.Errorf("%v", names)
	}
	// A directory is where the file goes, as without -o.
	sub := filepath.Join(dir, "sub")
	check0(os.Mkdir(sub, 0o755))
	for i := 0; i < 2; i++ {
		if r := profileIn(t, dir, s.arg(), "-o", "sub"); r.code != 0 ||
			!strings.HasPrefix(r.err, "cgoheap: wrote sub/cgoheap.verbs.test.") {
			t.Error(r)
		}
	}
	if names := namesIn(t, sub); len(names) != 2 {
		t.Errorf("%v", names)
	}
}

// withUmask runs the command as a shell does that has said so.
func withUmask(t *testing.T, dir, umask string, args ...string) result {
	t.Helper()
	c := command(nil, args...)
	c.Args = append([]string{"sh", "-c", "umask " + umask + `; exec "$0" "$@"`, c.Path}, args...)
	c.Path, c.Dir = "/bin/sh", dir
	return finish(t, c)
}

func TestProfilePermissions(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	for umask, want := range map[string]os.FileMode{"022": 0o644, "077": 0o600, "002": 0o664} {
		path := filepath.Join(dir, umask)
		if r := withUmask(t, dir, umask, "profile", s.arg(), "-o", path); r.code != 0 {
			t.Fatal(r)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("umask %s: %v %v", umask, info, err)
		}
	}
	// A file that is there keeps its own.
	path := filepath.Join(dir, "there")
	check0(os.WriteFile(path, nil, 0o640))
	check0(os.Chmod(path, 0o640))
	if r := withUmask(t, dir, "077", "profile", s.arg(), "-o", path); r.code != 0 {
		t.Fatal(r)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 || info.Size() == 0 {
		t.Error(info.Mode())
	}
}

func TestProfileSymbolicLink(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	check0(os.WriteFile(filepath.Join(dir, "precious"), []byte("kept"), 0o644))
	check0(os.Symlink("precious", filepath.Join(dir, "link")))
	check0(os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	for link, to := range map[string]string{"link": "precious", "dangling": "nowhere"} {
		profileIn(t, dir, s.arg(), "-o", link).want(t, 1, "",
			"cgoheap: \""+link+"\" is a symbolic link, which cgoheap does not follow: name the "+
				"file itself, "+to+", with -o\n")
		if got, err := os.Readlink(filepath.Join(dir, link)); err != nil || got != to {
			t.Error(got, err)
		}
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "precious")); string(text) != "kept" {
		t.Errorf("%q", text)
	}
	if names := namesIn(t, dir); len(names) != 3 {
		t.Errorf("left behind: %v", names)
	}
	// To a device it is followed: /dev/stdout is one.
	check0(os.Symlink("/dev/null", filepath.Join(dir, "null")))
	if r := profileIn(t, dir, s.arg(), "-o", "null"); r.code != 0 {
		t.Error(r)
	}
}

// A full disk is a failure, wherever it is.
func TestFullDisk(t *testing.T) {
	s := startShim(t, "serve")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	profileIn(t, t.TempDir(), s.arg(), "-o", "/dev/full").want(t, 1, "", "cgoheap: cannot write "+
		"\"/dev/full\": no space left on device\n")
	for _, line := range []string{"help", "version", "list", "list --json", "top PID",
		"top PID --json", "explain PID", "explain PID --json",
		"trim PID", "sampling PID", "doctor PID", "profile PID --text", "profile PID -o -",
		"profile --help"} {
		c := command([]string{"XDG_RUNTIME_DIR=" + t.TempDir()},
			strings.Fields(strings.ReplaceAll(line, "PID", s.arg()))...)
		var errs strings.Builder
		c.Stdout, c.Stderr = full, &errs
		_ = c.Run()
		if c.ProcessState.ExitCode() != 1 ||
			!strings.HasSuffix(errs.String(), "cgoheap: cannot write to stdout: no space left "+
				"on device\n") {
			t.Errorf("%s: exit code %d, %q", line, c.ProcessState.ExitCode(), errs.String())
		}
	}
}

// On a real file system, of one page: nothing is left of the file.
func TestFullFileSystem(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	check0(os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 4096), 0o644))
	profileIn(t, dir, s.arg(), "-o", "p.pb.gz").want(t, 1, "", "cgoheap: cannot write "+
		"\"p.pb.gz\": no space left on device\n")
	if names := namesIn(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// A house that is full for a moment is asked again.
func TestBusyIsAskedAgain(t *testing.T) {
	s := startShim(t, "busy")
	if r := profileIn(t, t.TempDir(), s.arg(), "-o", "p.pb.gz"); r.code != 0 {
		t.Error(r)
	}
	s = startShim(t, "full queue")
	if r := cgoheap(t, "sampling", s.arg()); r.code != 0 {
		t.Error(r)
	}
}

// TestProfileSaysWhatIsMissing: the last lines, whatever the profile looks like.
func TestProfileSaysWhatIsMissing(t *testing.T) {
	s := startShim(t, "troubled")
	r := profileIn(t, t.TempDir(), s.arg(), "-o", "p.pb.gz").normal(s)
	want := "cgoheap: sampling began 12s ago, and was off for 3m58s of 4m10s: what was allocated " +
		"then is not recorded\n" +
		"cgoheap: sampling is coarser than requested: 1 in 512KiB, not 1 in 64KiB\n" +
		"cgoheap: 7 samples were dropped: figures are too low; cgoheap doctor PID says why\n"
	if r.code != 0 || !strings.HasSuffix(r.err, want) {
		t.Errorf("%+v", r)
	}
	s = startShim(t, "serve")
	cgoheap(t, "sampling", s.arg(), "off")
	for _, output := range []string{"p.pb.gz", "-"} {
		r = profileIn(t, t.TempDir(), s.arg(), "-o", output).normal(s)
		if r.code != 0 || !strings.HasSuffix(r.err, "cgoheap: dormant: new allocations are not "+
			"recorded; cgoheap sampling PID on\n") {
			t.Errorf("%+v", r)
		}
	}
}

// TestProfileSaysWhatIsElsewhere: rings of sockets are in the memory profile, with those who mapped
// them.
func TestProfileSaysWhatIsElsewhere(t *testing.T) {
	const line = "cgoheap: 572.0 MiB (63 % of RSS), device maps, is not included: cgoheap " +
		"profile --memory PID shows who mapped that\n"
	for _, c := range []struct {
		part string
		args []string
		want bool
	}{
		{"rings", nil, true}, {"rings", []string{"--memory"}, false},
		{"rings", []string{"--older", "1m"}, false}, {"serve", nil, false},
	} {
		s := startShim(t, c.part)
		r := profileIn(t, t.TempDir(), append([]string{s.arg(), "-o", "p.pb.gz"},
			c.args...)...).normal(s)
		if r.code != 0 || strings.Contains(r.err, line) != c.want {
			t.Errorf("%s %v: %+v", c.part, c.args, r)
		}
	}
}

// What is saved is what go tool pprof reads.
func TestProfileWithGoToolPprof(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	if r := profileIn(t, dir, s.arg(), "-o", "p.pb.gz"); r.code != 0 {
		t.Fatal(r)
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", filepath.Join(dir, "p.pb.gz")).Output()
	if err != nil ||
		!strings.Contains(string(out), "github.com/mattn/go-sqlite3.(*SQLiteConn).prepare") {
		t.Errorf("%v\n%s", err, out)
	}
}
