package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cgoheap/cli/internal/holders"
)

// What the reader takes for granted is what the C compiler makes of the headers.
func TestBlackboxLayout(t *testing.T) {
	const program = `
#include <stdio.h>
#include "blackbox.h"
#include "labelsets.h"
#include "region.h"
#include "stacks.h"
#define O(s, f) printf("%s.%s %zu\n", #s, #f, offsetof(struct s, f))
#define S(s) printf("%s %zu\n", #s, sizeof(struct s))
int main(void)
{
	printf("magic %llu\nversion %d\n", (unsigned long long)REGION_MAGIC, REGION_VERSION);
	S(region_header); O(region_header, pid); O(region_header, arena); O(region_header, stack_buckets);
	O(region_header, arena_used); O(region_header, blackbox); O(region_header, region_bytes);
	O(region_header, start_realtime_ns);
	O(stack, next); O(stack, first_site); O(stack, frame_count); O(stack, labels); O(stack, frames);
	S(labelset); O(labelset, hash); O(labelset, bytes); O(labelset, count); O(labelset, texts);
	S(site); O(site, stack); O(site, next); O(site, size); O(site, origin); O(site, mixed);
	O(site, alloc_objects_turns); O(site, alloc_bytes_turns);
	O(site, alloc_objects_fx); O(site, alloc_bytes_fx); O(site, free_objects_fx); O(site, free_bytes_fx);
	O(blackbox, modules); O(blackbox, module_count); O(blackbox, moment_count); O(blackbox, go_is_1_20);
	O(blackbox, go_text); O(blackbox, go_etext); O(blackbox, go_tables); O(blackbox, program);
	O(blackbox, go_version); O(blackbox, shim_version); O(blackbox, go_memory_limit); O(blackbox, malloc_arena_max);
	O(blackbox, account_bytes); O(blackbox, account_room); O(blackbox, accounts);
	S(blackbox_module); O(blackbox_module, flags); O(blackbox_module, build_id); O(blackbox_module, path);
	S(blackbox_moment); O(blackbox_moment, cgroup_current); O(blackbox_moment, c_live_bytes);
	O(blackbox_moment, thread_stack_bytes); O(blackbox_moment, samples); O(blackbox_moment, sample_bytes);
	O(blackbox_moment, configured_sample_bytes); O(blackbox_moment, allocator_in_use); O(blackbox_moment, allocator_free);
	O(blackbox_moment, allocator_system); O(blackbox_moment, go_heap_in_use); O(blackbox_moment, go_heap_free);
	O(blackbox_moment, go_heap_released); O(blackbox_moment, go_stacks); O(blackbox_moment, account_ns);
	O(blackbox_moment, owner_pages); O(blackbox_moment, unexplained_pages);
	S(blackbox_account); O(blackbox_account, bytes); O(blackbox_account, sequence); O(blackbox_account, realtime_ns);
	printf("owners %d\ntop %d\nwarnings %d of %d\n", BLACKBOX_OWNERS, ACCOUNT_TOP, BLACKBOX_WARNINGS, BLACKBOX_WARNING_BYTES);
	printf("modules follow %zu\nmoments follow %zu\n", offsetof(struct blackbox, modules) - sizeof(struct blackbox_account) * BLACKBOX_ACCOUNTS,
	       offsetof(struct blackbox, moments) - sizeof(struct blackbox_module) * BLACKBOX_MODULES -
	       sizeof(struct blackbox_account) * BLACKBOX_ACCOUNTS);
	printf("labels %d, text cut %u\n", GOLABELS_MAX, LABELSET_TEXT_CUT);
	printf("object bits %d\nbyte bits %d\n", WEIGHT_OBJECT_BITS, WEIGHT_BYTE_BITS);
	return 0;
}
`
	want := fmt.Sprintf(`magic %d
version %d
region_header %d
region_header.pid 40
region_header.arena 48
region_header.stack_buckets 64
region_header.arena_used 160
region_header.blackbox 168
region_header.region_bytes 16
region_header.start_realtime_ns 24
stack.next 8
stack.first_site 12
stack.frame_count 20
stack.labels 32
stack.frames %d
labelset %d
labelset.hash 0
labelset.bytes 12
labelset.count 14
labelset.texts 16
site %d
site.stack 0
site.next 4
site.size 8
site.origin 16
site.mixed 18
site.alloc_objects_turns 20
site.alloc_bytes_turns 22
site.alloc_objects_fx 32
site.alloc_bytes_fx 40
site.free_objects_fx 48
site.free_bytes_fx 56
blackbox.modules %d
blackbox.module_count 16
blackbox.moment_count 24
blackbox.go_is_1_20 20
blackbox.go_text 32
blackbox.go_etext 40
blackbox.go_tables 48
blackbox.program 160
blackbox.go_version 416
blackbox.shim_version 480
blackbox.go_memory_limit 512
blackbox.malloc_arena_max 544
blackbox.account_bytes 576
blackbox.account_room 580
blackbox.accounts %d
blackbox_module %d
blackbox_module.flags 32
blackbox_module.build_id 40
blackbox_module.path 112
blackbox_moment %d
blackbox_moment.cgroup_current 48
blackbox_moment.c_live_bytes 64
blackbox_moment.thread_stack_bytes 88
blackbox_moment.samples 96
blackbox_moment.sample_bytes 112
blackbox_moment.configured_sample_bytes 116
blackbox_moment.allocator_in_use 120
blackbox_moment.allocator_free 128
blackbox_moment.allocator_system 136
blackbox_moment.go_heap_in_use 144
blackbox_moment.go_heap_free 152
blackbox_moment.go_heap_released 160
blackbox_moment.go_stacks 168
blackbox_moment.account_ns 176
blackbox_moment.owner_pages 184
blackbox_moment.unexplained_pages 264
blackbox_account %d
blackbox_account.bytes 4
blackbox_account.sequence 8
blackbox_account.realtime_ns 16
owners %d
top %d
warnings %d of %d
modules follow %d
moments follow %d
labels %d, text cut %d
object bits 16
byte bits 8
`, uint64(boxMagic), boxVersion, boxHeaderBytes, boxStackBytes, boxLabelSetBytes, boxSiteBytes, boxFixedBytes+2*boxAccountBytes,
		boxFixedBytes, boxModuleBytes, boxMomentBytes, boxAccountBytes, boxOwners, boxTop, boxWarnings, boxWarningBytes,
		boxFixedBytes, boxFixedBytes, boxMaxLabels, boxTextCut)
	if got := runC(t, program); string(got) != want {
		t.Errorf("the layout is\n%s\nand the reader has\n%s", got, want)
	}
}

// runC is what a program in C prints.
func runC(t *testing.T, program string) []byte {
	t.Helper()
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "program.c"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("cc", "-std=gnu11", "-D_GNU_SOURCE", "-I../shim", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	got, err := exec.Command(binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Where smallBox has what.
const (
	smallBoxAt       = 4096
	smallBoxAccounts = smallBoxAt + boxFixedBytes
	smallBoxModules  = smallBoxAccounts + 2*boxAccountBytes
	smallBoxMoments  = smallBoxModules + 2*boxModuleBytes
	smallBoxBytes    = smallBoxMoments + 4*boxMomentBytes
)

// labelSet is a record of these texts, each given as its count's byte and itself.
func labelSet(count int, texts string) []byte {
	h := fnv.New64a()
	h.Write([]byte(texts))
	d := binary.LittleEndian.AppendUint64(nil, h.Sum64())
	d = binary.LittleEndian.AppendUint32(d, 0)
	d = binary.LittleEndian.AppendUint16(d, uint16(len(texts)))
	return append(append(d, byte(count), 0), texts...)
}

// smallBox is a whole file, small: two stacks in one bucket, one of them under labels, one module, four moments, two
// accounts.
// Totals of years are more than 64 bits of fixed point.
func TestBlackboxTotals(t *testing.T) {
	for _, c := range []struct {
		low   uint64
		turns uint16
		want  int64
	}{
		{5 << 8, 0, 5},
		{1<<63 + 256, 1, 1<<55 + 1},
		{1<<63 + 256, 0, 1<<55 + 1}, // its turn was about to be counted
		{512, 2, 1<<56 + 2},
		{512, 1, 1<<56 + 2},
		{0, 2 * 127, 127 << 56},
		{0, 2 * 128, math.MaxInt64},
	} {
		if got := boxTotal(c.low, c.turns, 8); got != c.want {
			t.Errorf("%#x with %d turns: %d, want %d", c.low, c.turns, got, c.want)
		}
	}
}

func smallBox() []byte {
	d := make([]byte, smallBoxBytes)
	put64 := func(at int, v uint64) { binary.LittleEndian.PutUint64(d[at:], v) }
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(d[at:], v) }
	put64(0, boxMagic)
	put32(8, boxVersion)
	put32(12, boxHeaderBytes)
	put64(16, uint64(len(d)))
	put64(24, 1_700_000_000_000_000_000)
	put32(40, 4242)
	put64(48, 1024) // arena
	put64(56, 1024)
	put64(64, 512) // buckets
	put64(72, 16)
	put64(160, 400) // used
	put64(168, 4096)
	put32(512, 1024/8)
	stack := func(at int, next, site uint32, frames ...uint64) {
		put32(at+8, next)
		put32(at+12, site)
		binary.LittleEndian.PutUint16(d[at+20:], uint16(len(frames)))
		for i, f := range frames {
			put64(at+boxStackBytes+8*i, f)
		}
	}
	site := func(at int, stack, size uint32, objects uint64) {
		put32(at, stack)
		put64(at+8, uint64(size))
		put64(at+32, objects<<16)
		put64(at+40, objects*uint64(size)<<8)
		put64(at+48, 1<<16)
		put64(at+56, uint64(size)<<8)
	}
	stack(1024, 1200/8, 1104/8, 0x1001, 0x1002)
	site(1104, 1024/8, 100, 11)
	stack(1200, 0, 1264/8, 0x1001, 0x2003)
	site(1264, 1200/8, 10, 3)
	put32(1200+32, 1400/8)
	// A value that was cut in the middle of a character, a key of the profile's own, a terminal's escape.
	copy(d[1400:], labelSet(3, "\x04\x82longx\xc3"+"\x06\x03originown"+"\x06\x05tenanta\x1b[1m"))
	b := smallBoxAt
	put32(b, boxModuleBytes)
	put32(b+4, boxMomentBytes)
	put32(b+8, 2)
	put32(b+12, 4)
	put32(b+16, 1)
	put64(b+24, 5) // the ring has come round
	copy(d[b+160:], "/bin/gone")
	copy(d[b+416:], "go1.26.8")
	copy(d[b+512:], "1GiB")
	copy(d[b+544:], "2")
	put32(b+576, boxAccountBytes)
	put32(b+580, 2)
	copy(d[smallBoxAccounts:], smallAccount(8))
	copy(d[smallBoxAccounts+boxAccountBytes:], smallAccount(7))
	m := smallBoxModules
	put64(m, 0x1000)
	put64(m+8, 0x3000)
	put32(m+32, boxModuleMain|boxModuleHasELF)
	copy(d[m+40:], "abcd")
	copy(d[m+112:], "/nowhere/gone")
	for i := 0; i < 4; i++ {
		at := smallBoxMoments + i*boxMomentBytes
		seq := i
		if i == 0 {
			seq = 4
		}
		put64(at, uint64(1_700_000_000+20*seq)*1e9)
		put64(at+8, uint64(seq)<<20)
		put64(at+56, boxUnknown)
		put32(at+112, 1)
		put64(at+120, uint64(seq)<<16)
		put64(at+176, uint64(smallAccountTime+int64(seq-4)*20e9))
		for owner := 0; owner < boxOwners; owner++ {
			put32(at+184+4*owner, uint32(owner*10+seq))
		}
		put32(at+184, ^uint32(0))
		put32(at+264, 3)
	}
	return d
}

func TestBlackboxIsRead(t *testing.T) {
	b, err := readBlackbox(smallBox())
	if err != nil || len(b.notes) != 0 {
		t.Fatal(err, b.notes)
	}
	if b.pid != 4242 || b.program != "/bin/gone" || len(b.modules) != 1 || len(b.moments) != 4 || len(b.stacks) != 2 {
		t.Errorf("%+v", b)
	}
	if last := b.last(); last.RSS != 4<<20 || b.moments[0].RSS != 1<<20 {
		t.Errorf("moments are out of order: %+v", b.moments)
	}
	symbols := newBoxSymbols(b, "")
	if m := symbols.missing(); len(m) != 1 || m[0] != "/nowhere/gone: not there" {
		t.Errorf("missing: %q", m)
	}
	p := b.profile(symbols)
	if err := p.CheckValid(); err != nil {
		t.Error(err)
	}
	for i, want := range []string{"map[origin:[malloc]]",
		`map[label.origin:[own] long:[x...] origin:[malloc] tenant:[a\x1b[1m]]`} {
		if got := fmt.Sprint(p.Sample[i].Label); got != want {
			t.Errorf("sample %d has labels %s, want %s", i, got, want)
		}
	}
	sum, err := holders.Summarize(p, nil)
	if err != nil || sum.Bytes != 1020 || sum.Objects != 12 {
		t.Errorf("%v: %+v", err, sum)
	}
}

// A set that is not whole is none: its samples stay, and a note says so.
func TestBlackboxLabelsDamage(t *testing.T) {
	good := smallBox()
	for at := 1400; at < 1400+16+10; at++ {
		if at >= 1408 && at < 1412 || at == 1415 { // the next set, and whether there were more
			continue
		}
		bad := append([]byte{}, good...)
		bad[at] ^= 1
		b, err := readBlackbox(bad)
		if err != nil || len(b.stacks) != 2 || b.stacks[1].labels != nil || len(b.notes) != 1 {
			t.Errorf("byte %d: %v, %+v, notes %q", at, err, b.stacks, b.notes)
		}
	}
	for _, id := range []uint32{1, 1024/8 - 1, 2048 / 8, 1<<32 - 1} {
		bad := append([]byte{}, good...)
		binary.LittleEndian.PutUint32(bad[1200+32:], id)
		if b, err := readBlackbox(bad); err != nil || len(b.stacks) != 2 || b.stacks[1].labels != nil || len(b.notes) != 1 {
			t.Errorf("id %d: %v, %+v", id, err, b)
		}
	}
}

func writeBox(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.cgoheap")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func autopsyOf(t *testing.T, data []byte) (int, string, string) {
	t.Helper()
	path := writeBox(t, data)
	var out, errs strings.Builder
	code := execute(stdio{out: &out, err: &errs}, []string{"autopsy", path})
	return code, out.String(), strings.ReplaceAll(errs.String(), path, "FILE")
}

func TestAutopsySaysWhatIsWrong(t *testing.T) {
	good := smallBox()
	old := append([]byte{}, good...)
	old[8] = 9
	for want, data := range map[string][]byte{
		"cgoheap: FILE: it is empty: the process ended before it had written anything\n":                                      nil,
		"cgoheap: FILE: it is not a flight recorder of cgoheap\n":                                                             []byte("hello"),
		"cgoheap: FILE: its format is version 9, and this cgoheap dev reads version 4: use the cgoheap of the same release\n": old,
		"cgoheap: FILE: it is cut off after 100 bytes, in the middle of its header\n":                                         good[:100],
	} {
		if code, out, errs := autopsyOf(t, data); code != 1 || out != "" || errs != want {
			t.Errorf("%d %q %q, want %q", code, out, errs, want)
		}
	}
	code, out, errs := autopsyOf(t, good[:2000])
	if code != 0 || !strings.Contains(out, "unknown program (4242)") || !strings.Contains(errs, fmt.Sprintf("2000 of %d bytes", len(good))) {
		t.Errorf("%d %q %q", code, out, errs)
	}
	// What is cut off is not known: it is not none.
	for _, want := range []string{"  Go unknown  ", "; its figures are missing from the file\n"} {
		if !strings.Contains(out, want) || strings.Contains(out, "(C thread)") {
			t.Errorf("%q, want %q", out, want)
		}
	}
}

// Wherever a file is cut and whatever bit is flipped, there is an answer.
func TestBlackboxDamage(t *testing.T) {
	good, plain := smallBox(), smallBox()
	clear(plain[smallBoxAccounts:smallBoxModules]) // quicker, where the account is none's concern
	read := func(data []byte) {
		if b, err := readBlackbox(data); err == nil {
			examineBox(t, b)
		}
	}
	flip := func(from []byte, i int, value byte, seal bool) {
		bad := append([]byte{}, from...)
		bad[i] = value
		if seal {
			sealAccounts(bad)
		}
		read(bad)
	}
	for n := range good {
		read(plain[:n])
		if n%64 == 0 {
			read(good[:n])
		}
	}
	for i := range good {
		switch {
		case i < smallBoxAccounts || i >= smallBoxModules && i < smallBoxMoments:
			for _, value := range []byte{0xff, good[i] ^ 1, good[i] ^ 0x80} {
				flip(plain, i, value, false)
			}
		case i < smallBoxAccounts+boxAccountBytes || i >= smallBoxMoments:
			flip(good, i, 0xff, true)
			flip(good, i, good[i]^0x81, true)
		default: // in the older account: all that matters is whether it is whole
		}
	}
}

func examineBox(t *testing.T, b *blackbox) {
	symbols := newBoxSymbols(b, "")
	p := b.profile(symbols)
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	sum, err := holders.Summarize(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	found := &postmortem{sum: sum, symbols: symbols, explained: b.explanation(symbols, nil, "FILE", false)}
	b.print(stdio{out: &out, err: &errs}, found, 20)
	if err := b.writeJSON(stdio{out: io.Discard}, found, 20); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsRune(out.String()+errs.String(), '\x1b') {
		t.Fatal("an escape reaches the terminal")
	}
}

func FuzzBlackbox(f *testing.F) {
	f.Add(smallBox())
	f.Add(smallBox()[:2000])
	f.Add(smallBox()[:smallBoxModules-100])
	f.Fuzz(func(t *testing.T, given []byte) {
		data := bytes.Clone(given)
		sealAccounts(data)
		b, err := readBlackbox(data)
		if err != nil {
			return
		}
		for i := range b.modules { // no files of this machine
			b.modules[i].path = "[x]"
		}
		examineBox(t, b)
	})
}
