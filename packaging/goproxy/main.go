// Command goproxy lays Go modules out as GOPROXY=file://DIRECTORY wants them.
//
//	goproxy VERSION DIRECTORY MODULE...
//
// Each MODULE is the directory of a go.mod.  Where one of them requires another, it is by a replace
// line in the tree; here it is that VERSION.  The same sources give the same bytes: times are
// SOURCE_DATE_EPOCH.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// source is a module of the tree.
type source struct {
	dir string
	mod *modfile.File
}

func (s *source) path() string { return s.mod.Module.Mod.Path }

func main() {
	log.SetFlags(0)
	log.SetPrefix("goproxy: ")
	if len(os.Args) < 4 {
		log.Fatal("usage: goproxy VERSION DIRECTORY MODULE...")
	}
	if err := lay("v"+os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		log.Fatal(err)
	}
}

func lay(version, directory string, dirs []string) error {
	made, err := epoch()
	if err != nil {
		return err
	}
	var sources []*source
	for _, dir := range dirs {
		s, err := read(dir)
		if err != nil {
			return err
		}
		sources = append(sources, s)
	}
	for _, s := range sources {
		if err := s.release(version, sources); err != nil {
			return fmt.Errorf("%s: %w", s.dir, err)
		}
		if err := s.write(version, directory, made); err != nil {
			return fmt.Errorf("%s: %w", s.dir, err)
		}
	}
	return nil
}

// epoch is the time that all files have, by https://reproducible-builds.org/specs.
func epoch() (time.Time, error) {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is not a number of seconds: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func read(dir string) (*source, error) {
	name := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	mod, err := modfile.Parse(name, text, nil)
	if err != nil {
		return nil, err
	}
	return &source{dir, mod}, nil
}

// release makes it require the others by version, and nothing by a path.
func (s *source) release(version string, others []*source) error {
	for _, o := range others {
		for _, r := range s.mod.Require {
			if r.Mod.Path != o.path() {
				continue
			}
			if err := s.mod.AddRequire(o.path(), version); err != nil {
				return err
			}
			if err := s.mod.DropReplace(o.path(), ""); err != nil {
				return err
			}
			break
		}
	}
	s.mod.Cleanup()
	if len(s.mod.Replace) != 0 {
		return fmt.Errorf("replaces %s, which those who require it would not see",
			s.mod.Replace[0].Old.Path)
	}
	return nil
}

// write makes the four files of one version.
func (s *source) write(version, directory string, made time.Time) error {
	mod, err := s.mod.Format()
	if err != nil {
		return err
	}
	archive, err := s.zip(version, mod)
	if err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, made})
	if err != nil {
		return err
	}
	escaped, err := module.EscapePath(s.path())
	if err != nil {
		return err
	}
	dir := filepath.Join(directory, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string][]byte{"list": []byte(version + "\n"),
		version + ".info": info, version + ".mod": mod, version + ".zip": archive} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// zip is the module's archive, with this go.mod.
func (s *source) zip(version string, mod []byte) ([]byte, error) {
	found, err := zip.CheckDir(s.dir)
	if err == nil {
		err = found.Err()
	}
	if err != nil {
		return nil, err
	}
	var files []zip.File
	for _, path := range found.Valid {
		name, err := filepath.Rel(s.dir, path)
		if err != nil {
			return nil, err
		}
		files = append(files, file{path, filepath.ToSlash(name), mod})
	}
	var archive bytes.Buffer
	err = zip.Create(&archive, module.Version{Path: s.path(), Version: version}, files)
	return archive.Bytes(), err
}

// file is one of the tree's; go.mod is as released.
type file struct {
	path, name string
	mod        []byte
}

func (f file) Path() string { return f.name }

func (f file) Lstat() (os.FileInfo, error) {
	info, err := os.Lstat(f.path)
	if err != nil || f.name != "go.mod" {
		return info, err
	}
	return resized{info, int64(len(f.mod))}, nil
}

func (f file) Open() (io.ReadCloser, error) {
	if f.name == "go.mod" {
		return io.NopCloser(bytes.NewReader(f.mod)), nil
	}
	return os.Open(f.path)
}

// resized is a file whose text is not that of the tree.
type resized struct {
	fs.FileInfo
	size int64
}

func (r resized) Size() int64 { return r.size }
