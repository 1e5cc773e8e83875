package verbs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/release"
	"cgoheap.example/cli/internal/termtext"
)

const samplingHelp = `usage: cgoheap sampling [PID|NAME] [on|off] [flags]

Turns sampling on or off in a running process; with neither, prints the current
state.  While sampling is off, blocks sampled earlier stay known, and their frees
are recorded.

  --for D            on for this long, then off again (such as 10m)
  --sample-bytes N   one sample every N bytes on average; 1 is every allocation,
                     1 to 2 us each, without the limit of CGOHEAP_MAX_CPU: a
                     program that does little else loses most of a core to it
  --json             print JSON

Examples:
  cgoheap sampling 4242
  cgoheap sampling 4242 on --for 10m
  cgoheap sampling 4242 on --sample-bytes 1 --for 1m
  cgoheap sampling 4242 off

PID may be a program's name; leave it out if only one process has cgoheap loaded.
`

type samplingOptions struct {
	word        string
	duration    time.Duration
	sampleBytes uint64
	asJSON      bool
}

func parseSampling(args []string) (*samplingOptions, string, error) {
	o := &samplingOptions{}
	f := flags.New()
	limit := f.Duration("--for", &o.duration, time.Second, 365*24*time.Hour)
	size := f.Size("--sample-bytes", &o.sampleBytes, 1, 1<<30)
	f.Boolean("--json", &o.asJSON)
	rest, err := f.Parse(args)
	if err != nil {
		return nil, "", err
	}
	// on and off are the last word, and may be the only one.
	if last := len(rest) - 1; last >= 0 && (rest[last] == "on" || rest[last] == "off") {
		o.word, rest = rest[last], rest[:last]
	}
	wanted := ""
	switch {
	case len(rest) > 1 && o.word == "":
		return nil, "", flags.Usagef("invalid state %s: expected on or off",
			termtext.Quote(rest[1]))
	case len(rest) > 1:
		return nil, "", flags.Usagef("unexpected argument %s", termtext.Quote(rest[1]))
	case len(rest) == 1:
		wanted = rest[0]
	}
	if o.word != "on" && (limit.Given || size.Given) {
		return nil, "", flags.Usagef("--for and --sample-bytes need on: cgoheap sampling %s "+
			"on --for 10m", cmp.Or(wanted, "PID"))
	}
	return o, wanted, nil
}

// samplingState is what POST /v1/sampling answers, and part of /v1/status.
type samplingState struct {
	State       string `json:"state"`
	SampleBytes uint64 `json:"sample_bytes"`
	RemainingNS *int64 `json:"sampling_remaining_ns"`
	// Of /v1/status only; an older library has neither.
	ConfiguredSampleBytes uint64           `json:"configured_sample_bytes,omitempty"`
	Overhead              *attach.Overhead `json:"overhead,omitempty"`
}

// costPause is how long to wait before saying what recording costs: the library measures it each
// second.
const costPause = 1500 * time.Millisecond

func sampling(std stdio, args []string) error {
	o, wanted, err := parseSampling(args)
	if err != nil {
		return err
	}
	c, err := attach.To(wanted)
	if err != nil {
		return err
	}
	state, err := o.apply(c)
	if err != nil {
		return err
	}
	if o.asJSON {
		return document.Write(std.out, "sampling", state)
	}
	fmt.Fprintf(std.out, "%s: %s\n", c.Process.Title(), state)
	return o.warn(std, c)
}

// warn that recording every allocation may take a whole core.
func (o *samplingOptions) warn(std stdio, c *attach.Client) error {
	if o.word == "off" {
		return nil
	}
	s, err := c.Status()
	if err == nil && s.IsUnbounded() && o.word == "on" {
		time.Sleep(costPause)
		s, err = c.Status()
	}
	if err == nil && s.IsUnbounded() {
		fmt.Fprintf(std.err, "cgoheap: %s\n", unboundedCost(s, c.Process.PID))
	}
	return err
}

func (o *samplingOptions) apply(c *attach.Client) (*samplingState, error) {
	if o.word == "" {
		s, err := c.Status()
		if err != nil {
			return nil, err
		}
		return &samplingState{s.State, s.SampleBytes, s.RemainingNS, s.ConfiguredSampleBytes,
			s.Overhead}, nil
	}
	query := url.Values{"state": {o.word}}
	if o.duration > 0 {
		query.Set("for", o.duration.String())
	}
	if o.sampleBytes > 0 {
		query.Set("sample_bytes", strconv.FormatUint(o.sampleBytes, 10))
	}
	body, err := c.Request(http.MethodPost, "/v1/sampling", query, attach.StatusTimeout,
		attach.MaxStatusBytes)
	if err != nil {
		return nil, err
	}
	state := &samplingState{}
	if err := json.Unmarshal(body, state); err != nil {
		return nil, fmt.Errorf("%s sent an answer that this cgoheap %s cannot read: %s",
			c.Process.Title(), release.Version, termtext.Escape(err.Error()))
	}
	return state, nil
}

func (s *samplingState) String() string {
	text := termtext.Escape(s.State) + ", " + termtext.Interval(s.SampleBytes)
	if s.RemainingNS != nil && *s.RemainingNS > 0 {
		text += ", for " + termtext.Duration(time.Duration(*s.RemainingNS).Round(time.Second)) +
			" more"
	}
	if o := s.Overhead; o != nil {
		if s.ConfiguredSampleBytes != 0 && s.ConfiguredSampleBytes != s.SampleBytes &&
			o.RaisedFor != nil {
			text += fmt.Sprintf(" (requested: %s; its limit on %s is reached)",
				termtext.Interval(s.ConfiguredSampleBytes), termtext.Escape(*o.RaisedFor))
		}
		if s.State == "dormant" {
			return text + fmt.Sprintf("; recording took %s so far",
				termtext.Duration(time.Duration(o.CPUNS)))
		}
		text += fmt.Sprintf("; recording takes %.3g%% of one core now, %s so far",
			o.CPURatio*100, termtext.Duration(time.Duration(o.CPUNS)))
	}
	return text
}
