package soak

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	connections = 8
	notes       = 100
	pause       = 2 * time.Millisecond // between two requests of a connection
	patience    = 30 * time.Second     // a request that takes longer is stuck
)

// A load sends requests that are numbered; what the i-th asks, and is answered, depends on i alone.
type load struct {
	client http.Client
	url    string
	next   atomic.Int64
	mutex  sync.Mutex
	sum    [sha256.Size]byte // of all answers, in no order
}

func newLoad(url string) *load {
	return &load{url: url, client: http.Client{Timeout: patience,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections}}}
}

func (l *load) send(method, path string, body []byte, header map[string]string) (string, error) {
	request, err := http.NewRequest(method, l.url+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := l.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode >= 500 {
		return "", fmt.Errorf("%s %s: %s: %.200s", method, path, response.Status, answer)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, answer), nil
}

func (l *load) addNotes() error {
	for i := 0; i < notes; i++ {
		body := fmt.Sprintf(`{"title": "Note %d", "body": "word%d %s"}`, i, i%10,
			strings.Repeat("text ", i))
		if _, err := l.send(http.MethodPost, "/notes", []byte(body), nil); err != nil {
			return err
		}
	}
	return nil
}

// The i-th request.
func (l *load) request(i int) (string, error) {
	switch i % 4 {
	case 0, 1:
		return l.send(http.MethodGet, fmt.Sprintf("/notes/search?q=word%d", i%10), nil, nil)
	case 2:
		events := strings.Repeat(fmt.Sprintf("read note %d\n", i%notes), 20)
		// What it answers is the last event of all connections.
		_, err := l.send(http.MethodPost, "/audit", []byte(events),
			map[string]string{"X-Actor": strings.Repeat("x", 900)})
		return "audited", err
	default:
		return l.upload(i)
	}
}

// One in four has a digest that is not its own.
func (l *load) upload(i int) (string, error) {
	blob := bytes.Repeat([]byte(fmt.Sprintf("blob %d ", i%50)), 8<<10)
	sum := sha256.Sum256(blob)
	if i%16 == 3 {
		sum[0] ^= 1
	}
	path := fmt.Sprintf("/blobs/%d", i)
	put, err := l.send(http.MethodPut, path, blob,
		map[string]string{"X-Content-Sha256": hex.EncodeToString(sum[:])})
	if err != nil {
		return "", err
	}
	got, err := l.send(http.MethodGet, path, nil, nil)
	return put + got, err
}

// One connection. A number that is taken is asked for, so that those asked for are the first so
// many.
func (l *load) connection(until time.Time, most int) error {
	for time.Now().Before(until) {
		i := int(l.next.Add(1)) - 1
		if i >= most {
			return nil
		}
		answer, err := l.request(i)
		if err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(fmt.Sprintf("%d %s", i, answer)))
		l.mutex.Lock()
		for b := range sum {
			l.sum[b] ^= sum[b]
		}
		l.mutex.Unlock()
		time.Sleep(pause)
	}
	return nil
}

// run sends at most that many requests, from all connections, until then; it returns how many.
func (l *load) run(until time.Time, most int) (int, error) {
	failed := make(chan error, connections)
	for c := 0; c < connections; c++ {
		go func() { failed <- l.connection(until, most) }()
	}
	var first error
	for c := 0; c < connections; c++ {
		if err := <-failed; err != nil && first == nil {
			first = err
		}
	}
	if sent := int(l.next.Load()); sent < most {
		return sent, first
	}
	return most, first
}
