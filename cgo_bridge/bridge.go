package cgo_bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Version is this package's. It belongs to the libcgoheap.so of the same version.
const Version = "0.1.0"

// about is what the library says of itself.
type about struct {
	protocol  int
	version   string
	isPassive bool
	reason    string
}

// Loaded says whether libcgoheap.so is preloaded into this process, is of a
// release that this package understands, and works here. It does not change while
// the process lives, and costs some nanoseconds.
func Loaded() bool { return check() == nil }

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
		return &VersionError{Package: Version, PackageProtocol: protocol, Library: a.version, LibraryProtocol: a.protocol}
	case a.isPassive:
		return &PassiveError{Reason: a.reason}
	}
	return nil
}

// isMapped tells a library that has no way in from one that is not there.
func isMapped(library string) bool {
	maps, err := os.ReadFile("/proc/self/maps")
	return err == nil && bytes.Contains(maps, []byte("/"+library+"\n"))
}

// client speaks HTTP to the library, each request over a connection of its own.
var client = &http.Client{Transport: &http.Transport{
	DisableKeepAlives:  true,
	DisableCompression: true,
	DialContext: func(context.Context, string, string) (net.Conn, error) {
		return connect(wantRequest)
	},
}}

// request sends one; the body is the caller's to close. The library's refusal is an answer.
func request(ctx context.Context, method, path string, query url.Values) (*http.Response, error) {
	if err := check(); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(r)
	if wrapped, ok := err.(*url.Error); ok {
		err = wrapped.Err // the address says nothing to anybody
	}
	return answer, err
}

// maxRefusalBytes is far more than the one line that a refusal is.
const maxRefusalBytes = 4096

// ask is request for who wants an answer of status 200; else a *RequestError.
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
