package recorder

import (
	"strings"
	"testing"
	"time"

	"cgoheap/cli/internal/account"
	"cgoheap/cli/internal/fakeshim"
	"cgoheap/cli/internal/recordlayout"
)

func openRecording(t *testing.T, change func(d []byte)) (b *Recording, a *account.Account, body []byte) {
	t.Helper()
	d := fakeshim.Recording()
	change(d)
	b, err := Read(d)
	if err != nil {
		t.Fatal(err)
	}
	a, body = b.AccountBefore(FindNames(b, ""))
	return b, a, body
}

func TestAccountIsRead(t *testing.T) {
	b, a, body := openRecording(t, func([]byte) {})
	if a == nil || len(b.Notes) != 0 {
		t.Fatalf("%+v %q", a, b.Notes)
	}
	if got := string(body); got != fakeshim.RecordedAccountBody {
		t.Errorf("%s\nwant\n%s", got, fakeshim.RecordedAccountBody)
	}
	if b.Environment["GOMEMLIMIT"] != "1GiB" || b.Environment["MALLOC_ARENA_MAX"] != "2" {
		t.Errorf("%q", b.Environment)
	}
	// A minute before, in pages: go_heap unknown, go_stacks 11, c_live 21, the next 31, and 3 unexplained.
	g := b.Grown(a)
	if g == nil || g.Elapsed != time.Minute || g.Of(account.GoHeap) != nil || account.Known(g.Of(account.CLive)) != 300<<20-21*4096 ||
		account.Known(g.Of("later")) != 18<<20-31*4096 || g.Last.Unexplained != 3*4096 || g.RSS != 400<<20-(11+21+31+3)*4096 ||
		account.Known(g.Last.Allocator.InUse) != 1<<16 {
		t.Errorf("%+v", g)
	}
}

// The newer one is taken; where that is torn, the other; what is neither is said.
func TestAccountTorn(t *testing.T) {
	second := fakeshim.RecordingAccounts + recordlayout.AccountBytes
	for why, c := range map[string]struct {
		change   func(d []byte)
		sequence uint64 // 0: none
		note     string
	}{
		"both are whole":    {func(d []byte) {}, 8, ""},
		"the second later":  {func(d []byte) { copy(d[second:], fakeshim.RecordedAccount(9)) }, 9, ""},
		"the newer is torn": {func(d []byte) { d[fakeshim.RecordingAccounts+3000]++ }, 7, ""},
		"its sum is torn":   {func(d []byte) { d[fakeshim.RecordingAccounts]++ }, 7, ""},
		"the older is torn": {func(d []byte) { d[second+100]++ }, 8, ""},
		"both are torn":     {func(d []byte) { d[fakeshim.RecordingAccounts+100]++; d[second+100]++ }, 0, "the account is damaged"},
		"one is written": {func(d []byte) {
			clear(d[fakeshim.RecordingAccounts:second])
		}, 7, ""},
		"none is written": {func(d []byte) { clear(d[fakeshim.RecordingAccounts:fakeshim.RecordingModules]) }, 0, ""},
		"another size":    {func(d []byte) { d[fakeshim.RecordingAt+576]++ }, 0, "accounts have a size this cgoheap dev does not know"},
	} {
		b, a, _ := openRecording(t, c.change)
		got := uint64(0)
		if b.account != nil {
			got = b.account.U64(8)
		}
		if got != c.sequence || (a == nil) != (c.sequence == 0) {
			t.Errorf("%s: account %d, want %d", why, got, c.sequence)
		}
		if notes := strings.Join(b.Notes, "; "); notes != c.note {
			t.Errorf("%s: it says %q, want %q", why, notes, c.note)
		}
	}
}
