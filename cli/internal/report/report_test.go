package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/series"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pageOf(t *testing.T, in *Input, err error) string {
	t.Helper()
	must(t, err)
	body, err := in.HTML(time.Unix(1_800_000_000, 0))
	must(t, err)
	return string(body)
}

// dataOf is what the script of a page reads.
func dataOf(t *testing.T, page string) map[string]any {
	t.Helper()
	found := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).
		FindStringSubmatch(page)
	if found == nil {
		t.Fatal("the page has no data")
	}
	data := map[string]any{}
	must(t, json.Unmarshal([]byte(found[1]), &data))
	return data
}

// watched writes a recording of so many seconds, with all figures of the table and owners.
func watched(t *testing.T, seconds int, change func(i int, r *series.Row)) string {
	t.Helper()
	begin := time.Date(2026, 11, 30, 6, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "x.jsonl")
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"schema":"cgoheap.watch/1","host":"web-7","program":"service","pid":42,`+
		`"wall":"2026-11-30T06:00:00.000Z","mono_ns":1000,"interval_ns":1000000000}`+"\n")
	for i := range seconds {
		r := series.Row{Wall: begin.Add(time.Duration(i) * time.Second),
			MonoNS: 1000 + int64(i)*1e9}
		for k, f := range series.Figures() {
			switch noise := float64(i * (k + 7) * 7919 % 4093); f.Unit {
			case series.Percent, series.Ratio:
				r.Set(f.Name, noise/4093)
			case series.Count, series.Nanoseconds:
				r.Set(f.Name, 10+math.Floor(noise/1000))
			default:
				r.Set(f.Name, (40<<20)+4096*noise)
			}
		}
		r.Set(series.SampleBytes, 524288)
		r.Set(series.GCCycles, float64(i/20))
		for k := range 17 {
			r.Set(series.OwnerName([]string{"c_live", "go_heap", "c_mmap", "program"}[k%4]+
				strings.Repeat("x", k/4)), 4096*float64(1000+i*(k+3)*7907%4001))
		}
		if change != nil {
			change(i, &r)
		}
		line, err := json.Marshal(r)
		must(t, err)
		b.Write(append(line, '\n'))
	}
	must(t, os.WriteFile(path, b.Bytes(), 0o644))
	return path
}

// An hour at one sample a second, each figure with noise, is at most 1 MiB.
func TestHourFits(t *testing.T) {
	in, err := Read(watched(t, 3600, nil))
	page := pageOf(t, in, err)
	if len(page) > 1<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
	if !strings.Contains(page, "3,600 samples; ") {
		t.Error("the page does not say that it draws some of the samples")
	}
	columns := dataOf(t, page)["series"].(map[string]any)["columns"].([]any)
	if len(columns) < 40 {
		t.Errorf("%d columns", len(columns))
	}
}

// Even the largest input fits: many columns, frames, mappings and events with long names.
func TestLargestFits(t *testing.T) {
	long := strings.Repeat("<\x01\xff", 400)
	in, err := Read(watched(t, 700, func(i int, r *series.Row) {
		for k := range 300 {
			r.Set(fmt.Sprintf("x.%03d%s", k, long[:90]), float64(i*k%997)+0.5)
		}
	}))
	must(t, err)
	b := fakeshim.NewProfileBuilder(1)
	var maps bytes.Buffer
	for i := range 5000 {
		in.Events = append(in.Events, series.Event{Wall: in.Rows[0].Wall,
			MonoNS: in.Rows[0].MonoNS, Kind: series.EventAlert, Text: long})
		fmt.Fprintf(&maps, "%x-%x rw-p 0 00:00 %d /%d%s\nRss: 4 kB\n", i<<20, i<<20+4096, i, i,
			strings.Repeat("<", 200))
		b.Add(1, 1000, fmt.Sprint("malloc", i%5000, strings.Repeat("<", 200)), "main.main")
		in.Warnings = append(in.Warnings, long)
	}
	in.Profile, in.Maps = b.Profile, maps.Bytes()
	if page := pageOf(t, in, nil); len(page) > 1<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

// What is drawn is what was recorded: gaps stay gaps, a peak of one second is there.
func TestColumns(t *testing.T) {
	in, err := Read(watched(t, 3600, func(i int, r *series.Row) {
		if i == 1234 {
			r.Set(series.RSS, 1<<40)
		}
		if i > 2000 && i < 2500 {
			delete(r.Values, series.GoInUse)
		}
	}))
	must(t, err)
	d := in.drawn()
	if n := len(d.Times); n > maxPoints || n < 500 {
		t.Errorf("%d points", n)
	}
	for _, c := range d.Columns {
		at, most, gaps := int64(0), 0.0, 0
		for _, delta := range c.Deltas {
			if delta == nil {
				gaps++
				continue
			}
			at += *delta
			most = max(most, float64(at)*c.Scale)
		}
		if c.Name == series.RSS && most != 1<<40 {
			t.Errorf("the peak is %g", most)
		}
		if (c.Name == series.GoInUse) != (gaps > 0) {
			t.Errorf("%s has %d gaps", c.Name, gaps)
		}
		want := 0.0
		for i := range in.Rows {
			v, _ := in.Rows[i].Value(series.GCCPU)
			want = max(want, v)
		}
		if c.Name == series.GCCPU && math.Abs(most-want) > 0.01 {
			t.Errorf("%s is at most %g, not %g", c.Name, most, want)
		}
	}
	if p := d.Panels[0]; !p.Stacked || len(p.Columns) < 10 {
		t.Errorf("the first panel is %+v", p)
	}
	gc := 0
	for _, m := range d.Marks {
		if m.Kind == series.EventGC {
			gc++
		}
	}
	if gc != 3600/20-1 {
		t.Errorf("%d collections are marked", gc)
	}
}

// Accounts are taken less often than samples: a figure stands until the next one, for a minute.
func TestHeld(t *testing.T) {
	in, err := Read(watched(t, 300, func(i int, r *series.Row) {
		for name := range r.Values {
			from := series.About(name).Source
			if from == series.Library && (i%10 != 0 || i >= 150) || from == series.Proc && i == 77 {
				delete(r.Values, name)
			}
		}
	}))
	must(t, err)
	in.Events = append(in.Events, series.Event{Kind: series.EventRestart,
		MonoNS: in.Rows[95].MonoNS})
	owner := series.OwnerName("c_live")
	for i, r := range held(in.Rows, in.Events) {
		v, ok := r.Value(owner)
		from := i / 10 * 10
		if from >= 150 {
			from = 140
		}
		want, isTaken := in.Rows[from].Value(owner)
		isHeld := isTaken && (i < 95 || i >= 100) && i < 140+60
		if ok != isHeld || ok && v != want {
			t.Errorf("second %d: %g %v, want %g %v", i, v, ok, want, isHeld)
		}
		if _, ok := r.Value(series.RSS); ok == (i == 77) {
			t.Errorf("second %d: the kernel's figures are held", i)
		}
	}
	if n := len(in.current()); n != 300-95 {
		t.Errorf("%d rows of the last process", n)
	}
	pageOf(t, in, nil)
}

// hostile names, of everything that a process or a file can name.
var hostile = []string{
	`</script><img src=x onerror=alert(1)>`, `"><svg onload=alert(1)>`, "a\u2028b\u2029c",
	`'"` + "`" + `&lt;<!--`, "\x1b[31m\x00\x07", "\xff\xfe\xc3(", `{{.}}</style><script>`,
	"\u202egnp.exe", `javascript:alert(1)`, `]]>`, `<!-- <script>`,
}

func hostileInput(t *testing.T) *Input {
	t.Helper()
	in, err := Read(watched(t, 3, func(i int, r *series.Row) {
		for _, name := range hostile {
			r.Set("x."+strings.ToValidUTF8(name, "?"), 1)
			r.Set(series.OwnerName(strings.ToValidUTF8(name, "?")), 4096)
		}
	}))
	must(t, err)
	b := fakeshim.NewProfileBuilder(1)
	b.Profile.SampleType = b.Profile.SampleType[3:]
	b.Profile.SampleType[0].Type = "memory_space"
	var maps strings.Builder
	for i, name := range hostile {
		in.Events = append(in.Events, series.Event{Wall: in.Rows[0].Wall,
			MonoNS: in.Rows[0].MonoNS, Kind: name, Rule: name, State: name, Text: name})
		in.Warnings, in.Missing = append(in.Warnings, name), append(in.Missing, name)
		b.Add(1, 4096, name, "main."+name, "["+name+"]")
		fmt.Fprintf(&maps, "%x-%x rw-p 0 00:00 7 /%s\nRss: 4 kB\n", i<<20, i<<20+4096, name)
		in.Verdict = append(in.Verdict, in.Verdict...)
	}
	for _, s := range b.Profile.Sample {
		s.Value = s.Value[:1]
	}
	in.Profile, in.Maps = b.Profile, []byte(maps.String())
	in.Host, in.Program, in.Source = strings.Join(hostile, " "), hostile[0], hostile[1]
	return in
}

// Nothing that an input names becomes markup.
func TestHostileNames(t *testing.T) {
	page := pageOf(t, hostileInput(t), nil)
	if !utf8.ValidString(page) {
		t.Error("the page is not UTF-8")
	}
	for _, r := range page {
		if r < ' ' && r != '\n' && r != '\t' || r == '\u2028' || r == '\u2029' || r == '\u202e' {
			t.Errorf("the page has the character %q", r)
			break
		}
	}
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("%d scripts", n)
	}
	own := strings.NewReplacer(script, "", style, "").Replace(page)
	for _, tag := range []string{"<img", "<svg", "</style><", "<!--"} {
		if strings.Contains(own, tag) {
			t.Errorf("the page has %s", tag)
		}
	}
	if found := regexp.MustCompile(`<[^>]*\son[a-z]+\s*=`).FindString(own); found != "" {
		t.Errorf("the page has a handler: %s", found)
	}
	if found := regexp.MustCompile(`<[^>]*\sstyle\s*=`).FindString(own); found != "" {
		t.Errorf("the page has a style that its policy forbids: %s", found)
	}
	if !strings.Contains(html.UnescapeString(own), "</script><img src=x onerror=alert(1)>") {
		t.Error("the name is not shown")
	}
	dataOf(t, page)
}

// The policy allows the page's own script and style, and nothing else.
func TestPolicy(t *testing.T) {
	page := pageOf(t, hostileInput(t), nil)
	found := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).
		FindStringSubmatch(page)
	if found == nil {
		t.Fatal("there is no policy")
	}
	want := "default-src 'none'; script-src " + hashOf(script) + "; style-src " + hashOf(style) +
		"; base-uri 'none'; form-action 'none'"
	if policy := html.UnescapeString(found[1]); policy != want {
		t.Errorf("the policy is %s", policy)
	}
	if !strings.Contains(page, "<script>"+script+"</script>") ||
		!strings.Contains(page, "<style>"+style+"</style>") {
		t.Error("the script or the style is not as it was hashed")
	}
	for _, text := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
		"eval(", "new Function", "</script", "<!--", "XMLHttpRequest", "fetch("} {
		if strings.Contains(script, text) {
			t.Errorf("report.js has %s", text)
		}
	}
	if found := regexp.MustCompile(`(src|href)="[^#"]`).FindString(
		strings.Replace(page, script, "", 1)); found != "" {
		t.Errorf("the page loads something: %s", found)
	}
}

// What is not a thing to report on is refused with one sentence; what was cut off is shown as far
// as it goes.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	header := `{"schema":"cgoheap.watch/1","program":"p","wall":"2026-11-30T06:00:00Z","mono_ns":1}`
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):                              "cannot read ",
		write("empty", ""):                                      "is empty",
		write("blank", " \n\n"):                                 "is empty",
		write("text", "hello\n"):                                "neither a recording",
		write("json", `{"a":1}`):                                "neither a recording",
		write("page.html", "<html>"):                            "neither a recording",
		write("cut.cgoheap", string(fakeshim.Recording()[:40])): "is truncated",
		write("header.jsonl", header+"\n"):                      "no samples",
		write("d/other.txt", "x"):                               "cannot read nothing",
		dir + "/d":                                              "neither a recording",
		write("s/manifest.json", "{"):                           "cannot read nothing",
		dir + "/s":                                              "has neither an account",
		"/dev/null":                                             "is not a file",
	} {
		_, err := Read(path)
		if strings.HasPrefix(want, "cannot read nothing") {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := Read(dir + "/d"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	whole, err := os.ReadFile(watched(t, 30, nil))
	must(t, err)
	in, err := Read(write("cut.jsonl", string(whole[:len(whole)*2/3])))
	page := pageOf(t, in, err)
	said := strings.Contains(page, "The recording is damaged: line ")
	if len(in.Rows) < 15 || len(in.Rows) > 25 || !said {
		t.Errorf("%d rows of the recording that was cut off", len(in.Rows))
	}
}

// A recorder's file: stacks, figures and the verdict; what it lacks is said.
func TestRecorder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.4242.cgoheap")
	must(t, os.WriteFile(path, fakeshim.Recording(), 0o644))
	in, err := Read(path)
	page := pageOf(t, in, err)
	data := dataOf(t, page)
	if data["flame"] == nil || data["map"] != nil {
		t.Error("a recorder's file has stacks and no mappings")
	}
	for _, text := range []string{"gone (4242)", "no map of the address space",
		"a process that has ended", "No names from "} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

// A scene, and a series of them: growth between the first and the last.
func TestScenes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
	manifest := `{"schema":"cgoheap.scene/1","host":"web-7","program":"service","pid":42,` +
		`"started":"2026-01-02T03:00:00Z","files":[]}`
	write("manifest.json", manifest)
	for n := int64(1); n <= 3; n++ {
		write(fmt.Sprintf("%03d/manifest.json", n), manifest)
		write(fmt.Sprintf("%03d/account.json", n), fakeshim.Account("", n))
	}
	write("003/proc/maps", "00400000-00500000 r-xp 00000000 00:00 7 /x/service\n")
	in, err := Read(dir)
	page := pageOf(t, in, err)
	if len(in.Rows) != 3 || in.Grown == nil || in.Grown.RSS != 80<<20 {
		t.Errorf("%d rows, growth %+v", len(in.Rows), in.Grown)
	}
	for _, text := range []string{"Growth within 2h", "+80.0 MiB", "± 17.0 MiB (samples)",
		"service (42)", "is unknown: there is maps, not smaps", "no flame graph"} {
		if !strings.Contains(html.UnescapeString(page), text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	in, err = Read(dir + "/001")
	page = pageOf(t, in, err)
	if !strings.Contains(page, "nothing is drawn over time") || dataOf(t, page)["series"] != nil {
		t.Error("one moment is not said to be one")
	}
}

// Whose a mapping is.
func TestMapOwners(t *testing.T) {
	const smaps = `00400000-00500000 r-xp 00000000 fe:00 7 /x/service
Rss: 8 kB
00500000-00600000 rw-p 00100000 fe:00 7 /x/service
00600000-00700000 rw-p 00000000 00:00 0
19000000-19100000 rw-p 00000000 00:00 0 [heap]
c000000000-c000400000 rw-p 00000000 00:00 0
1d65d0000000-1d65d1000000 rw-p 00000000 00:00 0
7f0000000000-7f0001000000 rw-p 00000000 00:00 0
7f0001000000-7f0004000000 ---p 00000000 00:00 0
7f0010000000-7f0010001000 ---p 00000000 00:00 0
7f0010001000-7f0010801000 rw-p 00000000 00:00 0
7f0020000000-7f0020100000 rw-p 00000000 00:00 0
7f0030000000-7f0030100000 r-xp 00000000 fe:00 8 /lib/libc.so.6
7f0030200000-7f0030300000 r-xp 00000000 fe:00 8 /lib/libcgoheap.so
7f0030400000-7f0030500000 rw-s 00000000 fe:00 8 /data/x y.db
Rss: 12 kB
Swap: 4 kB
7f0030600000-7f0030700000 rw-s 00000000 00:01 8 /memfd:x (deleted)
7f0030800000-7f0030900000 rw-s 00000000 00:01 8 /dev/nvidia0
7f0030a00000-7f0030a10000 rw-p 00000000 00:00 0 [anon: Go: heap]
7ffd00000000-7ffd00020000 rw-p 00000000 00:00 0 [stack]
7ffd00030000-7ffd00031000 r-xp 00000000 00:00 0 [vdso]
`
	in := &Input{Maps: []byte(smaps), Executable: "/x/service"}
	d := in.addressMap()
	var got []string
	for _, m := range d.Mappings {
		got = append(got, d.Owners[m.Owner].Name)
	}
	want := "program program program c_allocator go_heap go_heap c_allocator thread_stacks " +
		"anonymous libraries shim mapped_files shared_memory device_maps go_heap " +
		"thread_stacks kernel"
	if strings.Join(got, " ") != want {
		t.Errorf("owners are\n%s\nwant\n%s", strings.Join(got, " "), want)
	}
	for _, m := range d.Mappings {
		if d.Files[m.File] == "/data/x y.db" && (*m.RSS != 12<<10 || m.Swap != 4<<10) {
			t.Errorf("%+v", m)
		}
	}
	if !strings.Contains(strings.Join(d.notes, " "), "2 reservations without access") {
		t.Error(d.notes)
	}
}

// The page has a row for each holder, with what it is and a curve, from one look or from a scene
// that has the profile by age.
func TestWhyHeld(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "ages.pb.gz"),
		fakeshim.Encode(fakeshim.WhyProfile(524288, true)), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "account.json"), []byte(fakeshim.Account("why", 1)),
		0o600))
	in, err := Read(dir)
	page := pageOf(t, in, err)
	for _, want := range []string{
		`<h2 id="why">Why it is still there</h2>`, `<td>main.audit_actor</td><td>C.CString</td>` +
			`<td>leak (92 % sure): of what was allocated 30m to 1h ago, all still lives; `,
		`aria-label="from the youngest to 1h old: 100 %, 100 %, `,
		`<td>Go&#39;s GC</td><td>main.(*Parser).Parse</td>`,
		`<p>Leak: 720.0 MiB that stays, and `,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	curves := regexp.MustCompile(`<polyline points="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(curves) != 6 || !strings.HasPrefix(curves[0][1], "1.0,1.0 ") ||
		!strings.HasSuffix(curves[0][1], " 119.0,1.0") ||
		!strings.HasSuffix(curves[1][1], ",25.0") {
		t.Errorf("%q", curves)
	}
	must(t, os.WriteFile(filepath.Join(dir, "ages.pb.gz"), []byte("half"), 0o600))
	in, err = Read(dir)
	page = pageOf(t, in, err)
	if !strings.Contains(page, "ages.pb.gz cannot be read: ") ||
		strings.Contains(page, `id="why"`) {
		t.Error("a broken profile by age is not said")
	}
}
