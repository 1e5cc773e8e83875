// Command parts says what of others' is in a library and a command that were built: NOTICES has the
// licences' texts, and the bill of materials (CycloneDX) the names and versions.
//
// It looks at what was linked: the linker's map of the library, and the modules that the go command
// wrote into the command.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/licensecheck"
)

// part is something that others made.
type part struct {
	name, version string
	purl          string // https://github.com/package-url/purl-spec
	licence       string // an SPDX expression
	text          string // the licence and notices, as they came with it
}

// product is one of the two files that are made here, and what is in it.
type product struct {
	name, path string
	parts      []part
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("parts: ")
	var library, command, linked, version, notices, sbom, own string
	flag.StringVar(&library, "library", "", "libcgoheap.so")
	flag.StringVar(&linked, "map", "", "the linker's map of it")
	flag.StringVar(&command, "command", "", "cgoheap")
	flag.StringVar(&version, "version", "", "the version of both")
	flag.StringVar(&own, "tree", "", "the sources")
	flag.StringVar(&notices, "notices", "", "the notices, to be written")
	flag.StringVar(&sbom, "sbom", "", "the bill of materials, to be written")
	flag.Parse()
	products := []product{{name: "libcgoheap.so", path: library}, {name: "cgoheap", path: command}}
	var err [5]error
	products[0].parts, err[0] = archives(linked)
	products[1].parts, err[1] = modules(command, filepath.Join(own, "cli"))
	scripts, failed := scripts(filepath.Join(own, "cli/internal/report/assets/LICENSES.txt"))
	products[1].parts = append(products[1].parts, scripts...)
	err[2] = failed
	if errors.Join(err[:]...) == nil {
		err[3] = os.WriteFile(notices, []byte(noticesText(products)), 0o644)
		err[4] = writeBill(sbom, version, products)
	}
	if err := errors.Join(err[:]...); err != nil {
		log.Fatal(err)
	}
}

// noticesText is a list of the parts, then the text of each.
func noticesText(products []product) string {
	var b strings.Builder
	b.WriteString("cgoheap's own licence is Apache-2.0, in the file LICENSE. These parts are " +
		"by others:\n")
	for _, p := range products {
		fmt.Fprintf(&b, "\n%s\n", p.name)
		for _, of := range p.parts {
			fmt.Fprintf(&b, "    %s %s: %s\n", of.name, of.version, of.licence)
		}
	}
	for _, p := range products {
		for _, of := range p.parts {
			line := strings.Repeat("=", 80)
			fmt.Fprintf(&b, "\n%s\n%s %s, in %s\n%s\n\n%s\n", line, of.name,
				of.version, p.name, line, strings.TrimSpace(of.text))
		}
	}
	return b.String()
}

// licenceOf names what the text is, as an SPDX expression. SPDX has no name for Google's grant of
// patents, which stands beside a licence.
func licenceOf(text string) (string, error) {
	var names []string
	seen := map[string]bool{}
	for _, m := range licensecheck.Scan([]byte(text)).Match {
		if !m.IsURL && m.ID != "GooglePatentsFile" && !seen[m.ID] {
			seen[m.ID] = true
			names = append(names, m.ID)
		}
	}
	if len(names) == 0 {
		return "", errors.New("its text is of no licence that is known")
	}
	return strings.Join(names, " AND "), nil
}
