package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/release"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

// The page: what is text is in it as HTML, so that it can be read without a script; what is drawn
// is data, which report.js draws (tools/report-assets).

var (
	//go:embed assets/report.js
	script string
	//go:embed assets/report.css
	style string
	//go:embed assets/LICENSES.txt
	licences string
	//go:embed assets/page.html
	pageText string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// drawnData is what report.js reads.
type drawnData struct {
	Start  int64       `json:"start"` // ms since 1970
	Series *seriesData `json:"series,omitempty"`
	Flame  *flameData  `json:"flame,omitempty"`
	Map    *mapData    `json:"map,omitempty"`
}

// page is what the template reads.
type page struct {
	Policy                      string
	Script, Data                template.JS
	Style                       template.CSS
	Title, About, Made          string
	Licences                    string
	Verdict                     []template.HTML
	Facts                       []fact
	Owners                      []ownerRow
	OwnersNote                  string
	RSS                         int64
	Growth                      []growth
	GrowthTime                  string
	HasSeries, HasFlame, HasMap bool
	SeriesNote, FlameNote       string
	FlameTitle                  string
	MapNotes                    []string
	Holders                     []holder
	Held                        []heldRow
	HeldNote                    string
	Events                      []eventRow
	EventsLeft                  int
	Warnings, Missing           []string
}

type fact struct{ Name, Value string }

type ownerRow struct {
	Label, Bytes, Share string
	Value               int64
}

type eventRow struct{ Time, Kind, Text string }

// HTML is the page.
func (in *Input) HTML(now time.Time) ([]byte, error) {
	d := drawnData{Series: in.drawn(), Flame: in.flame(), Map: in.addressMap()}
	if len(in.Rows) > 0 {
		d.Start = in.Rows[0].Wall.UnixMilli()
	}
	data, err := json.Marshal(d) // < > & and line separators are escaped: it cannot end the element
	if err != nil {
		return nil, err
	}
	p := &page{Script: template.JS(script), Style: template.CSS(style), Data: template.JS(data),
		Policy: "default-src 'none'; script-src " + hashOf(script) + "; style-src " +
			hashOf(style) + "; base-uri 'none'; form-action 'none'",
		Made: fmt.Sprintf("Made %s UTC by cgoheap %s", now.UTC().Format(time.DateTime),
			release.Version),
		HasSeries: d.Series != nil, HasFlame: d.Flame != nil, HasMap: d.Map != nil,
		Growth: in.growths(), GrowthTime: in.growthTime(), Holders: in.holders(),
		Licences: licences, Facts: in.facts(), Warnings: fewOf(in.Warnings)}
	in.addTexts(p, &d)
	var b bytes.Buffer
	err = pageTemplate.Execute(&b, p)
	return b.Bytes(), err
}

// hashOf is the source expression that allows exactly this text.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

const maxNotes = 20

func fewOf(texts []string) []string {
	var list []string
	for _, t := range texts[:min(len(texts), maxNotes)] {
		list = append(list, termtext.CutEnd(termtext.Escape(t), 500))
	}
	if left := len(texts) - maxNotes; left > 0 {
		list = append(list,
			fmt.Sprintf("And %s.", termtext.CountOf(left, "remark more", "remarks more")))
	}
	return list
}

// peakLine is "" without a process or a file to ask about its peak.
func (in *Input) peakLine() string {
	switch {
	case in.Account == nil:
		return ""
	case in.File != "":
		return account.PeakLine(in.Account, termtext.QuoteShell(in.File), true)
	case in.PID > 0:
		return account.PeakLine(in.Account, strconv.Itoa(in.PID), false)
	}
	return ""
}

func (in *Input) addTexts(p *page, d *drawnData) {
	p.Title = shown(in.Program)
	if in.PID > 0 {
		p.Title += fmt.Sprintf(" (%d)", in.PID)
	}
	p.About = in.about()
	for _, text := range verdict.Paragraphs(in.Verdict) {
		p.Verdict = append(p.Verdict, withCode(text))
	}
	if line := in.peakLine(); line != "" {
		p.Verdict = append(p.Verdict, withCode(line))
	}
	in.addOwners(p)
	in.addHeld(p)
	missing := slices.Clone(in.Missing)
	if d.Series == nil {
		missing = append(missing, "This is one moment: nothing is drawn over time. cgoheap watch "+
			"--record, or cgoheap collect --every, has many.")
	} else if d.Series.left > 0 {
		p.SeriesNote = fmt.Sprintf("%s; %s are drawn: of each few, those with the most and the "+
			"least RSS.", termtext.CountOf(len(in.Rows), "sample", "samples"),
			termtext.Count(int64(len(in.Rows)-d.Series.left)))
	}
	if in.Profile != nil && d.Flame == nil {
		missing = append(missing, "The profile has no memory in it: there is no flame graph.")
	}
	if d.Flame != nil {
		p.FlameTitle = "Who holds C memory"
		if in.isMemoryProfile() {
			p.FlameTitle = "Who holds the resident memory"
		}
		p.FlameNote = termtext.Bytes(d.Flame.total) + " in all."
		if d.Flame.left > 0 {
			p.FlameNote += " " + termtext.CountOf(d.Flame.left, "frame", "frames") +
				" too narrow to be seen are left out."
		}
	}
	if d.Map != nil {
		p.MapNotes = d.Map.notes
	}
	if len(in.Verdict) == 0 && in.Account != nil {
		missing = append(missing, "No rule of the verdict applies to these figures.")
	}
	p.Missing = fewOf(missing)
	in.addEvents(p)
}

func (in *Input) isMemoryProfile() bool {
	return slices.ContainsFunc(in.Profile.SampleType, func(t *profile.ValueType) bool {
		return t.Type == "memory_space"
	})
}

// about says what, where and when.
func (in *Input) about() string {
	parts := []string{"From " + shown(in.Source)}
	if in.Host != "" {
		parts = append(parts, "host "+shown(in.Host))
	}
	const layout = time.DateTime
	switch n := len(in.Rows); {
	case n > 1:
		parts = append(parts, fmt.Sprintf("%s to %s UTC (%s)",
			in.Rows[0].Wall.UTC().Format(layout), in.Rows[n-1].Wall.UTC().Format(layout),
			termtext.Duration(span(in.Rows))))
	case n == 1 && !in.Rows[0].Wall.IsZero():
		parts = append(parts, in.Rows[0].Wall.UTC().Format(layout)+" UTC")
	case in.Account != nil && !in.Account.Time.IsZero():
		parts = append(parts, in.Account.Time.UTC().Format(layout)+" UTC")
	}
	return strings.Join(parts, ", ")
}

// withCode shows `commands` as such.
func withCode(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(termtext.Escape(text), "`") {
		escaped := template.HTMLEscapeString(part)
		if i%2 == 1 {
			escaped = "<code>" + escaped + "</code>"
		}
		b.WriteString(escaped)
	}
	return template.HTML(b.String())
}

// addOwners of the last account, largest first.
func (in *Input) addOwners(p *page) {
	a := in.Account
	if a == nil || a.RSS <= 0 {
		return
	}
	p.RSS = a.RSS
	rest := account.Owner{Name: unexplained, Bytes: &a.Unexplained, Exact: true}
	owners := append(slices.Clone(a.Owners), rest)
	slices.SortStableFunc(owners, func(x, y account.Owner) int {
		return cmp.Compare(account.Known(y.Bytes), account.Known(x.Bytes))
	})
	var unknown []string
	for _, o := range owners {
		switch {
		case o.Bytes == nil:
			unknown = append(unknown, ownerLabel(o.Name))
		case *o.Bytes != 0:
			p.Owners = append(p.Owners, ownerRow{ownerLabel(o.Name),
				termtext.Estimate(termtext.Bytes(*o.Bytes), !o.Exact), percent(*o.Bytes, a.RSS),
				max(0, *o.Bytes)})
		}
	}
	if len(unknown) > 0 {
		p.OwnersNote = "Unknown: " + strings.Join(unknown, ", ") + "."
	}
}

// factNames are the figures at the head of the page.
var factNames = []string{series.RSS, series.CgroupUsage, series.CgroupLimit, series.CLive,
	series.GoInUse, series.VMSize, series.Threads, series.Goroutines}

func (in *Input) facts() []fact {
	var list []fact
	last := in.last()
	if last == nil {
		return nil
	}
	for _, name := range factNames {
		if v, ok := last.Value(name); ok {
			about := series.About(name)
			list = append(list, fact{about.Label, figure(v, about.Unit)})
		}
	}
	return list
}

// addEvents as a table, but for collections, which are many.
func (in *Input) addEvents(p *page) {
	room := maxCost
	for _, e := range in.Events {
		if e.Kind == series.EventGC {
			continue
		}
		if len(p.Events) == maxMarks || room < 0 {
			p.EventsLeft++
			continue
		}
		kind := e.Kind
		if e.State != "" {
			kind += ", " + e.State
		}
		if e.Rule != "" {
			kind += ": " + e.Rule
		}
		row := eventRow{e.Wall.UTC().Format(time.DateTime), shown(kind), shown(e.Text)}
		room -= cost(row.Kind + row.Text)
		p.Events = append(p.Events, row)
	}
}
