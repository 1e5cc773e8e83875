package attach

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/termtext"
)

// Go's own figures, from the service: net/http/pprof writes runtime.MemStats
// below its heap profile as text, one "# HeapInuse = 123" a line.

const (
	goPprofTimeout  = 30 * time.Second
	maxGoPprofBytes = 256 << 20
)

// GoPprofURL completes a host:port, or the URL of the index or of the heap profile.
func GoPprofURL(given string) (string, error) {
	wrong := flags.Usagef("a URL such as http://127.0.0.1:6060/debug/pprof/heap")
	if !strings.Contains(given, "://") {
		given = "http://" + given
	}
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", wrong
	}
	switch strings.TrimRight(u.Path, "/") {
	case "":
		u.Path = "/debug/pprof/heap"
	case "/debug/pprof":
		u.Path = "/debug/pprof/heap"
	}
	query := u.Query()
	query.Set("debug", "1")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// FetchGoSplit asks the service for Go's figures.  Its errors are one sentence.
func FetchGoSplit(target string) (*account.Go, error) {
	ctx, cancel := context.WithTimeout(context.Background(), goPprofTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	shown := termtext.QuoteShell(ShownURL(target))
	client := http.Client{CheckRedirect: SameHost}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be fetched: %s", shown, explainFetch(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: is net/http/pprof served there?",
			shown, termtext.Escape(termtext.CutEnd(resp.Status, 100)))
	}
	body, err := binread.All(resp.Body, maxGoPprofBytes)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be fetched: %s", shown, explainFetch(err))
	}
	split, err := ParseMemStats(body)
	if err != nil {
		return nil, fmt.Errorf("%s %w", shown, err)
	}
	return split, nil
}

func explainFetch(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var elsewhere ElsewhereError
	switch {
	case errors.As(err, &elsewhere):
		return "it " + elsewhere.Error() + ", name that one if you mean it"
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		return "no answer within " + termtext.Duration(goPprofTimeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "no server listens there"
	}
	return termtext.Escape(termtext.CutEnd(err.Error(), 200))
}

// memStats are the lines to read; of "in use / obtained" the first figure counts.
var memStats = []string{
	"HeapInuse", "HeapIdle", "HeapReleased", "Stack",
	"MSpan", "MCache", "BuckHashSys", "GCSys", "OtherSys",
}

// MemStats are the lines "# KEY = VALUE" below a heap profile.  False: there are none.
func MemStats(text []byte) (map[string]string, bool) {
	found := map[string]string{}
	_, stats, there := bytes.Cut(text, []byte("# runtime.MemStats\n"))
	lines := bufio.NewScanner(bytes.NewReader(stats))
	lines.Buffer(nil, 1<<20) // PauseNs is a long line
	for lines.Scan() {
		if key, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "# "), " = "); ok {
			found[key] = value
		}
	}
	return found, there
}

// ParseMemStats reads the figures that an account has of Go's.
func ParseMemStats(text []byte) (*account.Go, error) {
	found := map[string]int64{}
	lines, there := MemStats(text)
	for _, name := range memStats {
		first, _, _ := strings.Cut(lines[name], " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil || n < 0 || !there {
			return nil, errors.New("is not a heap profile with Go's MemStats: " +
				"name the service's own /debug/pprof/heap")
		}
		found[name] = n
	}
	inUse, released, stacks := found["HeapInuse"], found["HeapReleased"], found["Stack"]
	free := found["HeapIdle"] - released
	if free < 0 {
		return nil, errors.New("has figures that contradict each other: " +
			"more heap released than idle")
	}
	metadata := found["MSpan"] + found["MCache"] + found["BuckHashSys"] +
		found["GCSys"] + found["OtherSys"]
	return &account.Go{Source: account.MemStatsSource, HeapInUse: &inUse, HeapFree: &free,
		HeapReleased: &released, Stacks: &stacks, Metadata: &metadata}, nil
}
