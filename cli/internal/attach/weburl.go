package attach

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// What every verb that fetches a URL of the user's does alike: what of it may be shown, and where
// a redirect may lead.

const mostRedirects = 5

// ShownURL is a URL as it may be shown: user, password and the query are left out, which may be
// secrets, but not net/http/pprof's own parameters. It is not escaped.
func ShownURL(target string) string {
	u, err := url.Parse(target)
	if err != nil { // it may have a password nevertheless
		target, _, _ = strings.Cut(target, "?")
		scheme, rest, there := strings.Cut(target, "://")
		if at := strings.LastIndex(rest, "@"); there && at >= 0 {
			target = scheme + "://..." + rest[at:]
		}
		return target
	}
	shown := *u
	if u.User != nil {
		shown.User = url.User("...")
	}
	for name := range u.Query() {
		if name != "debug" && name != "gc" && name != "seconds" {
			shown.RawQuery = "..."
		}
	}
	return shown.String()
}

// ElsewhereError is a redirect to a host that the user did not name.
type ElsewhereError struct{ To string } // as shown

func (e ElsewhereError) Error() string { return "redirects to " + e.To }

// SameHost is the CheckRedirect of a client: it follows the host that the user named, and to https
// but not back. So a password goes to no other host, and what an answer says is the service's.
func SameHost(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	isSame := req.URL.Host == from.Host && req.URL.Scheme == from.Scheme
	isSecured := req.URL.Hostname() == from.Hostname() && req.URL.Scheme == "https"
	if !isSame && !isSecured {
		return ElsewhereError{ShownURL(req.URL.String())}
	}
	if len(via) > mostRedirects {
		return errors.New("redirects in a circle")
	}
	return nil
}
