package verbs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/fakeshim"
)

func keptFor(t *testing.T, started string) (accountStore, *attach.Process) {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	store := openAccountStore()
	if store.dir == "" {
		t.Fatal("no place to keep accounts")
	}
	return store, &attach.Process{PID: os.Getpid(), Started: started}
}

// look keeps one that is as old, as explain does.
func (s accountStore) look(p *attach.Process, body string) {
	kept, a := s.read(p), parseAccount(body)
	kept.add(a, []byte(body))
	s.keep(p, kept.thinned(a.Time))
}

func TestAccountsAreKeptForOneProcess(t *testing.T) {
	store, p := keptFor(t, attach.StartTime(os.Getpid()))
	if store.read(p).accounts != nil {
		t.Error("an account before the first")
	}
	store.look(p, fakeshim.Account("serve", 2))
	if l := store.read(p); len(l.accounts) != 1 || l.accounts[0].RSS != 941<<20 {
		t.Errorf("%+v", l)
	}
	info, err := os.Stat(store.path(p))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	later := &attach.Process{PID: p.PID, Started: p.Started + "1"}
	if store.read(later).accounts != nil {
		t.Error("the account of a process that had the same ID")
	}
	if store.read(&attach.Process{PID: p.PID}).accounts != nil {
		t.Error("an account though nobody knows when the process started")
	}
	// Those of processes that are no more are cleaned away, others' files never.
	store.look(later, "{}")
	other := filepath.Join(store.dir, "1.sock")
	check0(os.WriteFile(other, nil, 0o600))
	store.look(p, "{}")
	if _, err := os.Stat(store.path(later)); !os.IsNotExist(err) {
		t.Error("kept for a process that does not exist:", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	for _, damaged := range []string{"{ not JSON", `{"looks":[1]}`, `{"looks":[{}` +
		strings.Repeat(",{}", maxLooks) + "]}"} {
		check0(os.WriteFile(store.path(p), []byte(damaged), 0o600))
		if l := store.read(p); l.accounts != nil || l.Bodies != nil {
			t.Errorf("accounts of %s", damaged)
		}
	}
}

// A directory that others can write, and a link in its place, are passed over.
func TestAccountsAreNotKeptWhereOthersWrite(t *testing.T) {
	for name, spoil := range map[string]func(dir string){
		"writable": func(dir string) { check0(os.Mkdir(dir, 0o700)); check0(os.Chmod(dir, 0o777)) },
		"link":     func(dir string) { check0(os.Symlink(t.TempDir(), dir)) },
		"file":     func(dir string) { check0(os.WriteFile(dir, nil, 0o600)) },
	} {
		base := t.TempDir()
		dir := filepath.Join(base, fmt.Sprintf("cgoheap-%d", os.Geteuid()))
		spoil(dir)
		t.Setenv("XDG_RUNTIME_DIR", base)
		if got := openAccountStore().dir; got == dir {
			t.Errorf("%s: it is used", name)
		}
	}
	// And a link in place of the file is not followed.
	store, p := keptFor(t, attach.StartTime(os.Getpid()))
	target := filepath.Join(t.TempDir(), "a.json")
	check0(os.WriteFile(target, []byte(`{"looks":[{}]}`), 0o600))
	check0(os.Symlink(target, store.path(p)))
	if store.read(p).accounts != nil {
		t.Error("a link was followed")
	}
}

// However often somebody looks, after an hour there is an hour's evidence, of few looks.
func TestAnHourOfEvidence(t *testing.T) {
	begin := time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)
	for _, every := range []time.Duration{time.Second, time.Minute, 7 * time.Minute,
		40 * time.Minute, time.Hour, 26 * time.Hour} {
		l := looks{}
		for at := time.Duration(0); at <= 5*time.Hour || at <= 3*every; at += every {
			now := &account.Account{Time: begin.Add(at), RSS: int64(at)}
			last, hour := l.growth(now)
			if (last != nil) != (at > 0) || last != nil && last.Elapsed != every {
				t.Fatalf("every %s, at %s: the last look is %+v", every, at, last)
			}
			if want := at >= time.Hour && every < time.Hour; (hour != nil) != want {
				t.Fatalf("every %s, at %s: an hour's growth is %+v", every, at, hour)
			}
			if hour != nil && (hour.Elapsed < time.Hour || hour.Elapsed > time.Hour+
				max(every, lookSpacing+every) || hour.RSS != int64(hour.Elapsed)) {
				t.Fatalf("every %s, at %s: %+v", every, at, hour)
			}
			l.add(now, nil)
			if l = l.thinned(now.Time); len(l.accounts) > maxLooks ||
				len(l.Bodies) != len(l.accounts) {
				t.Fatalf("every %s, at %s: %d looks are kept", every, at, len(l.accounts))
			}
		}
	}
	// A clock that was set back: what is of later is forgotten.
	l := looks{}
	for _, at := range []time.Duration{0, time.Hour, 2 * time.Hour, 30 * time.Minute} {
		l.add(&account.Account{Time: begin.Add(at)}, nil)
	}
	if len(l.accounts) != 2 || len(l.Bodies) != 2 {
		t.Errorf("%d", len(l.accounts))
	}
}

// The column of the longer window, and what is said of it.
func TestExplainAfterAnHour(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	store, p := openAccountStore(), &attach.Process{PID: s.pid, Started: attach.StartTime(s.pid)}
	store.look(p, fakeshim.Account("serve", 0)) // the first that the shim sends is of an hour later
	store.look(p, strings.Replace(fakeshim.Account("serve", 1), "T01:00", "T00:59", 1))
	r := finish(t, command([]string{"XDG_RUNTIME_DIR=" + dir}, "explain", s.arg())).normal(s)
	for _, want := range []string{
		"\nGROWN is since 00:59, 1m ago; IN 1h since 00:00\n\n",
		"\nOWNER               RESIDENT    SHARE  GROWN      IN 1h\n",
		"\nRSS                901.0 MiB  100.0 %    0 B  +40.0 MiB\n",
		"\nC live grew by 40.0 MiB in 1h (40.0 MiB an hour since 00:00), but not in the " +
			"last 1m, to",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%s\nwant in it\n%s", r.out, want)
		}
	}
	if l := store.read(p); len(l.accounts) != 3 {
		t.Errorf("%d looks are kept", len(l.accounts))
	}
}

func parseAccount(text string) *account.Account {
	a := &account.Account{}
	check0(json.Unmarshal([]byte(text), a))
	return a
}
