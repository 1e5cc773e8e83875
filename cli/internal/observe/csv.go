package observe

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// CSV is a log that grows: FILE, and which of its columns are series.
type CSV struct {
	Path    string
	Time    string   // column; "": a line is of the time at which it is read
	Columns []string // nil: all that are numbers in the first line

	file     *os.File
	offset   int64
	tail     []byte // of the bytes before offset: a log that was truncated has others there
	rest     []byte // a line that has no end yet
	skipping bool   // the rest of a line that is too long
	comma    rune
	header   []string
	sums     map[string]*mean
	bad      int
	old      int // lines of another time
	reported int // of bad and old, in a note
}

type mean struct{ sum, count float64 }

// ParseCSV reads FILE[:time=COL,cols=a,b].
func ParseCSV(spec string) (*CSV, error) {
	c := &CSV{Path: spec}
	at := max(strings.LastIndex(spec, ":time="), strings.LastIndex(spec, ":cols="))
	if at >= 0 {
		c.Path = spec[:at]
		key := ""
		for _, part := range strings.Split(spec[at+1:], ",") {
			if name, value, ok := strings.Cut(part, "="); ok {
				key, part = name, value
			}
			switch {
			case part == "":
				return nil, errCSV
			case key == "time" && c.Time == "":
				c.Time = part
			case key == "cols":
				c.Columns = append(c.Columns, part)
			default:
				return nil, errCSV
			}
		}
	}
	if c.Path == "" {
		return nil, errCSV
	}
	return c, nil
}

var errCSV = flags.Usagef("FILE or FILE:time=COLUMN,cols=COLUMN,... such as " +
	"load.csv:time=ts,cols=qps,error_rate")

const (
	maxCSVLine = 64 << 10
	maxCSVRead = 16 << 20 // at once
	// A line whose time is farther from now is history, or of another clock.
	maxCSVAge = time.Minute
)

// Open begins at the file's end: what it has already was before this watch.
func (c *CSV) Open() error {
	if err := c.open(); err != nil {
		return err
	}
	size, err := c.file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("cannot read %s: it does not grow as a file does",
			termtext.QuoteShell(c.Path))
	}
	c.offset = size
	c.remember()
	return nil
}

// open reads the header, if it is there already.
func (c *CSV) open() error {
	shown := termtext.QuoteShell(c.Path)
	file, err := os.Open(c.Path)
	if err != nil {
		return fmt.Errorf("cannot read %s: %s", shown, termtext.Reason(err))
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return fmt.Errorf("cannot read %s: it is not a file", shown)
	}
	c.Close()
	c.file, c.offset, c.rest, c.header, c.skipping, c.tail = file, 0, nil, nil, false, nil
	begin := make([]byte, maxCSVLine)
	n, err := io.ReadFull(file, begin)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("cannot read %s: %s", shown, termtext.Reason(err))
	}
	line, _, whole := strings.Cut(string(begin[:n]), "\n")
	if !whole {
		return nil // the header comes with the first read
	}
	c.offset = int64(len(line)) + 1
	c.remember()
	return c.takeHeader(line)
}

// Close ends reading.
func (c *CSV) Close() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

func (c *CSV) takeHeader(line string) error {
	line = strings.TrimPrefix(line, "\ufeff")
	c.comma = ','
	for _, r := range []rune{',', ';', '\t'} {
		if strings.ContainsRune(line, r) {
			c.comma = r
			break
		}
	}
	fields, err := c.split(line)
	if err != nil {
		return fmt.Errorf("%s has a header that is no CSV", termtext.QuoteShell(c.Path))
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	for _, name := range append(c.wanted(), c.Columns...) {
		if !slices.Contains(fields, name) {
			return fmt.Errorf("%s has no column %s: its first line has %s",
				termtext.QuoteShell(c.Path), termtext.Quote(name),
				termtext.CutEnd(termtext.Escape(strings.Join(fields, ", ")), 200))
		}
	}
	c.header = fields
	return nil
}

func (c *CSV) wanted() []string {
	if c.Time == "" {
		return nil
	}
	return []string{c.Time}
}

func (c *CSV) split(line string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord, r.TrimLeadingSpace = c.comma, true, -1, true
	return r.Read()
}

func (c *CSV) name() string { return termtext.QuoteShell(c.Path) }

// read takes the lines since the last read: of several, a series has their mean.
func (c *CSV) read(now time.Time) (series.Row, error) {
	c.sums = map[string]*mean{}
	err := c.follow(now)
	var r series.Row
	for column, m := range c.sums {
		r.Set(series.ExternalName(column), m.sum/m.count)
	}
	return r, err
}

// follow reads to the end, and goes on in a file that took this one's place.
func (c *CSV) follow(now time.Time) error {
	if c.file == nil {
		if err := c.open(); err != nil {
			return err
		}
	}
	opened, err := c.file.Stat()
	if err != nil || !c.goesOn() {
		if err := c.open(); err != nil {
			return err
		}
	}
	if err := c.take(now); err != nil {
		return err
	}
	current, err := os.Stat(c.Path)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not there now: %s", c.name(), termtext.Reason(err))
	case !os.SameFile(opened, current):
		if err := c.open(); err != nil {
			return err
		}
		return c.take(now)
	}
	return nil
}

const tailBytes = 64

// remember the bytes before offset.
func (c *CSV) remember() {
	n := min(c.offset, tailBytes)
	c.tail = make([]byte, n)
	if _, err := c.file.ReadAt(c.tail, c.offset-n); err != nil {
		c.tail = nil
	}
}

// goesOn is false where the log was truncated and begins again.
func (c *CSV) goesOn() bool {
	now := make([]byte, len(c.tail))
	_, err := c.file.ReadAt(now, c.offset-int64(len(now)))
	return len(now) == 0 || err == nil && bytes.Equal(now, c.tail)
}

func (c *CSV) take(now time.Time) error {
	defer c.remember()
	buf := make([]byte, 64<<10)
	for total := 0; total < maxCSVRead; {
		n, err := c.file.ReadAt(buf, c.offset)
		c.offset += int64(n)
		total += n
		if err := c.lines(buf[:n], now); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read %s: %s", c.name(), termtext.Reason(err))
		}
	}
	return nil
}

func (c *CSV) lines(text []byte, now time.Time) error {
	for len(text) > 0 {
		end := slices.Index(text, '\n')
		part := text
		if end >= 0 {
			part = text[:end]
		}
		if !c.skipping {
			c.rest = append(c.rest, part...)
		}
		if len(c.rest) > maxCSVLine {
			c.rest, c.skipping = nil, true
			c.bad++
		}
		if end < 0 {
			return nil
		}
		line, skipped := strings.TrimSuffix(string(c.rest), "\r"), c.skipping
		c.rest, c.skipping, text = c.rest[:0], false, text[end+1:]
		if skipped || strings.TrimSpace(line) == "" {
			continue
		}
		if c.header == nil {
			if err := c.takeHeader(line); err != nil {
				return err
			}
			continue
		}
		c.line(line, now)
	}
	return nil
}

// line counts for all of its columns or for none.
func (c *CSV) line(line string, now time.Time) {
	fields, err := c.split(line)
	if err != nil || len(fields) != len(c.header) {
		c.bad++
		return
	}
	c.chooseColumns(fields)
	values := make([]float64, len(c.Columns))
	for i, column := range c.Columns {
		v, err := parseNumber(fields[slices.Index(c.header, column)])
		if err != nil {
			c.bad++
			return
		}
		values[i] = v
	}
	if c.Time != "" {
		at, ok := parseTime(fields[slices.Index(c.header, c.Time)])
		if !ok {
			c.bad++
			return
		}
		if age := now.Sub(at); age > maxCSVAge || age < -maxCSVAge {
			c.old++
			return
		}
	}
	for i, column := range c.Columns {
		m := c.sums[column]
		if m == nil {
			m = &mean{}
			c.sums[column] = m
		}
		m.sum, m.count = m.sum+values[i], m.count+1
	}
}

// chooseColumns takes those that are numbers, if the user named none.
func (c *CSV) chooseColumns(fields []string) {
	if c.Columns != nil {
		return
	}
	for i, name := range c.header {
		if _, err := parseNumber(fields[i]); err == nil && name != c.Time && name != "" {
			c.Columns = append(c.Columns, name)
		}
	}
}

func parseNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), "%"), 64)
	if err == nil && (v != v || v-v != 0) {
		err = errors.New("not a number")
	}
	return v, err
}

// parseTime reads RFC 3339 (also with a space), and seconds or milliseconds since 1970.
func parseTime(text string) (time.Time, bool) {
	text = strings.TrimSpace(text)
	for _, format := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00"} {
		if t, err := time.Parse(format, text); err == nil {
			return t, true
		}
	}
	if t, err := time.ParseInLocation("2006-01-02 15:04:05.999999999", text,
		time.Local); err == nil {
		return t, true
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v < 0 || v > 1e15 || v != v {
		return time.Time{}, false
	}
	if v < 1e11 { // in seconds until the year 5138
		v *= 1000
	}
	return time.UnixMilli(int64(v)), true
}

// note tells once in a while of lines that were left out; "": nothing new.
func (c *CSV) note() string {
	if c.bad+c.old == c.reported {
		return ""
	}
	var parts []string
	if c.bad > 0 {
		parts = append(parts, termtext.CountOf(c.bad, "line that is no sample",
			"lines that are no samples"))
	}
	if c.old > 0 {
		parts = append(parts, termtext.CountOf(c.old, "line of another time",
			"lines of another time"))
	}
	c.reported = c.bad + c.old
	return fmt.Sprintf("%s: left out %s so far", c.name(), strings.Join(parts, " and "))
}
