// Package collect saves the scene of a memory incident: what the library, the kernel and Go's
// own profiler say of one process at one time, in a directory with a manifest, and a README.txt
// that answers the first question.  A source that fails is noted and never stops the others.
package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/outfile"
	"cgoheap.example/cli/internal/release"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

// Limits on how long a source may take.
type Limits struct {
	Connect time.Duration
	Each    time.Duration // to connect and answer, beside the time that was asked for
	Pause   time.Duration // before asking again
	Retries int
}

// UsualLimits are those of the command.
var UsualLimits = Limits{Connect: 3 * time.Second, Each: 90 * time.Second, Pause: time.Second,
	Retries: 2}

// Options say what is collected.  Process, Server or both are given.
type Options struct {
	Process *attach.Process // nil: a URL alone
	// Library answers a page of the library of Process; nil: there is no process.
	Library func(page string) ([]byte, error)
	Server  *Server
	CPU     time.Duration // 0: no profile of the processor
	Trace   time.Duration // 0: no trace
	GC      bool          // make the service collect garbage
	Limits  Limits

	Host, Program string
	Root          string // of /proc and /sys; "" is /
	Clock         Clock
	Progress      io.Writer
	// Situation is what the verdict knows beside the account.
	Situation verdict.Situation
	First     *account.Account // of a series, once there is one
}

// LibraryPages asks the library of a process.
func LibraryPages(c *attach.Client, each time.Duration) func(page string) ([]byte, error) {
	return func(page string) ([]byte, error) {
		path, query, _ := strings.Cut(page, "?")
		values, err := url.ParseQuery(query)
		if err != nil {
			return nil, err
		}
		return c.Request("GET", path, values, each, attach.MaxProfileBytes)
	}
}

// taking is one scene while it is taken.
type taking struct {
	*Options
	dir      string
	manifest Manifest
	gone     map[string]*outage
}

// outage counts the sources in a row that a place gave no answer for.
type outage struct {
	count int
	text  string
}

// Sources of one place that may hang or find nothing to connect to, before the rest of them are
// left out: in an incident, an hour of waiting is no scene.
const patience = 2

// Take saves one scene in a directory, which it makes.  It returns an error where nothing was
// collected, or where it did not come to its end: then the manifest says what there is.
func Take(ctx context.Context, dir string, o *Options) (*Manifest, error) {
	t := &taking{Options: o, dir: dir, gone: map[string]*outage{}}
	if err := makeDirectory(dir); err != nil {
		return nil, err
	}
	t.begin()
	stopped := t.takeAll(ctx)
	if files, _ := t.manifest.count(); files == 0 {
		return &t.manifest, t.nothing(stopped)
	}
	ended, _ := o.Clock()
	t.manifest.Ended = &ended
	t.manifest.Complete = stopped == nil
	err := t.save()
	if err == nil {
		err = writeFile(filepath.Join(dir, "README.txt"), []byte(Readme(dir, &t.manifest, o)))
	}
	if stopped != nil {
		return &t.manifest, stopped
	}
	return &t.manifest, err
}

func (t *taking) begin() {
	wall, _ := t.Clock()
	t.manifest = Manifest{Version: release.Version, Host: t.Host, Program: t.Program,
		View: view(t.root()), Started: wall, Files: []File{}}
	if t.Process != nil {
		t.manifest.PID = &t.Process.PID
	}
	if t.Server != nil {
		text := t.Server.String()
		t.manifest.URL = &text
	}
}

// makeDirectory makes one that its owner alone may read: the scene has the command line and the
// names of tenants.
func makeDirectory(dir string) error {
	err := os.Mkdir(dir, 0o700)
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("%s exists already: name a directory that does not exist with -o",
			termtext.Quote(dir))
	case err != nil:
		return fmt.Errorf("cannot make the directory %s (%s): name another place with -o",
			termtext.Quote(dir), termtext.Reason(err))
	}
	return nil
}

// nothing removes a scene without a file, and says why it has none.
func (t *taking) nothing(stopped error) error {
	for _, sub := range []string{"proc", "cgroup", "host", "go"} {
		os.Remove(filepath.Join(t.dir, sub))
	}
	os.Remove(filepath.Join(t.dir, "manifest.json"))
	os.Remove(t.dir)
	if stopped != nil {
		return stopped
	}
	for _, f := range t.manifest.Files {
		if f.Error != nil {
			return fmt.Errorf("nothing could be collected: %s: %s", f.From, *f.Error)
		}
	}
	return errors.New("nothing could be collected")
}

// stop ends a scene early; its text follows "not collected: ".
type stop struct{ text string }

func (s *stop) Error() string { return s.text }

// takeAll asks each source, and saves the manifest after each, so that even a kill leaves one.
func (t *taking) takeAll(ctx context.Context) error {
	var stopped error
	for _, s := range t.plan() {
		if stopped != nil {
			t.note(s, 0, stopped)
			continue
		}
		f, err := t.takeOne(ctx, s)
		t.manifest.Files = append(t.manifest.Files, f)
		t.show(f)
		var disk *diskError
		switch {
		case errors.As(err, &disk):
			stopped = &stop{fmt.Sprintf("cannot write to %s: %s", termtext.Quote(t.dir), disk)}
		case ctx.Err() != nil:
			stopped = &stop{"interrupted"}
		}
		if stopped != nil {
			text := stopped.Error()
			t.manifest.Stopped = &text
		}
		if err := t.save(); err != nil && stopped == nil {
			stopped = &stop{err.Error()}
		}
	}
	return stopped
}

// note adds a file that is not there.
func (t *taking) note(s source, attempts int, err error) {
	wall, mono := t.Clock()
	text := err.Error()
	t.manifest.Files = append(t.manifest.Files, File{Path: s.path, Source: s.from, Kind: s.kind,
		From: t.place(s), Wall: wall, MonoNS: mono, Attempts: attempts, Error: &text})
}

// place is what is asked for, as people read it.
func (t *taking) place(s source) string {
	switch s.from {
	case fromGo:
		return t.Server.String() + "/" + t.pageOf(s)
	case fromLibrary:
		if t.Library == nil {
			return t.Server.String() + "/" + s.isOfGoPackage()
		}
		return s.page
	case fromHost:
		if s.page == zombiesPage || s.page == kernelPage {
			return "/proc"
		}
	}
	return t.kernelPath(s)
}

// takeOne asks one source as often as that may help.
func (t *taking) takeOne(ctx context.Context, s source) (File, error) {
	wall, mono := t.Clock()
	f := File{Path: s.path, Source: s.from, Kind: s.kind, From: t.place(s), Wall: wall,
		MonoNS: mono}
	out := t.gone[s.from]
	if out != nil && out.count >= patience {
		text := fmt.Sprintf("not asked for: %s (%d times in a row)", out.text, out.count)
		f.Error = &text
		return f, nil
	}
	if d := t.lasts(s); d > 0 {
		fmt.Fprintf(t.Progress, "  %-30s for %s\n", s.path, termtext.Duration(d))
	}
	var err error
	for {
		f.Attempts++
		var n int64
		if n, err = t.ask(ctx, s); err == nil {
			f.Bytes = &n
			break
		}
		var why *failure
		if !errors.As(err, &why) || !why.again || f.Attempts > t.Limits.Retries {
			break
		}
		select {
		case <-time.After(t.Limits.Pause):
		case <-ctx.Done():
		}
	}
	t.countOutage(s.from, err)
	_, now := t.Clock()
	f.TookNS = now - mono
	if err != nil {
		text := err.Error()
		if ctx.Err() != nil {
			text = "interrupted"
		}
		if t.Server != nil {
			text = t.Server.hide(text)
		}
		f.Error = &text
	}
	return f, err
}

func (t *taking) countOutage(place string, err error) {
	var why *failure
	if !errors.As(err, &why) || !why.silent && !why.away {
		delete(t.gone, place)
		return
	}
	if t.gone[place] == nil {
		t.gone[place] = &outage{}
	}
	t.gone[place].count++
	t.gone[place].text = why.text
}

// ask writes a source's file, whole and checked, or not at all.
func (t *taking) ask(ctx context.Context, s source) (int64, error) {
	path := filepath.Join(t.dir, s.path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, &diskError{err}
	}
	file, err := outfile.Private(path)
	if err != nil {
		return 0, &diskError{err}
	}
	defer file.Discard()
	w := &sink{to: file}
	if err := t.read(ctx, s, w); err != nil {
		return 0, err
	}
	if err := check(s, file.Name()); err != nil {
		return 0, err
	}
	if err := file.Keep(); err != nil {
		return 0, &diskError{err}
	}
	return w.bytes, nil
}

func (t *taking) read(ctx context.Context, s source, w io.Writer) error {
	switch {
	case s.from == fromGo:
		return t.Server.get(ctx, t.pageOf(s), t.lasts(s), w)
	case s.from == fromLibrary && t.Library == nil:
		err := t.Server.get(ctx, s.isOfGoPackage(), 0, w)
		var why *failure
		if errors.As(err, &why) && why.absent {
			return final("the service does not serve this: it does not import cgo_bridge")
		}
		return err
	case s.from == fromLibrary:
		return t.readLibrary(ctx, s.page, w)
	}
	each, cancel := context.WithTimeout(ctx, t.Limits.Each)
	defer cancel()
	err := t.readKernel(each, s, w)
	if errors.Is(err, context.DeadlineExceeded) {
		return final("the kernel gave no answer within %s", termtext.Duration(t.Limits.Each))
	}
	return err
}

// readLibrary ends when it is interrupted; the answer is then lost.
func (t *taking) readLibrary(ctx context.Context, page string, w io.Writer) error {
	type answer struct {
		body []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		body, err := t.Library(page)
		done <- answer{body, err}
	}()
	select {
	case a := <-done:
		if a.err != nil {
			return &failure{text: a.err.Error(), again: attach.IsCut(a.err),
				silent: attach.IsSilence(a.err)}
		}
		_, err := w.Write(a.body)
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// show prints a line of progress.
func (t *taking) show(f File) {
	took := fmt.Sprintf("%.1f s", time.Duration(f.TookNS).Seconds())
	if f.Bytes != nil {
		fmt.Fprintf(t.Progress, "  %-30s %10s %8s\n", f.Path, termtext.Bytes(*f.Bytes), took)
		return
	}
	asked := ""
	if f.Attempts > 1 {
		asked = fmt.Sprintf(" (%d attempts)", f.Attempts)
	}
	fmt.Fprintf(t.Progress, "  %-30s %10s %8s  %s%s\n", f.Path, "-", took, *f.Error, asked)
}

func (t *taking) save() error {
	body, err := encode("scene", &t.manifest)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(t.dir, "manifest.json"), body)
}

// writeFile replaces a file by a whole one.
func writeFile(path string, body []byte) error {
	file, err := outfile.Private(path)
	if err == nil {
		defer file.Discard()
		_, err = file.Write(body)
	}
	if err == nil {
		err = file.Keep()
	}
	if err != nil {
		return fmt.Errorf("cannot write to %s: %s", termtext.Quote(filepath.Dir(path)),
			termtext.Reason(err))
	}
	return nil
}

// diskError is a failure to write here, not to read there.
type diskError struct{ error }

func (e *diskError) Error() string { return termtext.Reason(e.error) }

func (e *diskError) Unwrap() error { return e.error }

// sink counts bytes, and marks errors as the disk's.
type sink struct {
	to    io.Writer
	bytes int64
}

func (s *sink) Write(b []byte) (int, error) {
	n, err := s.to.Write(b)
	s.bytes += int64(n)
	if err != nil {
		err = &diskError{err}
	}
	return n, err
}

// view is whose processes /proc shows: the first PID namespace has a number of its own.
func view(root string) string {
	const first = "pid:[4026531836]"
	name, err := os.Readlink(filepath.Join(root, "proc/self/ns/pid"))
	if err != nil || name == first {
		return viewHost
	}
	return viewContainer
}

// FreeBytes is how much room a directory's file system has; -1 unknown.
func FreeBytes(dir string) int64 {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return -1
	}
	return int64(st.Bavail) * st.Bsize
}

// mostName leaves room for two names, a time and a suffix within the 255 bytes of a file's name.
const mostName = 80

// SafeName keeps what is plain in a part of a file's name.
func SafeName(name string) string {
	if name == "" {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' ||
			r == '.' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, name[:min(len(name), mostName)])
}
