package verbs

import (
	"os"
	"time"

	"cgoheap.example/cli/internal/alert"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/observe"
)

const watchHelp = `usage: cgoheap watch [PID|NAME] [flags]

Shows the memory of a process over time: what grows, since when, why, and when the
limit is reached.  In a terminal it is live; into a pipe it prints a line per sample.
Works without the library too: with /proc, the cgroup and, with --url, Go's figures.

  --interval D      time between two samples (default 1s)
  --url URL         the service's net/http/pprof, such as 127.0.0.1:6060: Go's figures
                    at most every 10s, for MemStats stop the program for a moment
  --account-every D time between two of the library's accounts (default: such that
                    they take a thousandth of one processor of the process)
  --record FILE     append each sample to FILE, a JSON document a line
  --replay FILE     show a recording, or what the flight recorder left (.cgoheap)
  --once            one sample, or the end of a recording, and exit
  --json            print JSON: with --once one document, else a line per sample
  --csv FILE[:time=COLUMN,cols=COLUMN,...]
                    columns of a log that grows, as figures x.COLUMN
  --metrics URL     a Prometheus page, with:
  --metric NAME     a metric of it, as x.NAME; NAME{LABEL="VALUE"} of some of its series
  --on-alert CMD    run a shell command for each alert: the alert is in its environment
                    as CGOHEAP_ALERT_RULE, _TEXT, _STATE, ... and as JSON on its stdin
  --webhook URL     post each alert as JSON
  --collect-on-alert  run cgoheap collect for each alert
  --fail-on 'FIGURE>VALUE'  or 'FIGURE>GROWTH/min': exit 1 when it is so, with the
                    stacks that grow, or with fewer than 3 samples (5 for growth)
  --for D           end after this time; growth is judged then

Keys: q quits, j k scroll; in a recording h l go back and forth, 0 $ to its ends.

Examples:
  $ cgoheap watch service --record service.jsonl --for 1h
  $ cgoheap watch 4242 --fail-on 'c_live>1MiB/min' --for 5m
  $ cgoheap watch --replay service.jsonl --once
`

type watchOptions struct {
	interval, accountEvery, length time.Duration
	givenURL                       string // what --url says: the index of goURL, perhaps
	goURL, record, replay          string
	once, asJSON, collect          bool
	csv                            []*observe.CSV
	pages                          []*observe.Page
	command, webhook               string
	condition                      *alert.Condition
}

func parseWatch(args []string) (*watchOptions, string, error) {
	o := &watchOptions{interval: time.Second}
	f := flags.New()
	f.Duration("--interval", &o.interval, 100*time.Millisecond, time.Hour)
	f.Duration("--account-every", &o.accountEvery, 100*time.Millisecond, time.Hour)
	f.Duration("--for", &o.length, time.Second, 365*24*time.Hour)
	f.Text("--record", &o.record)
	f.Text("--replay", &o.replay)
	f.Text("--on-alert", &o.command)
	f.Boolean("--once", &o.once)
	f.Boolean("--json", &o.asJSON)
	f.Boolean("--collect-on-alert", &o.collect)
	o.addSources(f)
	f.Add("--webhook", &flags.Flag{Set: func(v string) (err error) {
		o.webhook, err = alert.WebhookURL(v)
		return err
	}})
	f.Add("--fail-on", &flags.Flag{Set: func(v string) error {
		c, err := alert.ParseCondition(v)
		o.condition = &c
		return err
	}})
	wanted, err := f.ParseTarget(args)
	if err != nil {
		return nil, "", err
	}
	return o, wanted, o.check(wanted)
}

func (o *watchOptions) addSources(f *flags.Set) {
	f.Add("--url", &flags.Flag{Set: func(v string) (err error) {
		o.givenURL = v
		o.goURL, err = attach.GoPprofURL(v)
		return err
	}})
	f.Add("--csv", &flags.Flag{Set: func(v string) error {
		c, err := observe.ParseCSV(v)
		o.csv = append(o.csv, c)
		return err
	}})
	f.Add("--metrics", &flags.Flag{Set: func(v string) error {
		p, err := observe.ParsePage(v)
		o.pages = append(o.pages, p)
		return err
	}})
	f.Add("--metric", &flags.Flag{Set: func(v string) error {
		if len(o.pages) == 0 {
			return flags.Usagef("--metrics URL before it")
		}
		p := o.pages[len(o.pages)-1]
		m, err := observe.ParseMetric(v)
		p.Metrics = append(p.Metrics, m)
		return err
	}})
}

func (o *watchOptions) check(wanted string) error {
	for _, p := range o.pages {
		if len(p.Metrics) == 0 {
			return flags.Usagef("--metrics needs --metric NAME after it: " +
				"what to take from the page")
		}
	}
	isLive := o.record != "" || o.goURL != "" || o.csv != nil || o.pages != nil || o.collect ||
		o.length > 0
	switch {
	case o.replay != "" && wanted != "":
		return flags.Usagef("--replay shows a file: leave out %s", wanted)
	case o.replay != "" && isLive:
		return flags.Usagef("--replay shows a file, and takes no samples: " +
			"leave out --record, --url, --csv, --metrics, --collect-on-alert and --for")
	case o.once && (o.length > 0 || o.condition != nil && o.replay == ""):
		return flags.Usagef("--once takes one sample: leave out --for and --fail-on")
	}
	return nil
}

func watch(std stdio, args []string) error {
	o, wanted, err := parseWatch(args)
	if err != nil {
		return err
	}
	if o.replay != "" {
		return watchReplay(std, o)
	}
	t, err := findTarget(wanted)
	if err != nil {
		return err
	}
	return watchLive(std, o, t)
}

// target is a process, and the library in it, if it has one.
type target struct {
	process *attach.Process
	client  *attach.Client // nil: it has none
	why     string         // if so: what to know about it
}

// findTarget also takes processes without the library.
func findTarget(wanted string) (*target, error) {
	p, err := attach.FindAny(wanted)
	if err != nil {
		return nil, err
	}
	t := &target{process: p}
	shims, err := p.Shims()
	switch {
	case err != nil:
		t.why = p.ExplainAccess(err).Error()
	case len(shims) == 0:
		t.why = p.Title() + " does not have cgoheap loaded: C memory is not known, " +
			"and Go's figures only with --url"
	default:
		t.client = attach.NewClient(p)
	}
	return t, nil
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
