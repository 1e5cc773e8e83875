package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// No run takes longer: what hangs is a failure, and the rest goes on.
const runLimit = 120 * time.Second

// figures are of one run.
type figures struct {
	wallNS, cpuNS float64
	peakKiB       float64 // the largest RSS until the profile is written
	profile       profile
}

// A process is a workload that has done its work and keeps what it has.
type process struct {
	workload workload
	program  string
	command  *exec.Cmd
	dir      string
	in       io.WriteCloser
	out      *bufio.Reader
	ctx      context.Context
}

// run does the workload once. look says whether to look into the profile too, which takes longer.
func run(s setup, w workload, p profiler, n int, look bool) (figures, error) {
	library, lacks := p.library(s)
	if lacks != "" {
		return figures{}, errors.New(lacks)
	}
	dir, err := os.MkdirTemp(s.out, "run-")
	if err != nil {
		return figures{}, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	program := filepath.Join(s.out, "workloads", w.name)
	c := exec.CommandContext(ctx, program, strconv.Itoa(n))
	c.Dir = dir
	c.Env = append(inherited(), p.variables(library, dir)...)
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		return figures{}, err
	}
	defer said.Close()
	c.Stderr = said
	f, err := drive(ctx, &process{workload: w, program: program, command: c, dir: dir}, p, look)
	if err != nil {
		text, _ := os.ReadFile(said.Name())
		return figures{}, fmt.Errorf("%w: %s", err, firstLine(string(text), "it said nothing"))
	}
	return f, nil
}

// drive starts the process, waits for its end of work, takes the profile and lets it exit.
func drive(ctx context.Context, x *process, p profiler, look bool) (f figures, err error) {
	x.ctx = ctx
	if x.in, err = x.command.StdinPipe(); err != nil {
		return f, err
	}
	out, err := x.command.StdoutPipe()
	if err != nil {
		return f, err
	}
	x.out = bufio.NewReader(out)
	if err := x.command.Start(); err != nil {
		return f, err
	}
	defer func() {
		x.in.Close()
		if ended := x.command.Wait(); err == nil && ended != nil {
			err = ended
		}
		if err == nil && p.dump != nil && p.dump.after != nil {
			f.profile, err = p.dump.after(x, look)
		}
	}()
	line, err := x.out.ReadString('\n')
	if err != nil {
		return f, errors.New("it ended before its work")
	}
	if _, err := fmt.Sscanf(line, "done %f %f", &f.wallNS, &f.cpuNS); err != nil {
		return f, fmt.Errorf("it printed %q", line)
	}
	if p.dump != nil && p.dump.live != nil {
		if f.profile, err = p.dump.live(x, look); err != nil {
			return f, err
		}
	}
	f.peakKiB, err = peakKiB(x.command.Process.Pid)
	return f, err
}

// peakKiB is the process's largest RSS so far.
func peakKiB(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
			return kib, nil
		}
	}
	return 0, errors.New("no VmHWM in /proc/PID/status")
}
