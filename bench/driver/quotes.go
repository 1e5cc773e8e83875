package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// bench/RESULTS.md marks what other pages may quote, and they mark where they do:
//
//	<!-- bench NAME -->13.4<!-- /bench -->
//
// A bench rewrites the quotes; -check fails where one differs.
var marked = regexp.MustCompile(`(?s)<!-- bench ([a-z0-9-]+) -->(.*?)<!-- /bench -->`)

func mark(name, text string) string {
	return "<!-- bench " + name + " -->" + text + "<!-- /bench -->"
}

// unmarked is the text as one reads it in a terminal.
func unmarked(page string) string {
	return regexp.MustCompile(`<!-- /?bench[ a-z0-9-]* -->`).ReplaceAllString(page, "")
}

// defined is what RESULTS.md says, by name.
func defined(page string) map[string]string {
	all := map[string]string{}
	for _, m := range marked.FindAllStringSubmatch(page, -1) {
		all[m[1]] = m[2]
	}
	return all
}

// quote puts what is defined where the page quotes it. Names that are not defined are in missing.
func quote(page string, all map[string]string) (quoted string, missing []string) {
	quoted = marked.ReplaceAllStringFunc(page, func(span string) string {
		name := marked.FindStringSubmatch(span)[1]
		text, there := all[name]
		if !there {
			missing = append(missing, name)
			return span
		}
		return mark(name, text)
	})
	return quoted, missing
}

// quoting are the pages that may quote.
func quoting(root string) []string {
	pages, _ := filepath.Glob(filepath.Join(root, "*.md"))
	docs, _ := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	return append(pages, docs...)
}

// eachQuote calls do with each page that quotes: as it is, and as RESULTS.md has it.
func eachQuote(root string, do func(path, is, should string) error) error {
	results, err := os.ReadFile(filepath.Join(root, "bench", "RESULTS.md"))
	if err != nil {
		return err
	}
	all := defined(string(results))
	var errs []error
	for _, path := range quoting(root) {
		page, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		should, missing := quote(string(page), all)
		if len(missing) != 0 {
			errs = append(errs, fmt.Errorf("%s quotes %s, which bench/RESULTS.md does not have",
				path, strings.Join(missing, ", ")))
		}
		errs = append(errs, do(path, string(page), should))
	}
	return errors.Join(errs...)
}

func updateQuotes(root string) error {
	return eachQuote(root, func(path, is, should string) error {
		if is == should {
			return nil
		}
		return os.WriteFile(path, []byte(should), 0o644)
	})
}

func checkQuotes(root string) error {
	return eachQuote(root, func(path, is, should string) error {
		if is == should {
			return nil
		}
		return fmt.Errorf("%s quotes figures that bench/RESULTS.md does not have: "+
			"run `bench/run -quote`", path)
	})
}
