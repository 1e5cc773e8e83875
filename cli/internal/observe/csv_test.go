package observe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

type log struct {
	t    *testing.T
	path string
	csv  *CSV
}

func openLog(t *testing.T, spec, begin string) *log {
	t.Helper()
	l := &log{t: t, path: filepath.Join(t.TempDir(), "load:1.csv")}
	l.write(os.O_CREATE, begin)
	c, err := ParseCSV(l.path + spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	l.csv = c
	return l
}

func (l *log) write(flag int, text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.path, os.O_WRONLY|flag, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *log) append(text string) { l.write(os.O_APPEND, text) }

// want are values and an error after one read.
func (l *log) want(values map[string]float64, fault string) {
	l.t.Helper()
	r, err := l.csv.read(noon)
	if fmt.Sprint(r.Values) != fmt.Sprint(values) {
		l.t.Errorf("%v, want %v", r.Values, values)
	}
	if text := fmt.Sprint(err); fault == "" && err != nil || !strings.Contains(text, fault) {
		l.t.Errorf("%v, want %q", err, fault)
	}
}

type values = map[string]float64

func TestCSVGrows(t *testing.T) {
	l := openLog(t, ":time=ts,cols=qps,err", "ts,host,qps,err\n2026-11-30T12:00:00Z,a,1,1\n")
	l.want(nil, "") // what was there before is history
	l.append("2026-11-30T12:00:00Z,a,100,0.5\n")
	l.want(values{"x.qps": 100, "x.err": 0.5}, "")
	l.want(nil, "") // and never repeated
	l.append("1796040000,a,1,0\n1796040000123,\"b,c\",3,1%\n2026-11-30 12:00:01Z,a,5")
	l.want(values{"x.qps": 2, "x.err": 0.5}, "") // the mean; the last line is not whole yet
	l.append(",2\r\n")
	l.want(values{"x.qps": 5, "x.err": 2}, "")
	if l.csv.note() != "" {
		t.Error("it complains")
	}
}

func TestCSVBadLines(t *testing.T) {
	l := openLog(t, ":time=ts,cols=qps", "ts,qps\n")
	now := noon.Format(time.RFC3339)
	l.append("nonsense\n" + now + ",x\n" + now + ",NaN\n" + now + ",1,2\nyesterday,1\n\n" +
		strings.Repeat("9", maxCSVLine+9) + "\n" + now + ",7\n2026-11-30T11:00:00Z,8\n")
	l.want(values{"x.qps": 7}, "")
	if note := l.csv.note(); !strings.HasSuffix(note,
		": left out 6 lines that are no samples and 1 line of another time so far") {
		t.Error(note)
	}
	if note := l.csv.note(); note != "" {
		t.Errorf("again: %s", note)
	}
}

func TestCSVRotatedAndTruncated(t *testing.T) {
	l := openLog(t, ":cols=qps", "qps\n1\n2\n3\n")
	l.append("4\n")
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		t.Fatal(err)
	}
	l.want(values{"x.qps": 4}, "is not there now: no such file or directory")
	l.write(os.O_CREATE, "host,qps\na,6\n") // with another order of columns
	l.want(values{"x.qps": 6}, "")
	l.write(os.O_TRUNC, "qps\n8\n")
	l.want(values{"x.qps": 8}, "")
	l.write(os.O_TRUNC, "other\n1\n")
	l.want(nil, `has no column "qps": its first line has other`)
	l.write(os.O_TRUNC, "qps\n")
	l.append("9\n")
	l.want(values{"x.qps": 9}, "")
}

func TestCSVChoosesColumns(t *testing.T) {
	l := openLog(t, ":time=ts", "\ufeffts;path;qps;p99\n")
	l.append(noon.Format(time.RFC3339) + ";/a;10;2.5\n")
	l.want(values{"x.qps": 10, "x.p99": 2.5}, "")
	empty := openLog(t, "", "")
	empty.want(nil, "")
	empty.append("a\tb\n1\t2\n")
	empty.want(values{"x.a": 1, "x.b": 2}, "")
}

func TestCSVSpecs(t *testing.T) {
	for spec, want := range map[string]string{
		"a.csv":                   "a.csv  []",
		"/a:b/c.csv":              "/a:b/c.csv  []",
		"a.csv:time=ts":           "a.csv ts []",
		"a:1.csv:cols=x,y,time=t": "a:1.csv t [x y]",
		"a.csv:time=ts,cols=x":    "a.csv ts [x]",
	} {
		if c, err := ParseCSV(spec); err != nil ||
			fmt.Sprint(c.Path, " ", c.Time, " ", c.Columns) != want {
			t.Errorf("%s: %+v %v", spec, c, err)
		}
	}
	for _, spec := range []string{"", ":time=a", "a:time=", "a:time=b,c", "a:cols=,",
		"a:cols=a,n=b"} {
		if c, err := ParseCSV(spec); err == nil {
			t.Errorf("%q: %+v", spec, c)
		}
	}
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file or directory", dir: "it is not a file"} {
		c := &CSV{Path: path}
		if err := c.Open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]int64{"1796040000": 1796040000000,
		"1796040000.5": 1796040000500, "1796040000123": 1796040000123,
		"2026-11-30T12:00:00+01:00": noon.UnixMilli() - 3600000, "x": -1, "-1": -1, "": -1,
		"NaN": -1, "1e300": -1} {
		at, ok := parseTime(text)
		if ok != (want >= 0) || ok && at.UnixMilli() != want {
			t.Errorf("%q: %d %v", text, at.UnixMilli(), ok)
		}
	}
}

func TestCSVLineCountsWholeOrNot(t *testing.T) {
	l := openLog(t, ":cols=a,b", "a,b\n")
	l.append("1,2\n3,x\n")
	l.want(values{"x.a": 1, "x.b": 2}, "")
}
