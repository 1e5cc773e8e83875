package attach

import (
	"context"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// A server that accepts and says nothing does not hold the command for ever.
func TestEventsSilence(t *testing.T) {
	patience := eventsPatience
	eventsPatience = 20 * time.Millisecond
	t.Cleanup(func() { eventsPatience = patience })
	self, err := OpenProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		buf := make([]byte, 4096)
		for {
			if _, err := theirs.Read(buf); err != nil {
				return
			}
		}
	}()
	dial := func(context.Context, string, string) (net.Conn, error) { return ours, nil }
	c := &Client{Process: self, http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
	if _, err := c.Events(nil, nil); !IsSilence(err) {
		t.Errorf("%v", err)
	}
}
