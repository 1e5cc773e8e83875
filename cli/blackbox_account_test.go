package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"cgoheap/cli/internal/account"
	"cgoheap/cli/internal/document"
)

const smallAccountTime = 1_700_000_079_200_000_000 // 0.8 s before smallBox's last moment

// smallAccount has another figure in nearly every field: so many MiB as it comes in order.
func smallAccount(sequence uint64) []byte {
	var w bytes.Buffer
	n := uint64(0)
	put := func(values ...any) {
		for _, v := range values {
			check0(binary.Write(&w, binary.LittleEndian, v))
		}
	}
	figures := func(count int) {
		for i := 0; i < count; i++ {
			n++
			put(n << 20)
		}
	}
	text := func(s string, size int) { w.Write(append([]byte(s), make([]byte, size-len(s))...)) }
	put(uint32(0), uint32(boxAccountBytes), sequence, uint64(smallAccountTime))
	put(uint64(12_000_000), uint64(400<<20), uint64(2<<20)) // took_ns, rss, unexplained
	figures(2)
	put(uint64(985))
	figures(4)
	figures(6)
	text("glibc", 32)
	figures(6)
	text("runtime.gcController", 32)
	put(uint64(77), boxUnknown) // metadata, memory_limit
	for i := uint64(0); i < boxGoFigures; i++ {
		switch {
		case i == boxGoLive:
			put(uint64(600))
		case i == boxGoLastGC:
			put(uint64(smallAccountTime))
		case i > boxGoLastGC:
			put(boxUnknown)
		default:
			put(1000 + i)
		}
	}
	figures(9)
	put(boxUnknown)
	put(uint64(2))
	figures(6)
	text("/a.slice/b", 256)
	owners := []struct {
		name             string
		bytes            uint64
		isKnown, isExact uint32
	}{{account.GoHeap, 80 << 20, 1, 1}, {account.GoStacks, 0, 0, 1}, {account.CLive, 300 << 20, 1, 0}, {"later", 18 << 20, 1, 1}}
	put(uint32(len(owners)), uint32(2))
	for _, o := range owners {
		text(o.name, boxOwnerNameBytes)
		put(o.bytes)
		figures(4)
		put(o.isKnown, o.isExact)
	}
	text("", (boxOwners-len(owners))*72)
	put(uint64(1264/8), uint64(5<<20), uint64(6<<20))
	put(uint64(0), uint64(3<<20), uint64(4<<20))
	text("", (boxTop-2)*24)
	text("first", boxWarningBytes)
	text("second", boxWarningBytes)
	text("", (boxWarnings-2)*boxWarningBytes)
	put(uint64(6000), uint64(48000<<20)) // stacks of ended threads
	sealAccount(w.Bytes())
	return w.Bytes()
}

func sealAccount(slot []byte) {
	binary.LittleEndian.PutUint32(slot, crc32.ChecksumIEEE(slot[boxAccountCRCBytes:]))
}

// sealAccounts makes what a test has changed in them pass for whole.
func sealAccounts(data []byte) {
	for i := 0; i < 2; i++ {
		if at := smallBoxAccounts + i*boxAccountBytes; at+boxAccountBytes <= len(data) {
			sealAccount(data[at : at+boxAccountBytes])
		}
	}
}

// The same, by the names that the C compiler has for the fields.
const smallAccountInC = `
#include <stdio.h>
#include <string.h>
#include "blackbox.h"
static struct blackbox_account a;
static uint64_t n;
static uint64_t next(void) { return ++n << 20; }
static void owner(int i, const char *name, uint64_t bytes, int is_known, int is_exact)
{
	struct blackbox_owner *o = &a.owners[i];
	strcpy(o->name, name);
	o->resident = bytes << 20;
	o->huge = next(), o->lazy_free = next(), o->swapped = next(), o->mapped = next();
	o->is_known = is_known, o->is_exact = is_exact;
}
int main(void)
{
	a.bytes = sizeof a, a.sequence = 8, a.realtime_ns = %dull, a.took_ns = 12000000;
	a.rss = 400 << 20, a.unexplained = 2 << 20;
	a.c_live_estimate = next(), a.c_live_estimate_error = next(), a.c_resident_permille = 985;
	a.sample_bytes = next(), a.mappings = next(), a.split_mappings = next(), a.thread_stacks = next();
	a.allocator.in_use = next(), a.allocator.free = next(), a.allocator.mapped = next();
	a.allocator.system = next(), a.allocator.arenas = next(), a.allocator.nanoseconds = next();
	strcpy(a.allocator.name, "glibc");
	a.go.heap_in_use = next(), a.go.heap_free = next(), a.go.heap_released = next(), a.go.stacks = next();
	a.go.mapped_ready = next(), a.go.total_alloc = next();
	strcpy(a.go.source, "runtime.gcController");
	a.go.metadata = 77, a.go.memory_limit = UINT64_MAX;
	for (int i = 0; i < BLACKBOX_GO_FIGURES; i++)
		a.go.runtime[i] = i < CGOHEAP_GO_FIGURES ? 1000 + i : UINT64_MAX;
	a.go.runtime[CGOHEAP_GO_HEAP_LIVE] = 600, a.go.runtime[CGOHEAP_GO_LAST_GC] = a.realtime_ns;
	a.process.rss = next(), a.process.anon = next(), a.process.file = next(), a.process.shmem = next();
	a.process.data = next(), a.process.stk = next(), a.process.size = next(), a.process.swap = next();
	a.process.hwm = next(), a.process.threads = UINT64_MAX;
	a.cgroup.version = 2, a.cgroup.current = next(), a.cgroup.limit = next(), a.cgroup.anon = next();
	a.cgroup.file = next(), a.cgroup.kernel = next(), a.cgroup.swap = next();
	strcpy(a.cgroup.path, "/a.slice/b");
	a.owner_count = 4, a.top_count = 2;
	owner(0, "go_heap", 80, 1, 1), owner(1, "go_stacks", 0, 0, 1), owner(2, "c_live", 300, 1, 0), owner(3, "later", 18, 1, 1);
	a.top[0].site = 1264 / 8, a.top[0].resident = 5 << 20, a.top[0].mapped = 6 << 20;
	a.top[1].resident = 3 << 20, a.top[1].mapped = 4 << 20;
	strcpy(a.warnings[0], "first"), strcpy(a.warnings[1], "second");
	a.ended_stacks = 6000, a.ended_stacks_bytes = 48000ull << 20;
	fwrite(&a, sizeof a, 1, stdout);
	return 0;
}
`

func TestBlackboxAccountLayout(t *testing.T) {
	got := runC(t, fmt.Sprintf(smallAccountInC, uint64(smallAccountTime)))
	sealAccount(got)
	if want := smallAccount(8); !bytes.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("%d and %d bytes, and they differ at %d", len(got), len(want), i)
			}
		}
		t.Fatalf("%d bytes, want %d", len(got), len(want))
	}
}

func openSmallBox(t *testing.T, change func(d []byte)) (*blackbox, *explanation) {
	t.Helper()
	d := smallBox()
	change(d)
	b, err := readBlackbox(d)
	if err != nil {
		t.Fatal(err)
	}
	return b, b.explanation(newBoxSymbols(b, ""), nil, "/a b.cgoheap", false)
}

const smallAccountBody = `{"rss_bytes":419430400,"owners":[` +
	`{"name":"go_heap","bytes":83886080,"exact":true,"huge_bytes":35651584,"lazy_free_bytes":36700160,"swap_bytes":37748736,"mapped_bytes":38797312},` +
	`{"name":"go_stacks","bytes":null,"exact":true,"huge_bytes":null,"lazy_free_bytes":null,"swap_bytes":null,"mapped_bytes":null},` +
	`{"name":"c_live","bytes":314572800,"exact":false,"huge_bytes":44040192,"lazy_free_bytes":45088768,"swap_bytes":46137344,"mapped_bytes":47185920},` +
	`{"name":"later","bytes":18874368,"exact":true,"huge_bytes":48234496,"lazy_free_bytes":49283072,"swap_bytes":50331648,"mapped_bytes":51380224}],` +
	`"unexplained_bytes":2097152,"took_ns":12000000,"time":"2023-11-14T22:14:39.2Z",` +
	`"allocator":{"name":"glibc","in_use_bytes":7340032,"free_bytes":8388608,"mapped_bytes":9437184,"system_bytes":10485760,"arenas":11534336,"nanoseconds":12582912},` +
	`"c_live_estimate":{"bytes":1048576,"standard_error_bytes":2097152,"sample_bytes":3145728},"c_blocks_resident_ratio":0.985,` +
	`"go":{"source":"runtime.gcController","heap_in_use_bytes":13631488,"heap_free_bytes":14680064,"heap_released_bytes":15728640,` +
	`"stacks_bytes":16777216,"mapped_ready_bytes":17825792,"total_alloc_bytes":18874368,"metadata_bytes":77,` +
	`"heap_objects_bytes":1001,"heap_live_bytes":600,"heap_dead_or_new_bytes":401,"heap_unused_bytes":1004,"gc_goal_bytes":1015,` +
	`"memory_limit_bytes":null,"goroutines":1018,"last_gc_time":"2023-11-14T22:14:39.2Z","runtime_metrics":{` +
	`"/memory/classes/heap/free:bytes":1000,"/memory/classes/heap/objects:bytes":1001,"/memory/classes/heap/released:bytes":1002,` +
	`"/memory/classes/heap/stacks:bytes":1003,"/memory/classes/heap/unused:bytes":1004,"/memory/classes/metadata/mcache/free:bytes":1005,` +
	`"/memory/classes/metadata/mcache/inuse:bytes":1006,"/memory/classes/metadata/mspan/free:bytes":1007,` +
	`"/memory/classes/metadata/mspan/inuse:bytes":1008,"/memory/classes/metadata/other:bytes":1009,"/memory/classes/os-stacks:bytes":1010,` +
	`"/memory/classes/other:bytes":1011,"/memory/classes/profiling/buckets:bytes":1012,"/memory/classes/total:bytes":1013,` +
	`"/gc/heap/live:bytes":600,"/gc/heap/goal:bytes":1015,"/gc/heap/allocs:bytes":1016,"/gc/gomemlimit:bytes":1017,` +
	`"/sched/goroutines:goroutines":1018}},` +
	`"process":{"vm_rss_bytes":19922944,"rss_anon_bytes":20971520,"rss_file_bytes":22020096,"rss_shmem_bytes":23068672,"vm_data_bytes":24117248,` +
	`"vm_stk_bytes":25165824,"vm_size_bytes":26214400,"vm_swap_bytes":27262976,"vm_hwm_bytes":28311552,"threads":null},` +
	`"cgroup":{"version":2,"path":"/a.slice/b","current_bytes":29360128,"limit_bytes":30408704,"anon_bytes":31457280,"file_bytes":32505856,` +
	`"kernel_bytes":33554432,"swap_bytes":34603008},"mappings":4194304,"split_mappings":5242880,"thread_stacks":6291456,"thread_stacks_ended":6000,"thread_stacks_ended_bytes":50331648000,` +
	`"c_mmap_top":[{"bytes":5242880,"mapped_bytes":6291456,"frames":["gone+0x0","gone+0x1002"]},{"bytes":3145728,"mapped_bytes":4194304,"frames":[]}],"mapped_top":[],` +
	`"warnings":["first","second"]}`

func TestBlackboxAccountIsRead(t *testing.T) {
	b, e := openSmallBox(t, func([]byte) {})
	if e == nil || len(b.notes) != 0 {
		t.Fatalf("%+v %q", e, b.notes)
	}
	if got := string(e.body); got != smallAccountBody {
		t.Errorf("%s\nwant\n%s", got, smallAccountBody)
	}
	if b.environment["GOMEMLIMIT"] != "1GiB" || b.environment["MALLOC_ARENA_MAX"] != "2" {
		t.Errorf("%q", b.environment)
	}
	// A minute before, in pages: go_heap unknown, go_stacks 11, c_live 21, the next 31, and 3 unexplained.
	g := e.grown
	if g == nil || g.Elapsed != time.Minute || g.Of(account.GoHeap) != nil || account.Known(g.Of(account.CLive)) != 300<<20-21*4096 ||
		account.Known(g.Of("later")) != 18<<20-31*4096 || g.Last.Unexplained != 3*4096 || g.RSS != 400<<20-(11+21+31+3)*4096 ||
		account.Known(g.Last.Allocator.InUse) != 1<<16 {
		t.Errorf("%+v", g)
	}
}

// The newer one is taken; where that is torn, the other; what is neither is said.
func TestBlackboxAccountTorn(t *testing.T) {
	second := smallBoxAccounts + boxAccountBytes
	for why, c := range map[string]struct {
		change   func(d []byte)
		sequence uint64 // 0: none
		note     string
	}{
		"both are whole":    {func(d []byte) {}, 8, ""},
		"the second later":  {func(d []byte) { copy(d[second:], smallAccount(9)) }, 9, ""},
		"the newer is torn": {func(d []byte) { d[smallBoxAccounts+3000]++ }, 7, ""},
		"its sum is torn":   {func(d []byte) { d[smallBoxAccounts]++ }, 7, ""},
		"the older is torn": {func(d []byte) { d[second+100]++ }, 8, ""},
		"both are torn":     {func(d []byte) { d[smallBoxAccounts+100]++; d[second+100]++ }, 0, "the account is damaged"},
		"one is written": {func(d []byte) {
			clear(d[smallBoxAccounts:second])
		}, 7, ""},
		"none is written": {func(d []byte) { clear(d[smallBoxAccounts:smallBoxModules]) }, 0, ""},
		"another size":    {func(d []byte) { d[smallBoxAt+576]++ }, 0, "accounts have a size this cgoheap dev does not know"},
	} {
		b, e := openSmallBox(t, c.change)
		got := uint64(0)
		if b.account != nil {
			got = b.account.U64(8)
		}
		if got != c.sequence || (e == nil) != (c.sequence == 0) {
			t.Errorf("%s: account %d, want %d", why, got, c.sequence)
		}
		if notes := strings.Join(b.notes, "; "); notes != c.note {
			t.Errorf("%s: it says %q, want %q", why, notes, c.note)
		}
	}
}

func TestAutopsyShowsTheAccount(t *testing.T) {
	code, out, errs := autopsyOf(t, smallBox())
	if code != 0 {
		t.Fatal(code, errs)
	}
	for _, want := range []string{
		"What its memory was made of, 0.8 s before the last figures; GROWN is in the last 1m\n",
		"\nC live            ~300.0 MiB   75.0 %  +299.9 MiB\n  in use 7.0 MiB, glibc says; ~1.0 MiB by samples (standard error 2.0 MiB)\n",
		"\nRSS                400.0 MiB  100.0 %  +399.7 MiB\n",
		"\nnote: first\nnote: second\n",
		"If that\nwas at a steady load, it is a leak: the table of C memory shows who held it, and\n`cgoheap autopsy ",
		"cgroup v2 /a.slice/b: memory.current 28.0 MiB, limit 29.0 MiB;",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
}

// Without an account there are the last figures, unknown where they are.
func TestAutopsyWithoutAnAccount(t *testing.T) {
	d := smallBox()
	clear(d[smallBoxAccounts:smallBoxModules])
	last := smallBoxMoments
	binary.LittleEndian.PutUint64(d[last+144:], 3<<20)
	binary.LittleEndian.PutUint64(d[last+168:], boxUnknown)
	code, out, errs := autopsyOf(t, d)
	want := "what its memory was made of is not known: no account was written before the end\n" +
		"the C allocator says: in use 256.0 KiB, free 0 B, of 0 B from the system\n" +
		"Go says: heap in use 3.0 MiB, free 0 B, released 0 B; stacks unknown\n"
	if code != 0 || !strings.Contains(out, want) || strings.Contains(out, "OWNER") {
		t.Errorf("%d %s\n%s\nwant\n%s", code, errs, out, want)
	}
}

func TestAutopsyJSONHasTheAccount(t *testing.T) {
	d := smallBox()
	binary.LittleEndian.PutUint64(d[smallBoxMoments+128:], boxUnknown)
	var out strings.Builder
	if code := execute(stdio{out: &out, err: &out}, []string{"autopsy", "--json", writeBox(t, d)}); code != 0 {
		t.Fatal(code, out.String())
	}
	var got struct {
		Account json.RawMessage
		Moments []momentJSON
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	o, err := document.ParseObject(got.Account)
	if err != nil || len(o) < 3 || o[len(o)-2].Key != "grown" || o[len(o)-1].Key != "verdict" || !strings.Contains(string(o[len(o)-1].Value), "c_live_grows") {
		t.Fatalf("%v: %s", err, got.Account)
	}
	o = o[:len(o)-2]
	if text, err := json.Marshal(o); err != nil || string(text) != smallAccountBody {
		t.Errorf("%v: %s\nwant\n%s", err, text, smallAccountBody)
	}
	if m := got.Moments[len(got.Moments)-1]; m.AllocatorInUse == nil || *m.AllocatorInUse != 4<<16 || m.AllocatorFree != nil {
		t.Errorf("the last moment: %+v", m)
	}
}
