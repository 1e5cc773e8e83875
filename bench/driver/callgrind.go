package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// callgrind is the program that the command valgrind starts. The command itself would load the
// library too, and heaptrack then takes itself out of what the command starts.
func callgrind() (path, lacks string) {
	if path := find("valgrind/callgrind-amd64-linux"); path != "" {
		return path, ""
	}
	return "", lacking("valgrind")
}

// count is how many instructions the workload takes from its beginning to its end, in all threads
// that run code of its program. The library has a thread too, which works by the clock, and a
// program under callgrind is slow; what it takes is in the processor time.
// Go interrupts a thread by a signal, which callgrind 3.19 does not survive: it is told not to.
func count(s setup, w workload, p profiler, n int) (float64, error) {
	tool, lacks := callgrind()
	if lacks != "" {
		return 0, errors.New(lacks)
	}
	library, lacks := p.library(s)
	if lacks != "" {
		return 0, errors.New(lacks)
	}
	dir, err := os.MkdirTemp(s.out, "run-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	program := filepath.Join(s.out, "workloads", w.name)
	c := exec.CommandContext(ctx, tool, "--tool=callgrind", "--instr-atstart=no",
		"--separate-threads=yes", "--callgrind-out-file=threads", program, strconv.Itoa(n))
	c.Dir = dir
	c.Env = append(inherited(), p.variables(library, dir)...)
	c.Env = append(c.Env, "VALGRIND_LAUNCHER=valgrind", "GODEBUG=asyncpreemptoff=1")
	if said, err := c.CombinedOutput(); err != nil {
		return 0, errors.New("callgrind did not finish: " + lastLine(string(said), err))
	}
	return sumThreads(dir, program)
}

var total = regexp.MustCompile(`(?m)^totals: (\d+)`)

// sumThreads adds up the threads that run the program: callgrind writes a file of each.
func sumThreads(dir, program string) (float64, error) {
	files, _ := filepath.Glob(filepath.Join(dir, "threads-*"))
	sum := 0.0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		found := total.FindSubmatch(text)
		if found == nil || !bytes.Contains(text, []byte(") "+program+"\n")) {
			continue
		}
		n, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	if sum == 0 {
		return 0, errors.New("callgrind counted nothing")
	}
	return sum, nil
}

func lastLine(text string, err error) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}

// A job is one run under callgrind. Counts do not depend on what else the machine does, so as many
// run at a time as there are processors.
type job struct {
	workload workload
	profiler profiler
	n        int
}

// What has not begun by then is left out.
func countAll(s setup, jobs []job, until time.Time, store func(job, float64, error)) {
	var wait sync.WaitGroup
	var lock sync.Mutex
	free := make(chan struct{}, runtime.NumCPU())
	for _, j := range jobs {
		free <- struct{}{}
		if time.Now().After(until) {
			break
		}
		wait.Add(1)
		go func() {
			defer wait.Done()
			n, err := count(s, j.workload, j.profiler, j.n)
			<-free
			lock.Lock()
			defer lock.Unlock()
			store(j, n, err)
		}()
	}
	wait.Wait()
}
