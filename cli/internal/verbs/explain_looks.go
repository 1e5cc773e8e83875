package verbs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/verdict"
)

// What grew since explain last looked at this process, and since a look an hour ago: a
// user who looks each minute needs an hour's evidence too.  The accounts are kept in a
// directory of the user's.  All of it is best effort: without them explain shows no growth.

const keptPrefix = "account-"

// accountStore is the directory of this user's last accounts; "": there is none.
type accountStore struct{ dir string }

func openAccountStore() accountStore { return accountStore{attach.OwnDirectory()} }

// path differs for processes that had the same ID, even across reboots.
func (s accountStore) path(p *attach.Process) string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	id, _, _ := strings.Cut(string(boot), "-")
	return filepath.Join(s.dir, fmt.Sprintf("%s%d-%s-%s.json", keptPrefix, p.PID, p.Started,
		strings.TrimSpace(id)))
}

// Of the last evidenceTime, looks that are lookSpacing apart are kept, and the last one; of
// older looks only the youngest, from which an hour's growth is measured.
const (
	lookSpacing  = 5 * time.Minute
	maxLooks     = int(verdict.EvidenceTime/lookSpacing) + 3
	maxKeptBytes = 4 * attach.MaxAccountBytes
)

// looks are the accounts kept of one process, oldest first, as they were sent.
type looks struct {
	Bodies []json.RawMessage `json:"looks"`

	accounts []*account.Account // what Bodies say
}

// add inserts an account by its time.  It drops those that are not older: the clock was set
// back.
func (l *looks) add(a *account.Account, body []byte) {
	at := len(l.accounts)
	for at > 0 && !l.accounts[at-1].Time.Before(a.Time) {
		at--
	}
	l.accounts, l.Bodies = append(l.accounts[:at], a), append(l.Bodies[:at], body)
}

// thinned keeps what later looks need.
func (l *looks) thinned(now time.Time) looks {
	left := looks{}
	oldest := max(0, l.evidence(now))
	for i, a := range l.accounts[oldest:] {
		isLast := oldest+i == len(l.accounts)-1
		if n := len(left.accounts); n > 0 && !isLast &&
			a.Time.Sub(left.accounts[n-1].Time) < lookSpacing {
			continue
		}
		left.add(a, l.Bodies[oldest+i])
	}
	return left
}

// evidence is the index of the youngest that is evidenceTime old; -1: there is none.
func (l *looks) evidence(now time.Time) int {
	for i := len(l.accounts) - 1; i >= 0; i-- {
		if now.Sub(l.accounts[i].Time) >= verdict.EvidenceTime {
			return i
		}
	}
	return -1
}

// growth is measured from the last look, and from the youngest earlier one that is
// evidenceTime old; nil: there is no such look.
func (l *looks) growth(now *account.Account) (last, hour *account.Growth) {
	if n := len(l.accounts); n > 0 {
		last = account.GrowthSince(l.accounts[n-1], now)
		if i := l.evidence(now.Time); last != nil && i >= 0 && i < n-1 {
			hour = account.GrowthSince(l.accounts[i], now)
		}
	}
	return last, hour
}

// read is what was kept of this process, not of another with its ID.
func (s accountStore) read(p *attach.Process) looks {
	l := looks{}
	if s.dir == "" || p.Started == "" {
		return l
	}
	file, err := os.OpenFile(s.path(p), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return l
	}
	defer file.Close()
	text, err := binread.All(file, maxKeptBytes)
	kept := looks{}
	if err != nil || json.Unmarshal(text, &kept) != nil || len(kept.Bodies) > maxLooks {
		return l
	}
	for _, body := range kept.Bodies {
		a := &account.Account{}
		if json.Unmarshal(body, a) != nil {
			return looks{}
		}
		l.add(a, body)
	}
	return l
}

func (s accountStore) keep(p *attach.Process, l looks) {
	if s.dir == "" || p.Started == "" {
		return
	}
	body, err := json.Marshal(l)
	for err == nil && len(body) > maxKeptBytes && len(l.Bodies) > 1 { // the last look matters most
		l.Bodies = l.Bodies[len(l.Bodies)-1:]
		body, err = json.Marshal(l)
	}
	if err != nil {
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

// forgetEnded removes what was kept of processes that have ended.
func (s accountStore) forgetEnded() {
	names, _ := filepath.Glob(filepath.Join(s.dir, keptPrefix+"*.json"))
	for _, name := range names {
		fields := strings.Split(strings.TrimPrefix(filepath.Base(name), keptPrefix), "-")
		pid, err := strconv.Atoi(fields[0])
		if err != nil || len(fields) < 2 || attach.StartTime(pid) != fields[1] {
			os.Remove(name)
		}
	}
}
