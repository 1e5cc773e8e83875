package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// runtimeLicence: that of the compiler's own library. Its package's text is about all of the
// compiler; what is linked may be passed on by the exception, with no text but that.
const runtimeLicence = "GPL-3.0-or-later WITH GCC-exception-3.1"

// archives are the static libraries of which the linker took something, by its map.
func archives(linked string) ([]part, error) {
	file, err := os.Open(linked)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	member := regexp.MustCompile(`^(\S+/lib\w[^/ ]*\.a)\(`)
	var paths []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Memory Configuration") {
		if m := member.FindStringSubmatch(lines.Text()); m != nil {
			path, err := filepath.Abs(m[1])
			if err != nil {
				return nil, err
			}
			paths = append(paths, path)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s names no static library", linked)
	}
	slices.Sort(paths)
	var parts []part
	for _, path := range slices.Compact(paths) {
		p, err := archive(path)
		if err != nil {
			return nil, fmt.Errorf("%s, which is in libcgoheap.so: %w", path, err)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// archive is one of Debian's packages, installed here or unpacked into a root of another processor.
func archive(path string) (part, error) {
	owner, err := packageOf(path)
	if err != nil {
		return part{}, err
	}
	root := path[:max(0, strings.LastIndex(path, "/usr/lib"))]
	docs := filepath.Join(root, "/usr/share/doc", owner)
	text, err := os.ReadFile(filepath.Join(docs, "copyright"))
	if err != nil {
		return part{}, err
	}
	source, version, err := newest(docs)
	if err != nil {
		return part{}, err
	}
	p := part{name: source, version: version, text: string(text),
		purl: fmt.Sprintf("pkg:deb/debian/%s@%s?arch=source", source, url.QueryEscape(version))}
	if filepath.Base(path) == "libgcc.a" {
		p.licence = runtimeLicence
	} else if p.licence, err = licenceOf(p.text); err != nil {
		return part{}, err
	}
	return p, nil
}

// packageOf is the name of the package whose file it is. In a root into which packages were only
// unpacked, it is the name that this system has for the same file.
func packageOf(path string) (string, error) {
	for _, pattern := range []string{path, "/usr/lib/*-linux-gnu/" + filepath.Base(path)} {
		out, err := exec.Command("dpkg", "-S", pattern).Output()
		if name, _, found := strings.Cut(string(out), ":"); err == nil && found {
			return name, nil
		}
	}
	return "", fmt.Errorf("`dpkg -S` knows no package of it: its licence is not known")
}

// newest is the source package and version that a change log begins with.
func newest(docs string) (source, version string, err error) {
	name := filepath.Join(docs, "changelog.Debian.gz")
	file, err := os.Open(name)
	if err != nil {
		return "", "", err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return "", "", err
	}
	line, err := bufio.NewReader(unpacked).ReadString('\n')
	m := regexp.MustCompile(`^(\S+) \((\S+)\) `).FindStringSubmatch(line)
	if m == nil {
		return "", "", fmt.Errorf("%s does not begin with a version: %q %v", name, line, err)
	}
	return m[1], m[2], nil
}
