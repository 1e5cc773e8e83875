package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	for line, want := range map[string]string{
		"frame_c 31.5 <= 40":           "met",
		"frame_c 41.5 <=40":            "**missed** by 1.5",
		"  frame_c 41.5 <= 40 of some": "**missed** by 1.5",
		"throughput 0.98 >= 0.97":      "met",
		"throughput 0.95 ≥ 0.97":       "**missed** by 0.02",
		"coverage 94.8 93-97":          "met",
		"coverage 91 93..97":           "**missed** by 2",
		"coverage 98 93 to 97":         "**missed** by 1",
		"bias -0.6 -0.5..0.5":          "**missed** by 0.1",
		"scrape_ms 70 at most 60":      "**missed** by 10",
		"scrape_ms 55 [at most 60]":    "met",
		"ratio 0.98 (0.97 to 0.99)":    "",
		"pairs 151.3":                  "",
	} {
		f, is := parseFigure(line)
		if got := f.verdict(); !is || got != want {
			t.Errorf("%q: %v %q, want %q", line, is, got, want)
		}
	}
	for _, line := range []string{"", "two words", "  1.5 ms", "holds of 8 threads:", "a 1.5ms",
		"pairs 151.3 instructions", "first 27.9 ms  3.4 MiB", "first 27.9 3.4 377697",
		"cores 2 threads 8", "alloc_space  1 to 3   485 +4.70", "frame_go 38 40"} {
		if f, is := parseFigure(line); is {
			t.Errorf("%q is taken for %+v", line, f)
		}
	}
}

func TestSection(t *testing.T) {
	got := sectionText("in C\n  frame 31 <= 40\n  all 9 (of 24)\n\n  < 1 µs  90\n  < 2 µs  10\n")
	want := "```\nin C\n```\n\n" +
		"|       | value | target | verdict |  remark |\n" +
		"|-------|------:|-------:|--------:|--------:|\n" +
		"| frame |    31 |  <= 40 |     met |         |\n" +
		"| all   |     9 |        |         | (of 24) |\n\n" +
		"```\n  < 1 µs  90\n  < 2 µs  10\n```\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestQuotes(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("bench/RESULTS.md", mark("pair", "13.4")+"\n"+mark("cost", "\n| a |\n"))
	readme := write("README.md", "costs "+mark("pair", "99")+" more\n"+mark("cost", ""))
	write("docs/safety.md", "quotes nothing")
	if err := checkQuotes(root); err == nil || !strings.Contains(err.Error(), "README.md") {
		t.Errorf("a page that differs: %v", err)
	}
	if err := updateQuotes(root); err != nil {
		t.Error(err)
	}
	if err := checkQuotes(root); err != nil {
		t.Error(err)
	}
	got, _ := os.ReadFile(readme)
	want := "costs " + mark("pair", "13.4") + " more\n" + mark("cost", "\n| a |\n")
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	write("docs/safety.md", mark("unheard-of", "1"))
	if err := checkQuotes(root); err == nil || !strings.Contains(err.Error(), "unheard-of") {
		t.Errorf("a name that is not defined: %v", err)
	}
}

// The figures of the tree's pages are those of bench/RESULTS.md.
func TestPagesQuoteTheResults(t *testing.T) {
	if err := checkQuotes("../.."); err != nil {
		t.Error(err)
	}
}

func TestRowsThatAreNone(t *testing.T) {
	for _, text := range []string{"0\ttree\tglibc\twall_ns\n", "x\ttree\tglibc\twall_ns\t1\n",
		"0\ttree\tglibc\twall_ns\tfast\n", "0\ttree\tglibc\twall_ns\tNaN\n"} {
		if _, err := readRounds(strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken for a row", text)
		}
	}
}
