// Package termtext writes figures, names and tables for a terminal, and reads
// sizes and times as people type them.
package termtext

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bytes writes a size as people read it: "812.4 MiB".
func Bytes(n int64) string {
	sign := ""
	value := float64(n)
	if n < 0 {
		sign, value = "-", -value
	}
	if value < 1024 {
		return fmt.Sprintf("%s%d B", sign, int64(value))
	}
	unit := -1
	for value >= 1024 && unit < 5 {
		value /= 1024
		unit++
	}
	// 1023.96 KiB would round to "1024.0 KiB".
	if value >= 1023.95 && unit < 5 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%s%.1f %ciB", sign, value, "KMGTPE"[unit])
}

// ExactBytes writes a size exactly, in the largest unit that divides it: "512KiB", "1".
func ExactBytes(n uint64) string {
	for _, u := range []struct {
		bytes uint64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatUint(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatUint(n, 10)
}

// Interval says how finely the library samples.
func Interval(sampleBytes uint64) string {
	if sampleBytes == 1 {
		return "every allocation"
	}
	return "1 in " + ExactBytes(sampleBytes)
}

// Growth is Bytes with its sign.
func Growth(n int64) string {
	if n > 0 {
		return "+" + Bytes(n)
	}
	return Bytes(n)
}

// Count groups digits: "1,234,567".
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return sign + strings.Join(append([]string{digits}, parts...), ",")
}

// CountOf is a count with its noun: "1 process", "3 processes".
func CountOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(int64(n)) + " " + many
}

// List joins words, as "a, b and c" where and is "and".
func List(words []string, and string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " " + and + " " + words[last]
}

// Duration keeps the two largest units: "45s", "4m10s", "2h03m", "5d04h".
func Duration(d time.Duration) string {
	switch {
	case d > 0 && d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return pairOfUnits(int(d.Minutes()), "m", int(d.Seconds())%60, "s")
	case d < 24*time.Hour:
		return pairOfUnits(int(d.Hours()), "h", int(d.Minutes())%60, "m")
	}
	return pairOfUnits(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
}

func pairOfUnits(big int, bigUnit string, small int, smallUnit string) string {
	if small == 0 {
		return fmt.Sprintf("%d%s", big, bigUnit)
	}
	return fmt.Sprintf("%d%s%02d%s", big, bigUnit, small, smallUnit)
}

var byteUnits = map[string]uint64{
	"": 1, "b": 1,
	"k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10,
	"m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20,
	"g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30,
}

// ParseBytes reads 524288, 512KiB, 1MiB; units are binary, as in the library.
func ParseBytes(text string) (uint64, bool) {
	digits := strings.TrimRightFunc(text, unicode.IsLetter)
	unit, ok := byteUnits[strings.ToLower(text[len(digits):])]
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > math.MaxUint64/unit {
		return 0, false
	}
	return n * unit, true
}

// ParseDuration reads 90s, 10m, 1h30m, 250ms, and plain seconds.
func ParseDuration(text string) (time.Duration, bool) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(n) * time.Second, true
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0 && text[0] != '+'
}

// Escape makes a name that another process chose safe for a terminal.  Unprintable characters
// (control characters, escape sequences, changes of direction, broken UTF-8) become \x1b and
// the like.
func Escape(name string) string {
	clean := true
	for _, r := range name {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, name[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += n
	}
	return b.String()
}

// Quote is for a user's or a process's word inside a sentence.
func Quote(name string) string {
	return `"` + Escape(name) + `"`
}

// QuoteShell is for a word in a command line that the user may copy.
func QuoteShell(word string) string {
	plain := word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./:=@%+,", r))
	})
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(Escape(word), "'", `'\''`) + "'"
}

// CutEnd shortens text to width columns.
func CutEnd(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	if width <= 1 {
		return string(runes[:max(width, 0)])
	}
	return string(runes[:width-1]) + "…"
}

// CutStart shortens text at its start, where the end tells more.
func CutStart(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	if width <= 1 {
		return string(runes[:max(width, 0)])
	}
	return "…" + string(runes[len(runes)-width+1:])
}

// Estimate marks a figure that is estimated: "~812.4 MiB".
func Estimate(text string, estimated bool) string {
	if estimated {
		return "~" + text
	}
	return text
}

// BytesOrDash is for a figure that may be unknown.
func BytesOrDash(n *int64) string {
	if n == nil {
		return "-"
	}
	return Bytes(*n)
}

// Reason is a file system's error without the path, which the sentence has already.
func Reason(err error) string {
	var wrapped *os.PathError
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		err = link.Err
	}
	return err.Error()
}
