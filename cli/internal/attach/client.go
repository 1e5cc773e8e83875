// Package attach finds processes that have the library loaded, and asks the library.
// Everything it knows of a process comes from /proc and from the library's socket.  It
// does not trust the process: it bounds answers, escapes names, and opens paths inside
// the process's root.
package attach

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/release"
	"cgoheap.example/cli/internal/termtext"
)

const (
	StatusTimeout  = 5 * time.Second
	ProfileTimeout = 60 * time.Second // a large binary's symbols are read for it
	AccountTimeout = 60 * time.Second // names of the stacks are read for it
	// The process is not trusted with our memory.
	MaxStatusBytes  = 1 << 20
	MaxAccountBytes = 4 << 20
	MaxProfileBytes = 256 << 20
	maxPlainBytes   = 256 << 20
)

// On TCP the library asks for a loopback name.
const host = "localhost"

// Client speaks HTTP with the shim of one process.
type Client struct {
	Process *Process
	http    *http.Client

	mu   sync.Mutex
	conn sendEnder // of the last request
}

// sendEnder is a connection, of unix or TCP, whose sending half can be closed.
type sendEnder interface{ CloseWrite() error }

// NewClient connects with each request.
func NewClient(p *Process) *Client {
	c := &Client{Process: p}
	dial := func(context.Context, string, string) (net.Conn, error) {
		fd, err := p.connect()
		if err != nil {
			return nil, dialError{err}
		}
		file := os.NewFile(uintptr(fd), "cgoheap socket")
		defer file.Close()
		conn, err := net.FileConn(file)
		c.mu.Lock()
		c.conn, _ = conn.(sendEnder)
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return &askedFirst{Conn: conn, asked: make(chan struct{})}, nil
	}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext:        dial,
		DisableKeepAlives:  true, // the shim serves few connections at a time
		DisableCompression: true,
	}}
	return c
}

// askedFirst returns nothing until a request was written.  net/http would report on stderr what
// another server (SSH) says unasked.
type askedFirst struct {
	net.Conn
	asked chan struct{}
	once  sync.Once
}

func (a *askedFirst) ask() { a.once.Do(func() { close(a.asked) }) }

func (a *askedFirst) Read(b []byte) (int, error) {
	<-a.asked
	return a.Conn.Read(b)
}

func (a *askedFirst) Write(b []byte) (int, error) {
	defer a.ask()
	return a.Conn.Write(b)
}

func (a *askedFirst) Close() error {
	defer a.ask()
	return a.Conn.Close()
}

// EndSending asks for the answer now, before the time of seconds= is over.
func (c *Client) EndSending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil && c.conn.CloseWrite() == nil
}

// ProfileBytes fetches the profile "cgoheap" or "memory" without reading it.
func (c *Client) ProfileBytes(
	name string, query url.Values, timeout time.Duration,
) ([]byte, error) {
	return c.Request(http.MethodGet, "/debug/pprof/"+name, query, timeout, MaxProfileBytes)
}

// Profile fetches the heap profile and reads it.
func (c *Client) Profile(query url.Values) (*profile.Profile, error) {
	body, err := c.ProfileBytes("cgoheap", query, ProfileTimeout)
	if err != nil {
		return nil, err
	}
	p, err := ParseProfile(body)
	if err != nil {
		return nil, fmt.Errorf("%s sent a profile that cannot be read: %s",
			c.Process.Title(), termtext.Escape(err.Error()))
	}
	return p, nil
}

// ProfileByAge is the heap profile with a sample for each stack and interval of the past.
func (c *Client) ProfileByAge() (*profile.Profile, error) {
	p, err := c.Profile(url.Values{"labels": {"age"}})
	var refused refusedError
	if errors.As(err, &refused) && refused.status == http.StatusBadRequest {
		return nil, c.lacks("cohorts (labels=age)")
	}
	if err != nil {
		return nil, err
	}
	hasAge := func(s *profile.Sample) bool { return len(s.Label["age"]) > 0 }
	if len(p.Sample) > 0 && !slices.ContainsFunc(p.Sample, hasAge) {
		return nil, c.lacks("cohorts (labels=age)")
	}
	return p, nil
}

// lacks is the error of a library that is older than what it is asked for.
func (c *Client) lacks(what string) error {
	return olderError{fmt.Sprintf("%s was started with a %s that has no %s: "+
		"restart it with the one that belongs to cgoheap %s",
		c.Process.Title(), LibraryName, what, release.Version)}
}

type olderError struct{ text string }

func (e olderError) Error() string { return e.text }

// IsOlder says that the library is too old for what it was asked.
func IsOlder(err error) bool { return errors.As(err, &olderError{}) }

// ParseProfile reads a profile; it bounds what a small answer unpacks to.
func ParseProfile(body []byte) (*profile.Profile, error) {
	unzip, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	plain, err := binread.All(unzip, maxPlainBytes)
	if err != nil {
		return nil, err
	}
	return profile.ParseUncompressed(plain)
}

// A library with too many requests says when to ask again.  We ask once a second for
// this long.
const (
	busyPatience = 10 * time.Second
	busyPause    = time.Second
)

// Request returns the body of a 200; its errors are one sentence.
func (c *Client) Request(
	method, path string, query url.Values, timeout time.Duration, limit int64,
) ([]byte, error) {
	for deadline := time.Now().Add(busyPatience); ; time.Sleep(busyPause) {
		body, err := c.requestOnce(method, path, query, timeout, limit)
		var refused refusedError
		if !errors.As(err, &refused) || !refused.busy || time.Now().After(deadline) {
			return body, err
		}
	}
}

func (c *Client) requestOnce(
	method, path string, query url.Values, timeout time.Duration, limit int64,
) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	target := url.URL{Scheme: "http", Host: host, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err, timeout)
	}
	defer resp.Body.Close()
	body, err := binread.All(resp.Body, limit)
	if err != nil {
		return nil, c.explain(err, timeout)
	}
	if resp.StatusCode != http.StatusOK {
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return nil, c.refusal(resp, line)
	}
	return body, nil
}

// refusal is the error of an answer that is not 200; line: what it says.
func (c *Client) refusal(resp *http.Response, line string) error {
	if line == "" {
		line = resp.Status
	}
	line = termtext.Escape(termtext.CutEnd(line, 300))
	if resp.StatusCode == http.StatusForbidden && !sameNamespace(c.Process.PID, "user") {
		line += "; " + c.Process.userNamespaceRemedy()
	}
	return refusedError{
		status: resp.StatusCode,
		text:   fmt.Sprintf("%s refused: %s", c.Process.Title(), line),
		busy: resp.StatusCode == http.StatusServiceUnavailable &&
			resp.Header.Get("Retry-After") != "",
	}
}

func (c *Client) explain(err error, timeout time.Duration) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dial dialError
	switch {
	case !c.Process.alive():
		return EndedError{c.Process}
	case errors.As(err, &dial):
		return dial.error
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		return silentError{fmt.Sprintf("%s gave no answer within %s%s",
			c.Process.Title(), termtext.Duration(timeout), c.Process.stoppedHint())}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return cutError{fmt.Sprintf("%s closed the connection before the answer was complete: "+
			"try again", c.Process.Title())}
	}
	return fmt.Errorf("%s answers on its socket, but not in HTTP: %s",
		c.Process.Title(), termtext.Escape(termtext.CutEnd(err.Error(), 200)))
}

// refusedError is any answer but 200.
type refusedError struct {
	status int
	text   string
	busy   bool // it says that it may be asked again
}

func (e refusedError) Error() string { return e.text }

// silentError is no answer in time, cutError half of one.
type (
	silentError struct{ text string }
	cutError    struct{ text string }
)

func (e silentError) Error() string { return e.text }
func (e cutError) Error() string    { return e.text }

// IsSilence says that a request got no answer in time.
func IsSilence(err error) bool { return errors.As(err, &silentError{}) }

// IsCut says that a request got half an answer: the next one may get a whole one.
func IsCut(err error) bool { return errors.As(err, &cutError{}) }

// dialError marks an error of connect, which is a whole sentence already.
type dialError struct{ error }

// EndedError says that the process has ended since it was opened.
type EndedError struct{ process *Process }

func (e EndedError) Error() string { return fmt.Sprintf("process %d has ended", e.process.PID) }

// Answer fetches JSON, and keeps the text as it was sent.
func (c *Client) Answer(method, path string, into any) ([]byte, error) {
	body, err := c.Request(method, path, nil, AccountTimeout, MaxAccountBytes)
	var refused refusedError
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return nil, c.lacks(path)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, fmt.Errorf("%s sent an answer that this cgoheap %s cannot read: %s",
			c.Process.Title(), release.Version, termtext.Escape(err.Error()))
	}
	return body, nil
}

// Account also returns the text as it was sent.
func (c *Client) Account() (*account.Account, []byte, error) {
	a := &account.Account{}
	body, err := c.Answer(http.MethodGet, "/v1/account", a)
	return a, body, err
}
