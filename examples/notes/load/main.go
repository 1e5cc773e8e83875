// Load sends the notes service a known number of requests, spread evenly over
// a given time, and then checks that the service holds what they should leave.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	notes          = 200
	blobBytes      = 512 << 10
	badBlobEvery   = 4  // each fourth upload has a digest that is not its own
	eventsARequest = 50 // of /audit
	actorBytes     = 900
)

type client struct {
	http http.Client
	url  string
	text []byte // what blobs and notes are cut from
}

func main() {
	var (
		url      = flag.String("url", "http://127.0.0.1:8080", "the service")
		duration = flag.Duration("duration", 15*time.Second, "spread the requests over this time")
		searches = flag.Int("searches", 8000, "searches, each for another term")
		blobs    = flag.Int("blobs", 160, "uploads; one in four has a wrong digest")
		audits   = flag.Int("audits", 600, "audit requests, of 50 events each")
		fixed    = flag.Bool("fixed", false, "expect nothing to be left (the service runs "+
			"with -fixed)")
		ask = flag.Bool("truth", false, "send nothing; print what /truth says, "+
			"tab-separated, for scripts")
	)
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("load: ")

	c := &client{url: *url, text: words(1 << 20)}
	c.http.Timeout = 30 * time.Second
	c.http.Transport = &http.Transport{MaxIdleConnsPerHost: 16}
	if *ask {
		if err := c.printTruth(); err != nil {
			log.Fatal(err)
		}
		return
	}
	for i := 0; i < notes; i++ {
		if err := c.addNote(i); err != nil {
			log.Fatal(err)
		}
	}
	work := []*kind{
		{name: "searches", total: *searches, do: c.search},
		{name: "uploads", total: *blobs, do: c.upload},
		{name: "audit requests", total: *audits, do: c.audit},
	}
	if err := run(work, *duration); err != nil {
		log.Fatal(err)
	}
	want := map[string]int{"statements": *searches,
		"contexts": (*blobs + badBlobEvery - 1) / badBlobEvery, "strings": *audits * eventsARequest}
	if err := c.check(want, *fixed); err != nil {
		log.Fatal(err)
	}
}

// kind is one sort of request: total of them, the i-th due at i/total of the time.
type kind struct {
	name  string
	total int
	do    func(i int) error
	next  atomic.Int64
	done  atomic.Int64
}

func run(work []*kind, duration time.Duration) error {
	var wg sync.WaitGroup
	start := time.Now()
	failed := make(chan error, 1)
	for _, k := range work {
		for worker := 0; worker < 4; worker++ {
			wg.Add(1)
			go func(k *kind) {
				defer wg.Done()
				if err := k.run(start, duration); err != nil {
					select {
					case failed <- fmt.Errorf("%s: %w", k.name, err):
					default:
					}
				}
			}(k)
		}
	}
	finished := make(chan struct{})
	go func() {
		wg.Wait()
		close(finished)
	}()
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-failed:
			return err
		case <-tick.C:
			progress(work, start)
		case <-finished:
			progress(work, start)
			select {
			case err := <-failed:
				return err
			default:
				return nil
			}
		}
	}
}

func (k *kind) run(start time.Time, duration time.Duration) error {
	for {
		i := int(k.next.Add(1)) - 1
		if i >= k.total {
			return nil
		}
		time.Sleep(
			time.Until(start.Add(time.Duration(float64(duration) * float64(i) / float64(k.total)))))
		if err := k.do(i); err != nil {
			return err
		}
		k.done.Add(1)
	}
}

func progress(work []*kind, start time.Time) {
	parts := make([]string, len(work))
	for i, k := range work {
		parts[i] = fmt.Sprintf("%d/%d %s", k.done.Load(), k.total, k.name)
	}
	fmt.Printf("  %3.0f s: %s\n", time.Since(start).Seconds(), strings.Join(parts, ", "))
}

func (c *client) addNote(i int) error {
	at := i * 997 % (len(c.text) - 400)
	body, err := json.Marshal(map[string]string{"title": fmt.Sprintf("Note %d", i),
		"body": string(c.text[at : at+400])})
	if err != nil {
		return err
	}
	return c.send(http.MethodPost, "/notes", bytes.NewReader(body), nil, http.StatusOK)
}

func (c *client) search(i int) error {
	return c.send(http.MethodGet, fmt.Sprintf("/notes/search?q=term+%d", i), nil, nil,
		http.StatusOK)
}

func (c *client) upload(i int) error {
	at := i * 4099 % (len(c.text) - blobBytes)
	blob := c.text[at : at+blobBytes]
	sum := sha256.Sum256(blob)
	want := http.StatusOK
	if i%badBlobEvery == 0 {
		sum[0] ^= 1
		want = http.StatusUnprocessableEntity
	}
	path := fmt.Sprintf("/blobs/%d", i)
	header := map[string]string{"X-Content-Sha256": hex.EncodeToString(sum[:])}
	if err := c.send(http.MethodPut, path, bytes.NewReader(blob), header, want); err != nil ||
		want != http.StatusOK {
		return err
	}
	return c.send(http.MethodGet, path, nil, nil, http.StatusOK)
}

func (c *client) audit(i int) error {
	var events strings.Builder
	for n := 0; n < eventsARequest; n++ {
		fmt.Fprintf(&events, "read note %d\n", (i+n)%notes)
	}
	actor := fmt.Sprintf("user%d;claims=", i)
	actor += strings.Repeat("x", actorBytes-len(actor))
	return c.send(http.MethodPost, "/audit", strings.NewReader(events.String()),
		map[string]string{"X-Actor": actor}, http.StatusOK)
}

func (c *client) send(method, path string, body io.Reader, header map[string]string,
	want int) error {
	request, err := http.NewRequest(method, c.url+path, body)
	if err != nil {
		return err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != want {
		return fmt.Errorf("%s %s: %s, want %d: %.200s", method, path, response.Status, want, answer)
	}
	return nil
}

// truth is what the service's /truth answers.
type truth struct {
	Leaks []struct {
		Name     string
		Function string
		Blocks   string
		Count    int
		Bytes    int
		Exact    bool
	}
	RSSBytes    int `json:"rss_bytes"`
	GoHeapBytes int `json:"go_heap_bytes"`
}

func (c *client) truth() (t truth, err error) {
	response, err := c.http.Get(c.url + "/truth")
	if err != nil {
		return t, err
	}
	defer response.Body.Close()
	return t, json.NewDecoder(response.Body).Decode(&t)
}

func (c *client) printTruth() error {
	t, err := c.truth()
	if err != nil {
		return err
	}
	for _, leak := range t.Leaks {
		fmt.Printf("leak\t%s\t%d\t%s\t%d\t%t\n", leak.Function, leak.Count, leak.Blocks, leak.Bytes,
			leak.Exact)
	}
	fmt.Printf("rss\t%d\ngo_heap\t%d\n", t.RSSBytes, t.GoHeapBytes)
	return nil
}

// check compares what the service says it holds with what was sent.
func (c *client) check(want map[string]int, fixed bool) error {
	t, err := c.truth()
	if err != nil {
		return err
	}
	var wrong []error
	for _, leak := range t.Leaks {
		expected := want[leak.Name]
		if fixed {
			expected = 0
		}
		if leak.Count != expected {
			wrong = append(wrong, fmt.Errorf("the service holds %d %s, not %d: was it fresh?",
				leak.Count, leak.Blocks, expected))
		}
	}
	return errors.Join(wrong...)
}

// words is text that compresses as text does.
func words(size int) []byte {
	r := rand.New(rand.NewSource(1))
	vocabulary := make([]string, 4000)
	for i := range vocabulary {
		word := make([]byte, 2+r.Intn(9))
		for j := range word {
			word[j] = byte('a' + r.Intn(26))
		}
		vocabulary[i] = string(word)
	}
	text := make([]byte, 0, size+16)
	for len(text) < size {
		text = append(append(text, vocabulary[int(r.ExpFloat64()*400)%len(vocabulary)]...), ' ')
	}
	return text[:size]
}
