package cgo_bridge

import (
	"bufio"
	"bytes"
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
	"syscall"
	"time"
)

// about is what the library says of itself.
type about struct {
	protocol  int
	version   string
	isPassive bool
	reason    string
}

// Loaded reports whether libcgoheap.so is preloaded into this process, is from a
// release that works with this package, and is active. The answer does not change
// while the process lives. A call costs some nanoseconds.
func Loaded() bool { return libraryIsThere() && check() == nil }

// check is nil, or why nothing can be asked: ErrNotPreloaded, *VersionError or *PassiveError.
func check() error {
	if !libraryIsThere() {
		if isMapped("libcgoheap.so") {
			return &VersionError{Package: Version, PackageProtocol: protocol}
		}
		return ErrNotPreloaded
	}
	a := libraryAbout()
	switch {
	case a.protocol != protocol:
		return &VersionError{Package: Version, PackageProtocol: protocol, Library: a.version,
			LibraryProtocol: a.protocol}
	case a.isPassive:
		return &PassiveError{Reason: a.reason}
	}
	return nil
}

// isMapped distinguishes a library without the bridge function from no library.
func isMapped(library string) bool {
	maps, err := os.ReadFile("/proc/self/maps")
	return err == nil && bytes.Contains(maps, []byte("/"+library+"\n"))
}

// The library serves 16 requests at a time: four are left to requests from outside.
// Requests that wait for growth hold no place there, and need none here.
var slots = make(chan struct{}, 12)

const (
	slotTime  = 5 * time.Second        // to wait for a place, here and there
	busyPause = 100 * time.Millisecond // between two tries
)

// takeSlot returns what gives the slot back.
func takeSlot(ctx context.Context, query url.Values) (func(), error) {
	if query.Has("seconds") {
		return func() {}, nil
	}
	free := func() { <-slots }
	select {
	case slots <- struct{}{}:
		return free, nil
	default:
	}
	timer := time.NewTimer(slotTime)
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return free, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, &RequestError{http.StatusServiceUnavailable,
			fmt.Sprintf("%d requests are in progress: retry when one ends", cap(slots))}
	}
}

// body is a response's, whose connection and slot go with it.
type body struct {
	io.ReadCloser
	ctx  context.Context
	conn net.Conn
	stop func() bool
	free func() // the slot
	once sync.Once
}

// Read fails as the context does where that ended it.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = b.ctx.Err()
	}
	return n, err
}

func (b *body) Close() error {
	b.once.Do(func() {
		b.stop()
		b.conn.Close()
		b.free()
	})
	return nil
}

// request asks again, for a while, if the library has no free place.
func request(ctx context.Context, method, path string, query url.Values) (*http.Response, error) {
	for deadline := time.Now().Add(slotTime); ; {
		answer, err := requestOnce(ctx, method, path, query)
		if !isBusy(answer, err) || time.Now().After(deadline) {
			return answer, err
		}
		if answer != nil {
			answer.Body.Close()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(busyPause):
		}
	}
}

func isBusy(answer *http.Response, err error) bool {
	if err != nil {
		return errors.Is(err, syscall.EAGAIN)
	}
	return answer.StatusCode == http.StatusServiceUnavailable &&
		answer.Header.Get("Retry-After") != ""
}

// requestOnce sends one request, over a new connection; the caller closes the body.
// A refusal by the library is an answer. (http.Transport would log an answer
// that comes before the request is sent, as "too many" does.)
func requestOnce(ctx context.Context, method, path string, query url.Values) (*http.Response,
	error) {
	if err := check(); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Close = true
	free, err := takeSlot(ctx, query)
	if err != nil {
		return nil, err
	}
	conn, err := connect(wantRequest)
	if err != nil {
		free()
		return nil, err
	}
	b := &body{ctx: ctx, conn: conn, free: free}
	b.stop = context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	sent := r.Write(conn)
	answer, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		b.Close()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case sent != nil:
			err = sent
		}
		return nil, fmt.Errorf("libcgoheap.so did not answer: %w", err)
	}
	b.ReadCloser = answer.Body
	answer.Body = b
	return answer, nil
}

// maxRefusalBytes is far more than the one line that a refusal is.
const maxRefusalBytes = 4096

// ask is request for callers that want an answer of status 200; else it returns a *RequestError.
func ask(ctx context.Context, method, path string, query url.Values) (io.ReadCloser, error) {
	answer, err := request(ctx, method, path, query)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	line, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusalBytes))
	if err != nil {
		return nil, err
	}
	return nil, &RequestError{Status: answer.StatusCode, Message: strings.TrimSpace(string(line))}
}

// askJSON decodes what is answered.
func askJSON(ctx context.Context, method, path string, query url.Values, into any) error {
	body, err := ask(ctx, method, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(into)
}
