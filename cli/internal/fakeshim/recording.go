package fakeshim

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"hash/fnv"

	"cgoheap.example/cli/internal/recordlayout"
)

// Offsets in Recording.
const (
	RecordingAt       = 4096
	RecordingAccounts = RecordingAt + recordlayout.RecordingBytes
	RecordingSlot     = 2048
	RecordingModules  = RecordingAccounts + recordlayout.Accounts*RecordingSlot
	RecordingSeconds  = RecordingModules + 2*recordlayout.ModuleBytes
	recordingBytes    = RecordingSeconds + 4*recordlayout.SecondBytes
)

// labelSet is a record of these texts, each given as its count's byte and itself.
func labelSet(count uint8, texts string) []byte {
	h := fnv.New64a()
	h.Write([]byte(texts))
	d := make([]byte, recordlayout.LabelsetBytes)
	set := recordlayout.Labelset{Hash: h.Sum64(), Bytes: uint16(len(texts)), Count: count}
	recordlayout.Put(d, 0, set)
	return append(d, texts...)
}

// Recording is a small recording: two stacks in one bucket, one of them under labels, one module,
// four seconds, two accounts.
func Recording() []byte {
	d := make([]byte, recordingBytes)
	recordlayout.Put(d, 0, recordlayout.RegionHeader{
		Magic: recordlayout.Magic, Version: recordlayout.Version,
		RegionBytes: recordingBytes, StartRealtimeNs: 1_700_000_000_000_000_000, PID: 4242,
		Arena:        recordlayout.RegionTable{Offset: 1024, Bytes: 1024},
		StackBuckets: recordlayout.RegionTable{Offset: 512, Bytes: 16},
		ArenaUsed:    400, Recording: recordlayout.RegionTable{Offset: RecordingAt},
		Peaks: [2]recordlayout.RegionPeak{
			{Now: 3, Highest: 5020, OtherBytes: 7 << 20, Tick: 75},
			{Now: 9, Highest: 8 << 20, OtherBytes: recordlayout.Unknown, Tick: 90}},
	})
	binary.LittleEndian.PutUint32(d[512:], 1024/8)
	putStack(d, 1024, recordlayout.Stack{Next: 1200 / 8, FirstSite: 1104 / 8}, 0x1001, 0x1002)
	putSite(d, 1104, 1024/8, 100, 11)
	keepAtPeak(d, 1104, recordlayout.PeakC, 3, 5000) // and has freed since
	keepAtPeak(d, 1104, recordlayout.PeakRSS, 8, 99) // of an older peak
	// A value that was cut in the middle of a character, a key of the profile's own, a terminal's
	// escape.
	copy(d[1400:], labelSet(3, "\x04\x82longx\xc3"+"\x06\x03originown"+"\x06\x05tenanta\x1b[1m"))
	putStack(d, 1200, recordlayout.Stack{FirstSite: 1264 / 8, Labels: 1400 / 8}, 0x1001, 0x2003)
	putSite(d, 1264, 1200/8, 10, 3)
	fixed := recordlayout.Recording{AccountBytes: RecordingSlot, ModuleRoom: 2, ModuleCount: 1,
		SecondRoom: 4, SecondCount: 5} // the ring has come round
	copy(fixed.Program[:], "/bin/gone")
	copy(fixed.GoVersion[:], "go1.26.8")
	copy(fixed.GoMemoryLimit[:], "1GiB")
	copy(fixed.MallocArenaMax[:], "2")
	recordlayout.Put(d, RecordingAt, fixed)
	copy(d[RecordingAccounts:], RecordedAccount(8, RecordedAccountBody))
	copy(d[RecordingAccounts+RecordingSlot:], RecordedAccount(7, `{"rss_bytes":7}`))
	m := recordlayout.Module{Start: 0x1000, End: 0x3000,
		Flags: recordlayout.ModuleMain | recordlayout.ModuleHasELF}
	copy(m.BuildID[:], "abcd")
	copy(m.Path[:], "/nowhere/gone")
	recordlayout.Put(d, RecordingModules, m)
	for place, n := range []uint64{4, 1, 2, 3} {
		recordlayout.Put(d, uint64(RecordingSeconds+place*recordlayout.SecondBytes), second(n))
	}
	return d
}

func putStack(d []byte, at uint64, s recordlayout.Stack, frames ...uint64) {
	s.FrameCount = uint16(len(frames))
	recordlayout.Put(d, at, s)
	recordlayout.Put(d, at+recordlayout.StackBytes, frames)
}

func putSite(d []byte, at uint64, stack uint32, size, objects uint64) {
	recordlayout.Put(d, at, recordlayout.Site{Stack: stack, Size: size,
		AllocBytesFx: objects * size << recordlayout.ByteBits,
		FreeBytesFx:  size << recordlayout.ByteBits})
}

// keepAtPeak makes the site keep what it had at the peak with that number.
func keepAtPeak(d []byte, at uint64, peak int, number, bytes uint64) {
	s, _ := recordlayout.Get[recordlayout.Site](d, at)
	s.PeakBytes[peak] = number<<(64-recordlayout.PeakNumberBits) | bytes
	recordlayout.Put(d, at, s)
}

// second is the nth, 20 s after the one before.
func second(n uint64) recordlayout.Second {
	accountTime := recordlayout.Time(RecordedTime - (4-n)*20e9)
	s := recordlayout.Second{Time: accountTime + 800_000_000, AccountTime: accountTime,
		RSS: recordlayout.Figure(n << 20), AllocatorInUse: recordlayout.Figure(n << 16),
		CgroupLimit: recordlayout.Unknown, SampleBytes: 1, UnexplainedPages: 3}
	for owner := range s.OwnerPages {
		s.OwnerPages[owner] = uint32(owner*10 + int(n))
	}
	s.OwnerPages[0] = ^uint32(0)
	return s
}

// RecordedTime is the account's time: 0.8 s before the recording's last second.
const RecordedTime = 1_767_315_600_000_000_000

// RecordedAccountBody is what the library answered then.
var RecordedAccountBody = Account("serve", 1)

// RecordedAccount is a slot with an account in it.
func RecordedAccount(sequence uint64, body string) []byte {
	var w bytes.Buffer
	w.Write(make([]byte, recordlayout.AccountBytes))
	z := gzip.NewWriter(&w)
	z.Write([]byte(body))
	z.Close()
	d := w.Bytes()
	recordlayout.Put(d, 0, recordlayout.Account{
		Bytes: uint32(len(d) - recordlayout.AccountBytes), Sequence: sequence})
	SealAccount(d)
	return d
}

// SealAccount makes the checksum of a slot right where a test has changed the slot.
func SealAccount(slot []byte) {
	a, _ := recordlayout.Get[recordlayout.Account](slot, 0)
	if end := recordlayout.AccountBytes + uint64(a.Bytes); end <= uint64(len(slot)) {
		a.CRC = crc32.ChecksumIEEE(slot[recordlayout.AccountCRCBytes:end])
		recordlayout.Put(slot, 0, a)
	}
}

// SealAccounts does that to both slots, as far as data has them.
func SealAccounts(data []byte) {
	end := min(len(data), RecordingModules)
	for at := RecordingAccounts; at+RecordingSlot <= end; at += RecordingSlot {
		SealAccount(data[at : at+RecordingSlot])
	}
}
