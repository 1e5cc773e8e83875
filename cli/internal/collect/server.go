package collect

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/termtext"
)

// Server is a service's net/http/pprof.
type Server struct {
	base   *url.URL // its index, without a slash at the end
	client *http.Client
	limits Limits
}

// The pages of net/http/pprof and cgo_bridge that a user may have named in place of the index.
var pprofPages = map[string]bool{"heap": true, "allocs": true, "goroutine": true, "block": true,
	"mutex": true, "threadcreate": true, "profile": true, "trace": true, "cmdline": true,
	"cgoheap": true, "allheap": true}

// ParseURL completes a host:port, or the URL of the index or of one of its pages.
func ParseURL(given string, limits Limits) (*Server, error) {
	if !strings.Contains(given, "://") {
		given = "http://" + given
	}
	u, err := url.Parse(given)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, flags.Usagef("a URL such as http://127.0.0.1:6060/debug/pprof")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if pprofPages[path.Base(u.Path)] {
		u.Path = path.Dir(u.Path)
	}
	if u.Path == "" || u.Path == "/debug" {
		u.Path = "/debug/pprof"
	}
	u.RawPath, u.Fragment, u.RawFragment = "", "", ""
	u.RawQuery = withoutOwn(u.RawQuery)
	s := &Server{base: u, limits: limits}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: limits.Connect}).DialContext
	transport.TLSHandshakeTimeout = limits.Connect
	transport.DisableKeepAlives = true  // a broken connection must not fail the next page
	transport.DisableCompression = true // profiles are compressed already
	s.client = &http.Client{Transport: transport, CheckRedirect: s.follow}
	return s, nil
}

// withoutOwn is a query without the parameters of net/http/pprof's pages: each page has its own,
// and of two the first counts.
func withoutOwn(query string) string {
	given := strings.Split(query, "&")
	return strings.Join(slices.DeleteFunc(given, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return name == "debug" || name == "gc" || name == "seconds"
	}), "&")
}

// String has neither the password nor the values of the query, which may be a token.
func (s *Server) String() string { return shownURL(s.base) }

// hide takes the password and the query's values out of a text that the server may have written.
func (s *Server) hide(text string) string {
	var secrets []string
	if password, ok := s.base.User.Password(); ok {
		pair := s.base.User.Username() + ":" + password
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(pair)), password,
			url.QueryEscape(password))
	}
	for _, values := range s.base.Query() {
		for _, value := range values {
			secrets = append(secrets, value, url.QueryEscape(value))
		}
	}
	for _, secret := range secrets {
		if len(secret) > 2 {
			text = strings.ReplaceAll(text, secret, "...")
		}
	}
	return text
}

// Host is the server's, for the name of a scene.
func (s *Server) Host() string { return s.base.Host }

func shownURL(u *url.URL) string { return termtext.Escape(attach.ShownURL(u.String())) }

// page is one of the server's, such as "heap?gc=1", with the query that the user gave.
func (s *Server) page(name string) *url.URL {
	u := *s.base
	name, query, _ := strings.Cut(name, "?")
	u.Path += "/" + name
	u.RawQuery = strings.Trim(u.RawQuery+"&"+query, "&")
	return &u
}

// follow keeps the password on redirects: net/http drops it when the host gets a port or https.
func (s *Server) follow(req *http.Request, via []*http.Request) error {
	if err := attach.SameHost(req, via); err != nil {
		return err
	}
	if password, ok := s.base.User.Password(); ok {
		req.SetBasicAuth(s.base.User.Username(), password)
	}
	return nil
}

// Program asks the service for its program's name.  It returns an error only where no page can
// be had: nothing listens, it wants a password, it is elsewhere.
func (s *Server) Program(ctx context.Context) (string, error) {
	for attempt := 0; ; attempt++ {
		var line bytes.Buffer
		ctx, cancel := context.WithTimeout(ctx, 2*s.limits.Connect)
		err := s.get(ctx, "cmdline", 0, &limited{&line, 1 << 16})
		cancel()
		var why *failure
		first, _, _ := strings.Cut(line.String(), "\x00")
		switch {
		case err == nil && first != "" && !strings.ContainsAny(first, "<\n"):
			return path.Base(first), nil
		case !errors.As(err, &why) || !why.away && !why.closed:
			return "service", nil
		case !why.again || attempt >= s.limits.Retries:
			return "", fmt.Errorf("%s: %s", s, s.hide(why.text))
		}
		time.Sleep(s.limits.Pause)
	}
}

// limited drops what is too much.
type limited struct {
	to   io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(l.left, len(b))
	l.left -= n
	if _, err := l.to.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// get writes a page to w.  extra is how long the server works before it answers.
func (s *Server) get(ctx context.Context, name string, extra time.Duration, w io.Writer) error {
	each := s.limits.Each + extra
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.page(name).String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "cgoheap-collect")
	resp, err := s.client.Do(req)
	if err != nil {
		return explain(err, each)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s.refusal(resp)
	}
	if kind := resp.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/html") {
		return final("answers with a web page (%s), not a profile: "+
			"is net/http/pprof served there?", termtext.Escape(termtext.CutEnd(kind, 60)))
	}
	n, err := io.Copy(w, io.LimitReader(resp.Body, mostBytes+1))
	switch {
	case err != nil:
		return explain(err, each)
	case n > mostBytes:
		return final("answers with more than %s", termtext.Bytes(mostBytes))
	}
	return nil
}

// mostBytes of a page: the service, or who answers in its place, may send without end.
const mostBytes = attach.MaxProfileBytes

// refusal says what an answer other than 200 means.
func (s *Server) refusal(resp *http.Response) error {
	status := termtext.Escape(termtext.CutEnd(resp.Status, 60))
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	isPprof := resp.Header.Get("X-Go-Pprof") != "" // its own words: asking again is no use
	text := "answers " + status
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if line != "" && (isPprof || strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain")) {
		text += ": " + termtext.Escape(termtext.CutEnd(line, 200))
	}
	switch code := resp.StatusCode; {
	case (code == http.StatusUnauthorized || code == http.StatusForbidden) && s.base.User == nil:
		return &failure{closed: true, text: fmt.Sprintf("%s: it needs a password: "+
			"--url %s://USER:PASSWORD@%s (cgoheap neither prints nor saves it)",
			text, s.base.Scheme, termtext.Escape(s.base.Host+s.base.Path))}
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return &failure{closed: true, text: text + ": it does not accept this user and password"}
	case code == http.StatusNotFound:
		return &failure{absent: true, text: text + ": this page is not served there"}
	case code >= 500 && !isPprof || code == http.StatusTooManyRequests:
		return &failure{text: text, again: true}
	}
	return final("%s", text)
}

// failure is why a source gave nothing, in words that follow its name.
type failure struct {
	text   string
	again  bool // asking again may help
	closed bool // no page will be had: a password is missing, or it is elsewhere
	absent bool // there is no such page
	silent bool // no answer came within the time
	away   bool // nothing was there to connect to
}

func (f *failure) Error() string { return f.text }

func final(format string, args ...any) error {
	return &failure{text: fmt.Sprintf(format, args...)}
}

// explain says what an error of net/http means.  It names no URL: that has the password.
func explain(err error, each time.Duration) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var elsewhere attach.ElsewhereError
	var disk *diskError
	var op *net.OpError
	var name *net.DNSError
	var unknown x509.UnknownAuthorityError
	var verify *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	isDial := errors.As(err, &op) && op.Op == "dial"
	switch {
	case errors.As(err, &disk):
		return disk
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &elsewhere):
		return &failure{closed: true, text: elsewhere.Error() + ", which is not followed: " +
			"if that is the service, name it with --url"}
	case errors.As(err, &name):
		return &failure{text: fmt.Sprintf("the host %s is not known",
			termtext.Quote(name.Name)), again: name.IsTemporary, away: true}
	case isDial && op.Timeout():
		return &failure{text: "no connection: the host does not answer", again: true, away: true}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &failure{text: "no server listens there", again: true, away: true}
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		return &failure{text: "no answer within " + termtext.Duration(each), silent: true}
	case errors.As(err, &unknown), errors.As(err, &verify):
		return &failure{text: "its certificate is not trusted here: add the authority to this " +
			"machine's (SSL_CERT_FILE names a file of them)", away: true}
	case errors.As(err, &plain):
		return &failure{text: "it does not speak TLS: try http:// in place of https://", away: true}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, syscall.ECONNRESET):
		return &failure{text: "the connection closed before the answer was complete", again: true}
	}
	return &failure{text: termtext.Escape(termtext.CutEnd(err.Error(), 200)), again: true}
}
