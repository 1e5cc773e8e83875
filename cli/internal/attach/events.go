package attach

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// eventsPatience is for the beginning of a stream.
var eventsPatience = AccountTimeout

// maxEventBytes is enough for an account, or a stack with long names.
const maxEventBytes = MaxAccountBytes

// Events sends each line of /v1/events to lines, with its newline, until the stream ends, and
// returns the last one; a line that was cut off is left out. EndSending makes it end soon.
func (c *Client) Events(query url.Values, lines chan<- []byte) ([]byte, error) {
	target := url.URL{Scheme: "http", Host: host, Path: "/v1/events", RawQuery: query.Encode()}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	begun := time.AfterFunc(eventsPatience, cancel) // the stream itself may be silent for long
	resp, err := c.http.Do(req)
	if !begun.Stop() && err != nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		return nil, c.explain(err, eventsPatience)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, c.refused(resp)
	}
	var last []byte
	for in := bufio.NewReaderSize(resp.Body, 1<<16); ; {
		line, err := readLine(in)
		if errors.Is(err, errLongLine) {
			return last, fmt.Errorf("%s sent a line of more than %s", c.Process.Title(),
				termtext.Bytes(maxEventBytes))
		}
		if err != nil {
			return last, nil // the last line says whether it was complete
		}
		lines <- line
		last = line
	}
}

var errLongLine = errors.New("too long")

// readLine returns a copy, with its newline.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxEventBytes {
			return nil, errLongLine
		}
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// refused makes an error of an answer that is not 200.
func (c *Client) refused(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	line, _, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
	return c.refusal(resp, string(line))
}

// Vanished is the error of a connection that the process closed: it says so if it has ended.
func (c *Client) Vanished(otherwise string) error {
	if !c.Process.alive() {
		return EndedError{c.Process}
	}
	return fmt.Errorf("%s %s", c.Process.Title(), otherwise)
}
