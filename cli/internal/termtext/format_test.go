package termtext

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", -2048: "-2.0 KiB",
		1 << 20: "1.0 MiB", 1<<20 - 1: "1.0 MiB", 851863142: "812.4 MiB",
		1 << 30: "1.0 GiB", 1 << 62: "4.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("formatBytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestExactBytesAndInterval(t *testing.T) {
	for n, want := range map[uint64]string{
		1: "every allocation", 524288: "1 in 512KiB", 1 << 20: "1 in 1MiB", 1000: "1 in 1000",
	} {
		if got := Interval(n); got != want {
			t.Errorf("formatInterval(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234",
	} {
		if got := Count(n); got != want {
			t.Errorf("formatCount(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]string{
		"0s": "0s", "250ms": "250ms", "45s": "45s", "250s": "4m10s", "10m": "10m",
		"2h3m9s": "2h03m", "124h10m": "5d04h",
	} {
		d, err := time.ParseDuration(text)
		if got := Duration(d); err != nil || got != want {
			t.Errorf("formatDuration(%s) = %q, want %q", text, got, want)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]uint64{
		"1": 1, "524288": 524288, "512KiB": 524288, "512K": 524288, "512kb": 524288,
		"1MiB": 1 << 20, "2G": 2 << 30,
	} {
		if got, ok := ParseBytes(text); !ok || got != want {
			t.Errorf("parseBytes(%q) = %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "KiB", "-1", "1.5M", "1 MiB", "1TiB", "0x10", "99999999999999999999", "99999999999G",
	} {
		if got, ok := ParseBytes(text); ok {
			t.Errorf("parseBytes(%q) = %d, want a refusal", text, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30": 30 * time.Second, "90s": 90 * time.Second, "1h30m": 90 * time.Minute,
		"250ms": 250 * time.Millisecond, "0": 0,
	} {
		if got, ok := ParseDuration(text); !ok || got != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-1s", "+1s", "ten", "1", "99999999999"} {
		if got, ok := ParseDuration(text); ok != (text == "1") {
			t.Errorf("parseDuration(%q) = %v, %v", text, got, ok)
		}
	}
}

func TestEscape(t *testing.T) {
	for name, want := range map[string]string{
		"main.(*T).f":          "main.(*T).f",
		"größe 東":              "größe 東",
		"\x1b]0;title\x07":     `\x1b]0;title\a`,
		"a\nb\tc":              `a\nb\tc`,
		"bad\xff\xfeutf8":      `bad\xff\xfeutf8`,
		"turn\u202eed":         `turn\u202eed`,
		"\u009b31m":            `\u009b31m`,
		"zero\u200bwidth":      `zero\u200bwidth`,
		"replacement � is one": "replacement � is one",
	} {
		if got := Escape(name); got != want {
			t.Errorf("escapeName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestQuoteShell(t *testing.T) {
	for word, want := range map[string]string{
		"./service": "./service", "a b": "'a b'", "it's": `'it'\''s'`,
		"": "''", "$(reboot)": "'$(reboot)'",
	} {
		if got := QuoteShell(word); got != want {
			t.Errorf("quoteShell(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	if got := CutEnd("abcdef", 4); got != "abc…" {
		t.Error(got)
	}
	if got := CutStart("abcdef", 4); got != "…def" {
		t.Error(got)
	}
	for _, width := range []int{-1, 0, 1, 6, 7} {
		want := min(max(width, 0), 6)
		if got := len([]rune(CutEnd("äbcdef", width))); got != want {
			t.Errorf("cutEnd to %d gives %d columns", width, got)
		}
		if got := len([]rune(CutStart("äbcdef", width))); got != want {
			t.Errorf("cutStart to %d gives %d columns", width, got)
		}
	}
}

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	rows := [][]string{{"N", "NAME", "END"}, {"12", "ä", "x"}, {"3", "long", "yy"}}
	WriteTable(&b, []bool{true, false, false}, rows)
	want := " N  NAME  END\n12  ä     x\n 3  long  yy\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestSparkline(t *testing.T) {
	nan := math.NaN()
	for want, values := range map[string][]float64{
		"":         nil,
		" ":        {nan},
		"▁▁▁":      {7, 7, 7},
		"▁▁":       {1 << 30, 1<<30 + 100},
		"▁▂▃▄▅▆▇█": {0, 1, 2, 3, 4, 5, 6, 7},
		"█ ▁":      {9, nan, -9},
		"▁█":       {-2, -1},
	} {
		if got := Sparkline(values); got != want {
			t.Errorf("%v: %q, want %q", values, got, want)
		}
	}
}
