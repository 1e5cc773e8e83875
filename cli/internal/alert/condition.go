package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// Condition is FIGURE > VALUE, or FIGURE > VALUE/TIME, which is about its growth.
type Condition struct {
	Text   string
	Figure series.Figure
	Value  float64
	Per    time.Duration // 0: the value itself
}

var periods = map[string]time.Duration{
	"s": time.Second, "sec": time.Second, "second": time.Second,
	"min": time.Minute, "m": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hour": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour,
}

// ParseCondition reads what a user wrote.  Its errors say what would be right.
func ParseCondition(text string) (Condition, error) {
	c := Condition{Text: strings.TrimSpace(text)}
	word, limit, ok := strings.Cut(c.Text, ">")
	if !ok || strings.ContainsAny(limit, "<>=") {
		return c, flags.Usagef("FIGURE>VALUE or FIGURE>GROWTH/min, " +
			"such as rss>2GiB or 'c_live>1MiB/min'")
	}
	word, limit = strings.TrimSpace(word), strings.TrimSpace(limit)
	if c.Figure, ok = series.Resolve(word); !ok {
		return c, flags.Usagef("a figure before the >, such as c_live, rss or goroutines%s; "+
			"%s is none", flags.DidYouMean(flags.Nearest(word, shortNames())),
			termtext.Quote(word))
	}
	amount, period, isRate := strings.Cut(limit, "/")
	if isRate {
		if c.Per = periods[strings.TrimSpace(period)]; c.Per == 0 {
			return c, flags.Usagef("s, min, h or day after the /, such as %s>%s/min", word,
				exampleOf(c.Figure.Unit))
		}
	}
	if c.Value, ok = parseAmount(strings.TrimSpace(amount), c.Figure.Unit); !ok {
		return c, flags.Usagef("%s after the >, such as %s", unitName(c.Figure.Unit),
			exampleOf(c.Figure.Unit))
	}
	return c, nil
}

func shortNames() (names []string) {
	for _, f := range series.Figures() {
		names = append(names, strings.TrimSuffix(f.Name, "_bytes"))
	}
	return names
}

func unitName(u series.Unit) string {
	switch u {
	case series.Bytes:
		return "a size"
	case series.Nanoseconds:
		return "a time"
	case series.Percent, series.Ratio:
		return "a percentage"
	}
	return "a number"
}

func exampleOf(u series.Unit) string {
	switch u {
	case series.Bytes:
		return "1MiB"
	case series.Nanoseconds:
		return "50ms"
	case series.Percent, series.Ratio:
		return "5%"
	}
	return "100"
}

// parseAmount also takes fractions: 1.5MiB.
func parseAmount(text string, unit series.Unit) (float64, bool) {
	scale := 1.0
	switch unit {
	case series.Bytes:
		digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
		n, ok := termtext.ParseBytes("1" + text[len(digits):])
		if !ok {
			return 0, false
		}
		text, scale = digits, float64(n)
	case series.Nanoseconds:
		d, err := time.ParseDuration(text)
		return float64(d), err == nil && d >= 0
	case series.Percent, series.Ratio:
		number, isPercent := strings.CutSuffix(text, "%")
		if text = number; unit == series.Ratio && isPercent {
			scale = 0.01
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	return v * scale, err == nil && v >= 0 && v-v == 0
}

// String is as the user wrote it.
func (c Condition) String() string { return c.Text }

// Amount writes a value of the condition's figure, or of its growth.
func (c Condition) Amount(v float64) string {
	if c.Per == 0 {
		return series.Text(c.Figure.Unit, v)
	}
	name := map[time.Duration]string{time.Second: "s", time.Minute: "min", time.Hour: "h",
		24 * time.Hour: "day"}[c.Per]
	return fmt.Sprintf("%s/%s", series.Text(c.Figure.Unit, v), name)
}
