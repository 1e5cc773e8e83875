package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"
)

// A profile is what a profiler wrote of one run: its size, and how long it took from the request.
type profile struct {
	bytes, ns float64
	goCaller  string // "yes", "no", or "" where not looked for
}

// A dumper takes the profile of a process that keeps what it has (live), or of one that has ended
// (after). look says whether to look for the Go caller too.
type dumper struct {
	live, after func(x *process, look bool) (profile, error)
}

// The functions of a workload itself: no library and no runtime has a package main.
var callerName = regexp.MustCompile(`(?m)(^|\s)main\.[a-z]`)

// fromSocket asks the library.
func fromSocket(x *process, look bool) (profile, error) {
	client := http.Client{Timeout: runLimit, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(x.dir, "socket"))
		}}}
	began := time.Now()
	answer, err := client.Get("http://cgoheap/debug/pprof/cgoheap")
	if err != nil {
		return profile{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	p := profile{bytes: float64(len(body)), ns: float64(time.Since(began))}
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the library answered %s", answer.Status)
	}
	if err != nil || !look || !x.workload.isGo {
		return p, err
	}
	p.goCaller, err = callerInPprof(body)
	return p, err
}

func callerInPprof(body []byte) (string, error) {
	parsed, err := pprof.Parse(bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	for _, s := range parsed.Sample {
		for _, l := range s.Location {
			for _, line := range l.Line {
				if callerName.MatchString(line.Function.Name) {
					return "yes", nil
				}
			}
		}
	}
	return "no", nil
}

// inProcess asks the allocator that is preloaded, through the workload (work.h), and reads what it
// wrote: the last file of that pattern.
func inProcess(allocator, pattern string) *dumper {
	return &dumper{live: func(x *process, look bool) (profile, error) {
		fmt.Fprintf(x.in, "%s %s\n", allocator,
			filepath.Join(x.dir, strings.TrimSuffix(pattern, ".*.heap")))
		var p profile
		line, err := x.out.ReadString('\n')
		if err != nil {
			return p, errors.New("it ended while it wrote a profile")
		}
		if n, _ := fmt.Sscanf(line, "dumped %f", &p.ns); n != 1 || p.ns < 0 {
			return p, errors.New(allocator + " wrote no profile")
		}
		files, _ := filepath.Glob(filepath.Join(x.dir, pattern))
		if len(files) == 0 {
			return p, errors.New(allocator + " wrote no profile")
		}
		text, err := os.ReadFile(files[len(files)-1])
		p.bytes = float64(len(text))
		if err != nil || !look || !x.workload.isGo {
			return p, err
		}
		p.goCaller, err = callerInAddresses(text, x.program)
		return p, err
	}}
}

// callerInAddresses looks the addresses of stacks up in the program, which is linked at fixed ones:
// these profiles have no names. A stack is what follows an "@".
func callerInAddresses(text []byte, program string) (string, error) {
	file, err := elf.Open(program)
	if err != nil {
		return "", err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return "", err
	}
	var callers []elf.Symbol
	for _, s := range symbols {
		if strings.HasPrefix(s.Name, "main.") && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			callers = append(callers, s)
		}
	}
	for line := range strings.Lines(string(text)) {
		_, stack, _ := strings.Cut(line, "@")
		for _, word := range strings.Fields(stack) {
			address, err := strconv.ParseUint(word, 0, 64)
			if err != nil {
				continue
			}
			for _, c := range callers {
				if address >= c.Value && address < c.Value+c.Size {
					return "yes", nil
				}
			}
		}
	}
	return "no", nil
}

// fromHeaptrack interprets the raw record once the process has ended, as the command heaptrack does
// while it runs, on another core.
func fromHeaptrack(x *process, look bool) (profile, error) {
	if !look {
		return profile{}, nil
	}
	interpret := find("heaptrack/libexec/heaptrack_interpret")
	if interpret == "" {
		return profile{}, errors.New("heaptrack_interpret is not there")
	}
	c := exec.CommandContext(x.ctx, "sh", "-c",
		interpret+" <heaptrack.raw 2>interpret.said | zstd -q -c >heaptrack.zst")
	c.Dir = x.dir
	began := time.Now()
	if said, err := c.CombinedOutput(); err != nil {
		return profile{}, errors.New(firstLine(string(said), err.Error()))
	}
	p := profile{ns: float64(time.Since(began))}
	info, err := os.Stat(filepath.Join(x.dir, "heaptrack.zst"))
	if err != nil {
		return p, err
	}
	p.bytes = float64(info.Size())
	if !x.workload.isGo {
		return p, nil
	}
	text, err := exec.CommandContext(x.ctx, "heaptrack_print", "-f",
		filepath.Join(x.dir, "heaptrack.zst")).Output()
	if err != nil {
		return p, err
	}
	p.goCaller = "no"
	if callerName.Match(text) {
		p.goCaller = "yes"
	}
	return p, nil
}
