package recorder

import (
	"strings"
	"testing"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/recordlayout"
)

func openRecording(
	t *testing.T, change func(d []byte),
) (b *Recording, a *account.Account, body []byte) {
	t.Helper()
	d := fakeshim.Recording()
	change(d)
	b, err := Read(d)
	if err != nil {
		t.Fatal(err)
	}
	a, body = b.AccountBefore()
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
	if c := b.Peaks[recordlayout.PeakC]; c.Bytes == 0 || account.Known(a.Peak.CInUse) != c.Bytes ||
		a.Peak.CInUseAt == nil || !a.Peak.CInUseAt.Equal(c.At) {
		t.Errorf("the account's peak is %+v, the recording's %+v", a.Peak, c)
	}
	// A minute before, in pages: go_heap unknown, go_stacks 11, c_live 31 and so on, and 3
	// unexplained.
	g := b.Grown(a)
	rss := int64(3)
	for owner := 1; owner < len(a.Owners); owner++ {
		rss += int64(10*owner + 1)
	}
	if g == nil || g.Elapsed != time.Minute || g.RSS != 901<<20-rss*4096 ||
		g.Of(account.GoHeap) != nil || account.Known(g.Of(account.CLive)) != 572<<20-31*4096 ||
		g.Last.Unexplained != 3*4096 || account.Known(g.Last.Allocator.InUse) != 1<<16 {
		t.Errorf("%+v", g)
	}
}

// The newer one is taken; where that is torn, the other; what is neither is said.
func TestAccountTorn(t *testing.T) {
	const first = fakeshim.RecordingAccounts
	second := first + fakeshim.RecordingSlot
	broken := fakeshim.RecordedAccount(8, "{}")
	broken[len(broken)-8] ^= 1 // of gzip's own sum
	fakeshim.SealAccount(broken)
	put := func(at int, account []byte) func([]byte) {
		return func(d []byte) { copy(d[at:], account) }
	}
	for why, c := range map[string]struct {
		change func(d []byte)
		rss    int64 // 0: none
		note   string
	}{
		"both are whole":    {func(d []byte) {}, 901 << 20, ""},
		"the second later":  {put(second, fakeshim.RecordedAccount(9, `{"rss_bytes":9}`)), 9, ""},
		"the newer is torn": {func(d []byte) { d[first+300]++ }, 7, ""},
		"its sum is torn":   {func(d []byte) { d[first]++ }, 7, ""},
		"the older is torn": {func(d []byte) { d[second+20]++ }, 901 << 20, ""},
		"both are torn": {func(d []byte) { d[first+100]++; d[second+20]++ }, 0,
			"the account is damaged"},
		"one is written":  {func(d []byte) { clear(d[first:second]) }, 7, ""},
		"none is written": {func(d []byte) { clear(d[first:fakeshim.RecordingModules]) }, 0, ""},
		"whole, and no stream": {put(first, broken), 0,
			"the account is damaged: gzip: invalid checksum"},
		"whole, and no account": {put(first, fakeshim.RecordedAccount(8, "[]")), 0,
			"the account is damaged: json: cannot unmarshal array " +
				"into Go value of type account.Account"},
	} {
		b, a, _ := openRecording(t, c.change)
		if (a == nil) != (c.rss == 0) || a != nil && a.RSS != c.rss {
			t.Errorf("%s: account %+v, want %d", why, a, c.rss)
		}
		if notes := strings.Join(b.Notes, "; "); notes != c.note {
			t.Errorf("%s: it says %q, want %q", why, notes, c.note)
		}
	}
}
