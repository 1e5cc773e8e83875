package main

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
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap/cli/internal/binread"
	"cgoheap/cli/internal/release"
	"cgoheap/cli/internal/termtext"
)

const (
	statusTimeout  = 5 * time.Second
	profileTimeout = 60 * time.Second // a large binary's symbols are read for it
	accountTimeout = 60 * time.Second // names of the stacks are read for it
	// The process is not trusted with our memory.
	maxStatusBytes  = 1 << 20
	maxAccountBytes = 4 << 20
	maxProfileBytes = 256 << 20
	maxPlainBytes   = 1 << 30
)

// client speaks HTTP with the shim of one process.
type client struct {
	process *process
	http    *http.Client

	mu   sync.Mutex
	conn *net.UnixConn // of the last request
}

func newClient(p *process) *client {
	c := &client{process: p}
	dial := func(context.Context, string, string) (net.Conn, error) {
		fd, err := p.connect()
		if err != nil {
			return nil, errDial{err}
		}
		file := os.NewFile(uintptr(fd), "cgoheap socket")
		defer file.Close()
		conn, err := net.FileConn(file)
		c.mu.Lock()
		c.conn, _ = conn.(*net.UnixConn)
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

// askedFirst is silent until it has been asked.  What another server (SSH) says before that net/http
// would report on stderr.
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

// endSending asks for the answer now where it would come later (seconds=).
func (c *client) endSending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil && c.conn.CloseWrite() == nil
}

// status is /v1/status.  A figure that the shim does not know is nil.
type status struct {
	Version               string    `json:"version"`
	PID                   int       `json:"pid"`
	State                 string    `json:"state"`
	SampleBytes           uint64    `json:"sample_bytes"`
	RemainingNS           *int64    `json:"sampling_remaining_ns"`
	ConfiguredSampleBytes uint64    `json:"configured_sample_bytes"`
	Overhead              *overhead `json:"overhead"` // nil: a shim before 0.2
	OnNS                  *int64    `json:"on_ns"`    // without a break; nil: off
	OffNS                 int64     `json:"off_ns"`   // since the start, in all
	UptimeNS              int64     `json:"uptime_ns"`
	StartTime             string    `json:"start_time"`
	Samples               samples   `json:"samples"`
	Dropped               map[string]uint64
	Stacks                stackCounts `json:"stacks"`
	Memory                struct {
		ResidentBytes uint64 `json:"resident_bytes"`
		MaxBytes      uint64 `json:"max_bytes"`
	} `json:"memory"`
	Threads int `json:"threads"`
	Host    struct {
		GoVersion  string  `json:"go_version"`
		Allocator  string  `json:"allocator"`
		Executable string  `json:"executable"`
		Unknown    *string `json:"unknown_functions"`
	} `json:"host"`
	Socket  *string `json:"socket"`
	TCPPort *int    `json:"tcp_port"`
}

type samples struct {
	Taken uint64 `json:"taken"`
	Live  uint64 `json:"live"`
}

type stackCounts struct {
	Distinct  uint64            `json:"distinct"`
	Sites     uint64            `json:"sites"`
	Complete  uint64            `json:"complete"`
	Truncated uint64            `json:"truncated"`
	ByEnd     map[string]uint64 `json:"by_end"`
}

func (c *client) status() (*status, error) {
	body, err := c.request(http.MethodGet, "/v1/status", nil, statusTimeout, maxStatusBytes)
	if err != nil {
		return nil, err
	}
	s := &status{}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("%s answers on its socket, but not as a shim that this cgoheap %s knows: %s",
			c.process.title(), release.Version, termtext.Escape(err.Error()))
	}
	return s, nil
}

// profileBytes fetches a profile, cgoheap or memory, as it is.
func (c *client) profileBytes(name string, query url.Values, timeout time.Duration) ([]byte, error) {
	return c.request(http.MethodGet, "/debug/pprof/"+name, query, timeout, maxProfileBytes)
}

func (c *client) profile(query url.Values) (*profile.Profile, error) {
	body, err := c.profileBytes("cgoheap", query, profileTimeout)
	if err != nil {
		return nil, err
	}
	p, err := parseProfile(body)
	if err != nil {
		return nil, fmt.Errorf("%s sent a profile that cannot be read: %s", c.process.title(), termtext.Escape(err.Error()))
	}
	return p, nil
}

// parseProfile bounds what a small answer may unpack to.
func parseProfile(body []byte) (*profile.Profile, error) {
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

// A shim that is asked by too many at once says when to ask again.  It is asked for
// this long, once a second.
const (
	busyPatience = 10 * time.Second
	busyPause    = time.Second
)

// request returns the body of a 200, or one sentence.
func (c *client) request(method, path string, query url.Values, timeout time.Duration, limit int64) ([]byte, error) {
	for deadline := time.Now().Add(busyPatience); ; time.Sleep(busyPause) {
		body, err := c.requestOnce(method, path, query, timeout, limit)
		var refused errRefused
		if !errors.As(err, &refused) || !refused.busy || time.Now().After(deadline) {
			return body, err
		}
	}
}

func (c *client) requestOnce(method, path string, query url.Values, timeout time.Duration, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	target := url.URL{Scheme: "http", Host: "cgoheap", Path: path, RawQuery: query.Encode()}
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
		if line == "" {
			line = resp.Status
		}
		return nil, errRefused{
			status: resp.StatusCode,
			text:   fmt.Sprintf("%s refused: %s", c.process.title(), termtext.Escape(termtext.CutEnd(line, 300))),
			busy:   resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "",
		}
	}
	return body, nil
}

func (c *client) explain(err error, timeout time.Duration) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dial errDial
	switch {
	case !c.process.alive():
		return errEnded{c.process}
	case errors.As(err, &dial):
		return dial.error
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		return fmt.Errorf("%s gave no answer within %s%s",
			c.process.title(), termtext.Duration(timeout), c.process.stoppedHint())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s closed the connection before its answer was whole: try again", c.process.title())
	}
	return fmt.Errorf("%s answers on its socket, but not with HTTP: %s",
		c.process.title(), termtext.Escape(termtext.CutEnd(err.Error(), 200)))
}

// errRefused is any answer but 200.
type errRefused struct {
	status int
	text   string
	busy   bool // it says that it may be asked again
}

func (e errRefused) Error() string { return e.text }

// errDial marks what connect said: a whole sentence already.
type errDial struct{ error }

// errEnded: the process was there, and is no more.
type errEnded struct{ process *process }

func (e errEnded) Error() string { return fmt.Sprintf("process %d has ended", e.process.pid) }

// answer fetches JSON, and keeps the text as it was sent.
func (c *client) answer(method, path string, into any) ([]byte, error) {
	body, err := c.request(method, path, nil, accountTimeout, maxAccountBytes)
	var refused errRefused
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return nil, fmt.Errorf("%s was started with a %s that has no %s: restart it with the one that belongs to cgoheap %s",
			c.process.title(), libraryName, path, release.Version)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, fmt.Errorf("%s answered what this cgoheap %s cannot read: %s",
			c.process.title(), release.Version, termtext.Escape(err.Error()))
	}
	return body, nil
}

func (c *client) account() (*account, []byte, error) {
	a := &account{}
	body, err := c.answer(http.MethodGet, "/v1/account", a)
	return a, body, err
}
