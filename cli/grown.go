package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What grew since explain last looked at this process.  The last account of
// each lies in a directory of this user's; all of it is best effort: where it
// cannot be kept, there is no growth to show.

const keptPrefix = "account-"

// growth is the difference of two accounts of one process.
type growth struct {
	Since   time.Time     `json:"since"`
	Elapsed time.Duration `json:"elapsed_ns"`
	RSS     int64         `json:"rss_bytes"`
	RSSRate *int64        `json:"rss_bytes_per_hour"` // nil: too short a time
	Owners  []ownerGrowth `json:"owners"`

	last *account
}

type ownerGrowth struct {
	Name  string `json:"name"`
	Bytes *int64 `json:"bytes"` // nil: not known then or now
	Rate  *int64 `json:"bytes_per_hour"`
}

// growthSince is nil without a last account, or where its clock makes no sense.
func growthSince(last, now *account) *growth {
	if last == nil || !last.Time.Before(now.Time) {
		return nil
	}
	g := &growth{Since: last.Time, Elapsed: now.Time.Sub(last.Time), RSS: now.RSS - last.RSS, last: last}
	g.RSSRate = g.perHour(g.RSS)
	for _, o := range now.Owners {
		change := ownerGrowth{Name: o.Name}
		if before := last.owner(o.Name).Bytes; before != nil && o.Bytes != nil {
			n := *o.Bytes - *before
			change.Bytes, change.Rate = &n, g.perHour(n)
		}
		g.Owners = append(g.Owners, change)
	}
	return g
}

// of is what an owner grew by; nil: not known.
func (g *growth) of(name string) *int64 {
	if g == nil {
		return nil
	}
	for _, o := range g.Owners {
		if o.Name == name {
			return o.Bytes
		}
	}
	return nil
}

// accountStore is where this user's last accounts lie; "" nowhere.
type accountStore struct{ dir string }

func openAccountStore() accountStore {
	bases := []string{"/tmp"}
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		bases = []string{runtime, "/tmp"}
	}
	for _, base := range bases {
		dir := filepath.Join(base, fmt.Sprintf("cgoheap-%d", os.Geteuid()))
		if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
			continue
		}
		if isOwnDirectory(dir) {
			return accountStore{dir}
		}
	}
	return accountStore{}
}

// isOwnDirectory: in /tmp somebody else may have made it first, or a link in its place.
func isOwnDirectory(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// path tells processes apart that had the same ID, also across a boot.
func (s accountStore) path(p *process) string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	id, _, _ := strings.Cut(string(boot), "-")
	return filepath.Join(s.dir, fmt.Sprintf("%s%d-%s-%s.json", keptPrefix, p.pid, p.started, strings.TrimSpace(id)))
}

// last is the account kept for this very process; nil: none.
func (s accountStore) last(p *process) *account {
	if s.dir == "" || p.started == "" {
		return nil
	}
	file, err := os.OpenFile(s.path(p), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer file.Close()
	text, err := readBounded(file, maxAccountBytes)
	a := &account{}
	if err != nil || json.Unmarshal(text, a) != nil {
		return nil
	}
	return a
}

func (s accountStore) keep(p *process, body []byte) {
	if s.dir == "" || p.started == "" {
		return
	}
	s.forgetEnded()
	file, err := os.CreateTemp(s.dir, ".account-*") // mode 0600
	if err != nil {
		return
	}
	_, err = file.Write(body)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), s.path(p))
	}
	if err != nil {
		os.Remove(file.Name())
	}
}

// forgetEnded removes what was kept of processes that are no more.
func (s accountStore) forgetEnded() {
	names, _ := filepath.Glob(filepath.Join(s.dir, keptPrefix+"*.json"))
	for _, name := range names {
		fields := strings.Split(strings.TrimPrefix(filepath.Base(name), keptPrefix), "-")
		pid, err := strconv.Atoi(fields[0])
		if err != nil || len(fields) < 2 || startTime(pid) != fields[1] {
			os.Remove(name)
		}
	}
}
