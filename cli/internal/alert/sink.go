package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/termtext"
)

// Sink delivers documents in the background, in order.  Send never waits: while one delivery
// takes its time, a few others wait, and what is more than that is lost and counted.
type Sink struct {
	deliver func(context.Context, *Document) error
	queue   chan *Document
	notes   chan string // a sentence for the user
	pending sync.WaitGroup
	cancel  context.CancelFunc
}

const queueRoom = 32

func newSink(deliver func(context.Context, *Document) error) *Sink {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sink{deliver: deliver, queue: make(chan *Document, queueRoom),
		notes: make(chan string, queueRoom), cancel: cancel}
	go func() {
		for d := range s.queue {
			if err := s.deliver(ctx, d); err != nil {
				s.note(err.Error())
			}
			s.pending.Done()
		}
	}()
	return s
}

func (s *Sink) note(text string) {
	select {
	case s.notes <- text:
	default: // they are for people: the first ones say it
	}
}

// Send puts a document into the queue.
func (s *Sink) Send(d *Document) {
	s.pending.Add(1)
	select {
	case s.queue <- d:
	default:
		s.pending.Done()
		s.note("an alert was lost: " + termtext.CountOf(queueRoom, "is", "are") +
			" waiting to be delivered")
	}
}

// Notes are sentences on deliveries that failed, and what a command printed.
func (s *Sink) Notes() (notes []string) {
	for {
		select {
		case text := <-s.notes:
			notes = append(notes, text)
		default:
			return notes
		}
	}
}

// Close gives deliveries this long, and stops those that are left.
func (s *Sink) Close(patience time.Duration) {
	done := make(chan struct{})
	go func() { s.pending.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
	}
	s.cancel()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// CommandPatience is how long a command may run before it is killed.
const CommandPatience = 30 * time.Second

// Command runs a shell command for each alert: the document on its stdin, the main fields in its
// environment.
func Command(shell string, patience time.Duration) *Sink {
	var s *Sink
	s = newSink(func(ctx context.Context, d *Document) error {
		said, err := runCommand(ctx, exec.Command("/bin/sh", "-c", shell), d, patience)
		if err == nil && said != "" {
			s.note("the alert command says: " + said)
		}
		return err
	})
	return s
}

// Run starts a program for each alert, in place of a shell command.  What it prints last is noted
// after the label.
func Run(patience time.Duration, label, name string, args ...string) *Sink {
	var s *Sink
	s = newSink(func(ctx context.Context, d *Document) error {
		if d.State != Firing {
			return nil
		}
		said, err := runCommand(ctx, exec.Command(name, args...), d, patience)
		if err == nil && said != "" {
			s.note(label + ": " + said)
		}
		return err
	})
	return s
}

const maxSaid = 4096

// said keeps the begin of what a command prints.
type said struct{ bytes.Buffer }

func (s *said) Write(p []byte) (int, error) {
	if room := maxSaid - s.Len(); room > 0 {
		s.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// lastLine says the most where a command failed.
func (s *said) lastLine() string {
	lines := strings.Split(strings.TrimSpace(s.String()), "\n")
	return termtext.Escape(termtext.CutEnd(strings.TrimSpace(lines[len(lines)-1]), 200))
}

func runCommand(
	ctx context.Context, c *exec.Cmd, d *Document, patience time.Duration,
) (string, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	var out said
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(append(body, '\n')), &out, &out
	c.Env = append(os.Environ(), "CGOHEAP_ALERT_STATE="+d.State, "CGOHEAP_ALERT_RULE="+d.Rule,
		"CGOHEAP_ALERT_TEXT="+strings.ReplaceAll(d.Text, "\x00", ""),
		"CGOHEAP_ALERT_HOST="+d.Host, "CGOHEAP_ALERT_PROGRAM="+d.Program,
		fmt.Sprintf("CGOHEAP_ALERT_PID=%d", d.PID))
	// A group, so that what the shell started ends too; not this terminal's.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = time.Second
	if err := c.Start(); err != nil {
		return "", fmt.Errorf("the alert command cannot be started: %s", termtext.Reason(err))
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err = <-ended:
	case <-timer.C:
		killGroup(c, ended)
		return "", fmt.Errorf("the alert command was killed: it took longer than %s",
			termtext.Duration(patience))
	case <-ctx.Done():
		killGroup(c, ended)
		return "", errors.New("the alert command was killed: the watch ends")
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		text := fmt.Sprintf("the alert command failed (%s)", err)
		if line := out.lastLine(); line != "" {
			text += ": " + line
		}
		return "", errors.New(text)
	}
	return out.lastLine(), nil
}

func killGroup(c *exec.Cmd, ended chan error) {
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	<-ended
}

// WebhookURL checks what a user gave.
func WebhookURL(given string) (string, error) {
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", flags.Usagef("a URL such as https://alerts.example.org/hook")
	}
	return given, nil
}

const (
	webhookPatience = 10 * time.Second
	webhookTries    = 8 // the pauses double: two minutes in all, from one second
)

// Webhook posts each document, and tries again while the server does not take it.  firstPause is
// how long after the first failure.
func Webhook(target string, firstPause time.Duration) *Sink {
	client := &http.Client{Timeout: webhookPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	return newSink(func(ctx context.Context, d *Document) error {
		body, err := json.Marshal(d)
		if err != nil {
			return err
		}
		pause := firstPause
		for try := 1; ; try++ {
			again, err := post(ctx, client, target, body)
			if err == nil {
				return nil
			}
			if !again || try == webhookTries || ctx.Err() != nil {
				return fmt.Errorf("the webhook did not take an alert: %s", explainPost(err))
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause *= 2
		}
	})
}

func explainPost(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // its text has the URL, which may have a password or token
		err = wrapped.Err
	}
	return termtext.Escape(termtext.CutEnd(err.Error(), 200))
}

// post says too whether another try may help.
func post(
	ctx context.Context, client *http.Client, target string, body []byte,
) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return true, err
	}
	resp.Body.Close()
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return false, nil
	}
	again = code >= 500 || code == http.StatusRequestTimeout ||
		code == http.StatusTooManyRequests
	return again, fmt.Errorf("it answers %s", resp.Status)
}
