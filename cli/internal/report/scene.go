package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/collect"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

// A directory of cgoheap collect: a scene, or a series of them.

// manifest is what a page needs of manifest.json.
type manifest struct {
	Host    string    `json:"host"`
	Program string    `json:"program"`
	PID     *int      `json:"pid"`
	Started time.Time `json:"started"`
	Stopped *string   `json:"stopped"`
	Files   []struct {
		Path   string  `json:"path"`
		MonoNS int64   `json:"mono_ns"`
		Error  *string `json:"error"`
	} `json:"files"`
}

// scene is a directory; its files are read when they are wanted.
type scene struct {
	dir string
	manifest
	damaged string // a sentence: manifest.json or account.json cannot be read
}

func openScene(dir string) *scene {
	s := &scene{dir: dir}
	body, err := readFile(filepath.Join(dir, "manifest.json"))
	if err != nil || json.Unmarshal(body, &s.manifest) != nil {
		s.damaged = "manifest.json cannot be read: names and times may be missing."
	}
	return s
}

// text of a file; nil: there is none.
func (s *scene) text(path string) []byte {
	body, err := readFile(filepath.Join(s.dir, path))
	if err != nil {
		return nil
	}
	return body
}

// why a file is missing, as the manifest says.
func (s *scene) why(path string) string {
	for _, f := range s.Files {
		if f.Path == path && f.Error != nil {
			return " (" + *f.Error + ")"
		}
	}
	return ""
}

// saved are the profiles of the scene by their names at the process.
func (s *scene) saved() map[string]string {
	list := map[string]string{}
	for _, name := range []string{"cgoheap", "memory"} {
		if path := name + ".pb.gz"; s.text(path) != nil {
			list[name] = path
		}
	}
	return list
}

// account and the sample that it makes; nil: the scene has none.
func (s *scene) account() *account.Account {
	a := &account.Account{}
	body := s.text("account.json")
	if body == nil {
		return nil
	}
	if err := json.Unmarshal(body, a); err != nil || a.RSS <= 0 {
		s.damaged = "account.json cannot be read: the owners of the RSS are unknown."
		return nil
	}
	return a
}

// row is a sample by the account and proc/status; false: there is neither.
func (s *scene) row() (r series.Row, a *account.Account, ok bool) {
	wall, mono := s.Started, s.Started.UnixNano()
	for _, f := range s.Files {
		if f.Path == "account.json" && f.MonoNS > 0 {
			mono = f.MonoNS
		}
	}
	a = s.account()
	if a != nil {
		wall = cmp.Or(a.Time, wall)
		r = rowOf(a, wall, mono)
	} else {
		r = series.Row{Wall: wall, MonoNS: mono}
	}
	s.takeStatus(&r)
	return r, a, len(r.Values) > 0
}

var statusFigures = map[string]string{
	"VmRSS": series.RSS, "RssAnon": series.RSSAnon, "RssFile": series.RSSFile,
	"RssShmem": series.RSSShmem, "VmSwap": series.Swap, "VmSize": series.VMSize,
	"VmData": series.VMData, "VmStk": series.VMStack, "Threads": series.Threads,
}

// takeStatus fills in what the account does not have.
func (s *scene) takeStatus(r *series.Row) {
	lines := bufio.NewScanner(bytes.NewReader(s.text("proc/status")))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		fields := strings.Fields(value)
		name := statusFigures[key]
		if _, has := r.Value(name); name == "" || has || len(fields) == 0 {
			continue
		}
		if n, err := strconv.ParseInt(fields[0], 10, 62); err == nil && n >= 0 {
			if len(fields) == 2 {
				n <<= 10
			}
			r.Set(name, float64(n))
		}
	}
}

// sceneFiles tell a scene from any other directory.
var sceneFiles = []string{"manifest.json", "account.json", "memory.pb.gz", "cgoheap.pb.gz",
	"proc/status"}

func isScene(dir string) bool {
	return slices.ContainsFunc(sceneFiles, func(name string) bool {
		info, err := os.Stat(filepath.Join(dir, name))
		return err == nil && info.Mode().IsRegular()
	})
}

// scenesBelow are the numbered directories of a series.
func scenesBelow(dir string) []*scene {
	names, _ := filepath.Glob(filepath.Join(dir, "[0-9][0-9][0-9]*"))
	var scenes []*scene
	for _, name := range names {
		if isScene(name) {
			scenes = append(scenes, openScene(name))
		}
	}
	return scenes
}

func readDirectory(dir string) (*Input, error) {
	if !isScene(dir) && len(scenesBelow(dir)) == 0 {
		return nil, fmt.Errorf("%s: %w", termtext.QuoteShell(dir), ErrUnknown)
	}
	above := openScene(dir)
	scenes := scenesBelow(dir)
	in := &Input{Source: "a scene of cgoheap collect"}
	if len(scenes) == 0 {
		scenes = []*scene{above}
	} else {
		in.Source = fmt.Sprintf("%s of cgoheap collect",
			termtext.CountOf(len(scenes), "scene", "scenes"))
	}
	var first *account.Account
	for _, s := range scenes {
		r, a, ok := s.row()
		if n := len(in.Rows); ok && n > 0 && r.MonoNS <= in.Rows[n-1].MonoNS {
			r.MonoNS = in.Rows[n-1].MonoNS + max(1, int64(r.Wall.Sub(in.Rows[n-1].Wall)))
		}
		if ok {
			in.Rows = append(in.Rows, r)
		}
		if a != nil {
			first, in.Account = cmp.Or(first, a), a
		}
	}
	if in.Account != nil && first != in.Account {
		in.Grown = account.GrowthSince(first, in.Account)
	}
	last := scenes[len(scenes)-1]
	in.takeNames(above, last)
	in.takeScene(last)
	in.takeWatched(dir)
	if len(in.Rows) == 0 && in.Profile == nil && in.Maps == nil {
		return nil, fmt.Errorf("%s has neither an account, nor the process's figures, "+
			"nor a profile", termtext.QuoteShell(dir))
	}
	return in, nil
}

func (in *Input) takeNames(above, last *scene) {
	in.Host, in.Program = cmp.Or(above.Host, last.Host), cmp.Or(above.Program, last.Program)
	if pid := cmp.Or(above.PID, last.PID); pid != nil {
		in.PID = *pid
	}
	if in.Program == "" {
		in.Program = "unknown program"
	}
	for _, s := range []*scene{above, last} {
		if s.damaged != "" && !slices.Contains(in.Warnings, s.damaged) {
			in.warn(s.damaged)
		}
	}
	if why := cmp.Or(above.Stopped, last.Stopped); why != nil {
		in.warn("The collection was stopped: " + *why + ".")
	}
}

// takeScene takes what only one moment has: the profile, the mappings, the verdict.
func (in *Input) takeScene(s *scene) {
	for _, name := range []string{"memory.pb.gz", "cgoheap.pb.gz"} {
		body := s.text(name)
		if body == nil || in.Profile != nil {
			continue
		}
		p, err := attach.ParseProfile(body)
		if err != nil {
			in.warn(name + " cannot be read: " + err.Error() + ".")
			continue
		}
		in.Profile = p
	}
	if in.Profile == nil {
		in.missing("The scene has no memory profile%s: there is no flame graph.",
			s.why("memory.pb.gz"))
	}
	if in.Maps = s.text("proc/smaps"); len(in.Maps) == 0 {
		in.Maps = s.text("proc/maps")
	}
	if len(in.Maps) == 0 {
		in.missing("The scene has no list of mappings%s: there is no map of the address space.",
			s.why("proc/smaps"))
	}
	if command, _, _ := bytes.Cut(s.text("proc/cmdline"), []byte{0}); len(command) > 0 {
		in.Executable = string(command)
	}
	status := &attach.Status{}
	if body := s.text("status.json"); body != nil && json.Unmarshal(body, status) == nil {
		in.Executable = cmp.Or(status.Host.Executable, in.Executable)
	}
	if in.Account == nil {
		in.missing("The scene has no account%s: the owners of the RSS are unknown, "+
			"and there is no verdict.", s.why("account.json"))
	}
	in.takeAges(s)
	in.judge(verdict.Situation{Saved: s.saved(), Dormant: status.State == "dormant",
		Dropped: status.DroppedSamples(), Missed: status.Dropped[attach.MissedFree],
		Off: time.Duration(status.OffNS), Debtors: s.debtors})
}

// debtors is nil if the scene has no profile.
func (s *scene) debtors() []holders.Debtor {
	p, err := attach.ParseProfile(s.text("cgoheap.pb.gz"))
	if err != nil {
		return nil
	}
	return holders.Debtors(p, nil)
}

// takeAges: scenes of older libraries have none.
func (in *Input) takeAges(s *scene) {
	body := s.text(collect.AgesFile)
	if body == nil {
		return
	}
	p, err := attach.ParseProfile(body)
	if err == nil {
		var table *cohort.Table
		if table, err = cohort.Read(p, nil); err == nil {
			in.Held = table.Judge(in.Account)
		}
	}
	if err != nil {
		in.warn(collect.AgesFile + " cannot be read: " + err.Error() + ".")
	}
}

// takeWatched takes the samples of a recording that lies in the scene: they say more.
func (in *Input) takeWatched(dir string) {
	names, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	for _, name := range names {
		if r, err := series.ReadFile(name); err == nil && len(r.Rows) > len(in.Rows) {
			in.takeRecording(r)
			in.Source += ", with a recording of cgoheap watch"
		}
	}
}
