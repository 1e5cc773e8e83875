package attach

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestShownURL(t *testing.T) {
	for url, want := range map[string]string{
		"http://127.0.0.1:6060/debug/pprof/heap?debug=1&gc=1": "as it is",
		"http://h/metrics":                     "as it is",
		"http://h/x?token=sesame&debug=1":      "http://h/x?...",
		"http://u:sesame@h/x":                  "http://...@h/x",
		"http://sesame@h/x":                    "http://...@h/x",
		"http://u:%zz@sesame@h:1/x?key=sesame": "http://...@h:1/x",
		"http://u:ses ame@h/%zz":               "http://...@h/%zz",
		"%zz":                                  "as it is",
	} {
		if want == "as it is" {
			want = url
		}
		if got := ShownURL(url); got != want {
			t.Errorf("%s is shown as %s, want %s", url, got, want)
		}
	}
}

// TestGoSplitElsewhere: another host's figures are not the service's, and it hears nothing of us.
func TestGoSplitElsewhere(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked = true
	}))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL+"/x?key=sesame", 302))
	defer server.Close()
	_, err := FetchGoSplit(server.URL)
	want := server.URL + " cannot be fetched: it redirects to " + other.URL +
		"/x?..., name that one if you mean it"
	if err == nil || err.Error() != want || asked {
		t.Errorf("%v, want %s; the other was asked: %v", err, want, asked)
	}
	circle := httptest.NewServer(http.RedirectHandler("/", 302))
	defer circle.Close()
	if _, err = FetchGoSplit(circle.URL); err == nil ||
		!strings.HasSuffix(err.Error(), "redirects in a circle") {
		t.Error(err)
	}
}
