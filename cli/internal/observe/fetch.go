package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/termtext"
)

const (
	fetchTimeout  = 10 * time.Second
	maxFetchBytes = 64 << 20
)

// shownURL is safe for a terminal.
func shownURL(target string) string { return termtext.QuoteShell(attach.ShownURL(target)) }

var fetcher = &http.Client{CheckRedirect: attach.SameHost}

// fetch returns the body of a 200.  Its errors are one sentence.
func fetch(ctx context.Context, target string, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := get(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("%s %s", shownURL(target), explainFetch(err, patience))
	}
	return body, nil
}

func get(ctx context.Context, target string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	resp, err := fetcher.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("answers %d, it needs a password: "+
			"write http://USER:PASSWORD@HOST/...", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // the connection can be used again
		return nil, errors.New("answers " + termtext.CutEnd(resp.Status, 100))
	}
	return binread.All(resp.Body, maxFetchBytes)
}

// explainFetch continues a sentence that begins with the URL.
func explainFetch(err error, patience time.Duration) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var elsewhere attach.ElsewhereError
	text := err.Error()
	switch {
	case errors.As(err, &elsewhere):
		text += ": name that one if you mean it"
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		text = "gave no answer within " + termtext.Duration(patience)
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "cannot be fetched: no server listens there"
	case !strings.HasPrefix(text, "answers ") && !strings.HasPrefix(text, "redirects "):
		text = "cannot be fetched: " + text
	}
	return termtext.Escape(termtext.CutEnd(text, 200))
}
