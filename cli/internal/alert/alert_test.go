package alert

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cgoheap.example/cli/internal/series"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func document() *Document {
	return &Document{Schema: Schema, State: Firing, Rule: "c_leak", Text: "it's $(grown) \x1b",
		Host: "h", Program: "svc", PID: 42, Wall: noon, Since: noon,
		Before: []series.Row{{Wall: noon, MonoNS: 1}}, After: []series.Row{}}
}

func notes(s *Sink) string { return strings.Join(s.Notes(), "; ") }

func TestCommand(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	s := Command("cat >"+out+`; echo "$CGOHEAP_ALERT_STATE $CGOHEAP_ALERT_RULE `+
		`$CGOHEAP_ALERT_TEXT $CGOHEAP_ALERT_PID"`, time.Minute)
	s.Send(document())
	s.Close(time.Minute)
	if got := notes(s); got != `the alert command says: firing c_leak it's $(grown) \x1b 42` {
		t.Errorf("%q", got)
	}
	text, _ := os.ReadFile(out)
	const begin, rows = `"schema":"cgoheap.alert/1","state":"firing"`,
		`"before":[{"wall":"2026-11-30T12:00:00.000Z","mono_ns":1}]`
	if !strings.Contains(string(text), begin) || !strings.Contains(string(text), rows) {
		t.Errorf("%s", text)
	}
}

// A command that hangs, and what it started, is killed; one that fails says so.
func TestCommandFaults(t *testing.T) {
	for shell, want := range map[string]string{
		"sleep 1000 & sleep 1000":       "the alert command was killed: it took longer than 100ms",
		"echo no; echo why >&2; exit 3": "the alert command failed (exit status 3): why",
		"nonsense-command":              "the alert command failed (exit status 127)",
		"exec 0<&-; exit 0":             "",
		"sleep 1000 & exit 0":           "",
	} {
		patience := time.Minute
		if strings.HasPrefix(want, "the alert command was killed") {
			patience = 100 * time.Millisecond
		}
		s := Command(shell, patience)
		s.Send(document())
		s.Close(time.Minute)
		if got := notes(s); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", shell, got, want)
		}
	}
}

// Sending never waits, whatever a command does; what does not fit is said.
func TestSinkIsBounded(t *testing.T) {
	s := Command("sleep 1000", time.Hour)
	for range queueRoom + 10 {
		s.Send(document())
	}
	if got := notes(s); !strings.Contains(got, "an alert was lost: 32 are waiting") {
		t.Errorf("%q", got)
	}
	s.Close(0)
	if got := notes(s); !strings.Contains(got, "the watch ends") {
		t.Errorf("%q", got)
	}
}

func TestWebhook(t *testing.T) {
	for answers, c := range map[string]struct {
		posts int64
		want  string
	}{
		"200":         {1, ""},
		"500,503,204": {3, ""},
		"429,200":     {2, ""},
		"404":         {1, "the webhook did not take an alert: it answers 404 Not Found"},
		"302":         {1, "the webhook did not take an alert: it answers 302 Found"},
		"500": {webhookTries, "the webhook did not take an alert: it answers 500 " +
			"Internal Server Error"},
	} {
		codes := strings.Split(answers, ",")
		var posts atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := posts.Add(1)
			body, _ := io.ReadAll(r.Body)
			if !strings.Contains(string(body), `"rule":"c_leak"`) || r.Method != http.MethodPost ||
				r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s", r.Method, body)
			}
			var code int
			fmt.Sscan(codes[min(int(n), len(codes))-1], &code)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		}))
		s := Webhook(server.URL, time.Millisecond)
		s.Send(document())
		s.Close(time.Minute)
		if got := notes(s); got != c.want || posts.Load() != c.posts {
			t.Errorf("%s: %d posts, %q, want %d, %q", answers, posts.Load(), got, c.posts, c.want)
		}
		server.Close()
	}
	s := Webhook("http://token@127.0.0.1:1/secret", time.Millisecond)
	s.Send(document())
	s.Close(time.Minute)
	if got := notes(s); !strings.HasSuffix(got, "connection refused") ||
		strings.Contains(got, "secret") {
		t.Errorf("%q", got)
	}
}

func TestConditions(t *testing.T) {
	for text, want := range map[string]string{
		"c_live>1MiB/min":         "c_live_bytes 1.048576e+06 1m0s",
		" rss_bytes > 1.5GiB ":    "rss_bytes 1.610612736e+09 0s",
		"goroutines>100/h":        "goroutines 100 1h0m0s",
		"x.qps>0.5":               "x.qps 0.5 0s",
		"gc_pause>50ms/s":         "gc_pause_ns 5e+07 1s",
		"gc_cpu>5%":               "gc_cpu_ratio 0.05 0s",
		"gc_cpu>0.05":             "gc_cpu_ratio 0.05 0s",
		"cgroup_pressure_some>5%": "cgroup_pressure_some 5 0s",
		"owner_go_heap>1KiB/day":  "owner_go_heap_bytes 1024 24h0m0s",
		"c_live>0/min":            "c_live_bytes 0 1m0s",
	} {
		c, err := ParseCondition(text)
		if got := fmt.Sprint(c.Figure.Name, " ", c.Value, " ", c.Per); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	const form = "FIGURE>VALUE or FIGURE>GROWTH/min, such as rss>2GiB or 'c_live>1MiB/min'"
	for text, want := range map[string]string{
		"":             form,
		"c_live":       form,
		"c_live<1MiB":  form,
		"c_live>=1MiB": form,
		"c_live>1>2":   form,
		"c_liv>1MiB": "a figure before the >, such as c_live, rss or goroutines " +
			`(did you mean c_live?); "c_liv" is none`,
		">1":             `a figure before the >, such as c_live, rss or goroutines; "" is none`,
		"c_live>":        "a size after the >, such as 1MiB",
		"c_live>1parsec": "a size after the >, such as 1MiB",
		"c_live>-1MiB":   "a size after the >, such as 1MiB",
		"c_live>MiB":     "a size after the >, such as 1MiB",
		"c_live>NaN":     "a size after the >, such as 1MiB",
		"c_live>1MiB/":   "s, min, h or day after the /, such as c_live>1MiB/min",
		"rss>1MiB/week":  "s, min, h or day after the /, such as rss>1MiB/min",
		"threads>1MiB":   "a number after the >, such as 100",
		"gc_pause>5":     "a time after the >, such as 50ms",
		"gc_cpu>x%":      "a percentage after the >, such as 5%",
	} {
		if c, err := ParseCondition(text); err == nil || err.Error() != want {
			t.Errorf("%q: %+v %v, want %s", text, c, err, want)
		}
	}
}
