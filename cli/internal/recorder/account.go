package recorder

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"hash/crc32"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/recordlayout"
)

// The account in a recording is what /v1/account would have answered.

// More than this no account has.
const maxAccountBytes = 64 << 20

// readAccounts keeps the newer of the two that is whole.
func (b *Recording) readAccounts(data binread.Image, at, slotBytes uint64) {
	newest, torn := uint64(0), false
	for i := range uint64(recordlayout.Accounts) {
		slot := binread.Image(data.At(at+i*slotBytes, slotBytes))
		head, ok := recordlayout.Get[recordlayout.Account](slot, 0)
		body := slot.At(recordlayout.AccountBytes, uint64(head.Bytes))
		whole := slot.At(0, recordlayout.AccountBytes+uint64(head.Bytes))
		switch {
		case !ok:
			b.note("the accounts are truncated")
			return
		case head == recordlayout.Account{}: // never written
		case body == nil || crc32.ChecksumIEEE(whole[recordlayout.AccountCRCBytes:]) != head.CRC:
			torn = true
		case head.Sequence >= newest:
			newest, b.account = head.Sequence, body
		}
	}
	if torn && b.account == nil {
		b.note("the account is damaged")
	}
}

// AccountBefore is the last account that was written, and its text; nil: there is none.  It is
// older than what is recorded of the peak, so the peak is taken from there.
func (b *Recording) AccountBefore() (*account.Account, []byte) {
	if b.account == nil {
		return nil, nil
	}
	a := &account.Account{}
	z, err := gzip.NewReader(bytes.NewReader(b.account))
	if err == nil {
		var body []byte
		if body, err = binread.All(z, maxAccountBytes); err == nil {
			if err = json.Unmarshal(body, a); err == nil {
				if c := b.Peaks[recordlayout.PeakC]; c.Bytes > 0 {
					a.Peak.CInUse, a.Peak.CInUseAt = &c.Bytes, &c.At
				}
				return a, bytes.TrimSpace(body)
			}
		}
	}
	b.note("the account is damaged: %v", err)
	return nil, nil
}

// accountAt is the account before a second, as far as the second has it; nil: it has none.
// now is the last account, which has the owners' names.
func accountAt(m *recordlayout.Second, now *account.Account) *account.Account {
	if m == nil || m.AccountTime == 0 {
		return nil
	}
	a := &account.Account{Time: m.AccountTime.Time()}
	pages := func(n uint32) *int64 {
		if n == ^uint32(0) {
			return nil
		}
		bytes := int64(n) * recordlayout.PageBytes
		return &bytes
	}
	if n := pages(m.UnexplainedPages); n != nil {
		a.Unexplained = *n
	}
	a.RSS = a.Unexplained
	for i, o := range now.Owners {
		if i == len(m.OwnerPages) {
			break
		}
		bytes := pages(m.OwnerPages[i])
		a.RSS += account.Known(bytes)
		a.Owners = append(a.Owners, account.Owner{Name: o.Name, Bytes: bytes})
	}
	if m.AllocatorInUse.IsKnown() {
		inUse := int64(m.AllocatorInUse)
		a.Allocator.InUse = &inUse
	}
	return a
}

// Grown compares with the account of an hour, ten minutes, a minute or ten seconds before.
func (b *Recording) Grown(now *account.Account) *account.Growth {
	for _, back := range []time.Duration{
		time.Hour, 10 * time.Minute, time.Minute, 10 * time.Second,
	} {
		if before := accountAt(b.Before(back), now); before != nil {
			return account.GrowthSince(before, now)
		}
	}
	return nil
}

// Dropped samples until the end.
func (b *Recording) Dropped() uint64 {
	if last := b.Last(); last != nil {
		return last.Dropped
	}
	return 0
}

// Off is how long sampling was off, as far as the recording goes back.
func (b *Recording) Off() (sum time.Duration) {
	for _, m := range b.Seconds {
		if m.SampleBytes == 0 {
			sum += time.Second
		}
	}
	return sum
}
