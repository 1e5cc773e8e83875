package verbs

import (
	"time"

	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/drift"
	"cgoheap.example/cli/internal/series"
)

// watch --once --json.

// figureJSON is one figure of a document; null: not known.
type figureJSON struct {
	Value  *float64 `json:"value"`
	AgeNS  *int64   `json:"age_ns"`
	Minute *float64 `json:"per_minute"`
	Low    *float64 `json:"per_minute_low"`
	High   *float64 `json:"per_minute_high"`
	Unit   string   `json:"unit"`
	Label  string   `json:"label"`
}

type causeJSON struct {
	Rule   string  `json:"rule"`
	Figure *string `json:"figure"`
	Since  string  `json:"since"`
	Text   string  `json:"text"`
}

type watchJSON struct {
	Host     string                `json:"host"`
	Program  string                `json:"program"`
	PID      int                   `json:"pid"`
	Wall     string                `json:"wall"`
	MonoNS   int64                 `json:"mono_ns"`
	Interval int64                 `json:"interval_ns"`
	Version  string                `json:"version"`
	Values   map[string]*float64   `json:"values"`
	Figures  map[string]figureJSON `json:"figures"`
	Causes   []causeJSON           `json:"causes"`
	Forecast *string               `json:"forecast"`
	Notes    []string              `json:"notes"`
}

// writeDocument is --once --json.  Its values are those of the last sample; figures also have
// those of the minute before.
func (w *watching) writeDocument() error {
	rows := w.history.rows
	last := rows[len(rows)-1]
	d := watchJSON{Host: w.header.Host, Program: w.header.Program, PID: w.header.PID,
		Wall: last.Wall.UTC().Format(time.RFC3339Nano), MonoNS: last.MonoNS,
		Interval: int64(w.header.Interval), Version: w.header.Version,
		Values: map[string]*float64{}, Figures: map[string]figureJSON{}, Causes: []causeJSON{},
		Notes: append([]string{}, w.remarks()...)}
	for _, f := range series.Figures() {
		d.Values[f.Name] = nil
	}
	for name, v := range last.Values {
		d.Values[name] = &v
	}
	recent := w.history.since(w.history.growthTime())
	for name := range d.Values {
		d.Figures[name] = w.figure(name, recent)
	}
	for _, name := range series.Names(rows) {
		d.Figures[name] = w.figure(name, recent)
	}
	for _, a := range w.causes.Alerts() {
		c := causeJSON{Rule: a.Rule, Since: a.Since.UTC().Format(time.RFC3339), Text: a.Text}
		if a.Figure != "" {
			c.Figure = &a.Figure
		}
		d.Causes = append(d.Causes, c)
	}
	if f, ok := w.causes.Forecast(0, w.grown.summary()); ok {
		text := f.String()
		d.Forecast = &text
	}
	return document.Write(w.std.out, "watch", d)
}

func (w *watching) figure(name string, recent []series.Row) figureJSON {
	about := series.About(name)
	f := figureJSON{Unit: string(about.Unit), Label: about.Label}
	if v, age, known := w.history.last(name); known {
		ns := int64(age)
		f.Value, f.AgeNS = &v, &ns
	}
	s, ok := slope(recent, name, slopePoints)
	if !ok || about.Kind == series.Setting {
		return f
	}
	f.setSlope(s)
	return f
}

func (f *figureJSON) setSlope(s drift.Slope) {
	minute, low, high := s.PerSecond*60, s.Low*60, s.High*60
	f.Minute, f.Low, f.High = &minute, &low, &high
}
