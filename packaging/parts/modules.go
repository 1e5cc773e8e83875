package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// modules are Go's standard library and the modules that the go command wrote into a command,
// except those of the tree. Their texts are where the go command has them for the module at dir.
func modules(command, dir string) ([]part, error) {
	info, err := buildinfo.ReadFile(command)
	if err != nil {
		return nil, err
	}
	std, err := standard(info.GoVersion, dir)
	if err != nil {
		return nil, err
	}
	parts := []part{std}
	for _, m := range info.Deps {
		if m.Replace != nil && m.Replace.Version == "(devel)" {
			continue
		}
		p := part{name: m.Path, version: m.Version,
			purl: "pkg:golang/" + m.Path + "@" + m.Version}
		if p.text, p.licence, err = moduleLicence(m.Path, m.Version, dir); err != nil {
			return nil, fmt.Errorf("%s, which is in cgoheap: %w", m.Path, err)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func moduleLicence(path, version, dir string) (text, licence string, err error) {
	download := exec.Command("go", "mod", "download", "-json", path+"@"+version)
	download.Dir = dir
	said, err := download.Output()
	var module struct{ Dir, Error string }
	if json.Unmarshal(said, &module) != nil || err != nil {
		return "", "", fmt.Errorf("go mod download: %s", cmp.Or(module.Error, fmt.Sprint(err)))
	}
	return licenceIn(module.Dir)
}

// licenceIn reads the files of a directory that have the name of a licence or a notice.
func licenceIn(dir string) (text, licence string, err error) {
	named := regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|patents)([-.].*)?$`)
	files, err := os.ReadDir(dir)
	if err != nil {
		return "", "", err
	}
	var texts []string
	for _, f := range files {
		if !named.MatchString(f.Name()) || !f.Type().IsRegular() {
			continue
		}
		found, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return "", "", err
		}
		texts = append(texts, strings.TrimSpace(string(found)))
	}
	text = strings.Join(texts, "\n\n")
	if licence, err = licenceOf(text); err != nil {
		return "", "", fmt.Errorf("%s: %w", dir, err)
	}
	return text, licence, nil
}

// standard is the library of the Go release that built the command.
func standard(release, dir string) (part, error) {
	env := exec.Command("go", "env", "GOROOT")
	env.Dir = dir
	env.Env = append(os.Environ(), "GOTOOLCHAIN="+release)
	root, err := env.Output()
	if err != nil {
		return part{}, fmt.Errorf("go env GOROOT with %s: %w", release, err)
	}
	version := strings.TrimPrefix(release, "go")
	p := part{name: "Go's standard library", version: version, purl: "pkg:golang/std@" + version}
	p.text, p.licence, err = licenceIn(strings.TrimSpace(string(root)))
	return p, err
}

// scripts are the libraries in the page of `cgoheap report`, by what tools/report-assets/build
// wrote beside it.
func scripts(licences string) ([]part, error) {
	text, err := os.ReadFile(licences)
	if err != nil {
		return nil, err
	}
	heading := regexp.MustCompile(`(?m)^(\S+) (\d\S*), in report\.js.*:$`)
	var parts []part
	found := heading.FindAllSubmatchIndex(text, -1)
	for i, at := range found {
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		p := part{name: string(text[at[2]:at[3]]), version: string(text[at[4]:at[5]]),
			text: string(text[at[1]:end])}
		p.purl = "pkg:npm/" + p.name + "@" + p.version
		if p.licence, err = licenceOf(p.text); err != nil {
			return nil, fmt.Errorf("%s in %s: %w", p.name, licences, err)
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%s names no library", licences)
	}
	return parts, nil
}
