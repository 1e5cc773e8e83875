package recordlayout_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"cgoheap/cli/internal/fakeshim"
	"cgoheap/cli/internal/fixture"
	"cgoheap/cli/internal/recordlayout"
)

// What the reader takes for granted is what the C compiler makes of the headers.
func TestLayout(t *testing.T) {
	const program = `
#include <stdio.h>
#include "recorder/recorder.h"
#include "record/labelsets.h"
#include "region/region.h"
#include "record/stacks.h"
#define O(s, f) printf("%s.%s %zu\n", #s, #f, offsetof(struct s, f))
#define S(s) printf("%s %zu\n", #s, sizeof(struct s))
int main(void)
{
	printf("magic %llu\nversion %d\n", (unsigned long long)REGION_MAGIC, REGION_VERSION);
	S(region_header); O(region_header, pid); O(region_header, arena); O(region_header, stack_buckets);
	O(region_header, arena_used); O(region_header, recording); O(region_header, region_bytes);
	O(region_header, start_realtime_ns);
	O(stack, next); O(stack, first_site); O(stack, frame_count); O(stack, labels); O(stack, frames);
	S(labelset); O(labelset, hash); O(labelset, bytes); O(labelset, count); O(labelset, texts);
	S(site); O(site, stack); O(site, next); O(site, size); O(site, origin); O(site, mixed);
	O(site, alloc_objects_turns); O(site, alloc_bytes_turns);
	O(site, alloc_objects_fx); O(site, alloc_bytes_fx); O(site, free_objects_fx); O(site, free_bytes_fx);
	O(recording, modules); O(recording, module_count); O(recording, second_count); O(recording, go_is_1_20);
	O(recording, go_text); O(recording, go_etext); O(recording, go_tables); O(recording, program);
	O(recording, go_version); O(recording, shim_version); O(recording, go_memory_limit); O(recording, malloc_arena_max);
	O(recording, account_bytes); O(recording, account_room); O(recording, accounts);
	S(recording_module); O(recording_module, flags); O(recording_module, build_id); O(recording_module, path);
	S(recording_second); O(recording_second, cgroup_current); O(recording_second, c_live_bytes);
	O(recording_second, thread_stack_bytes); O(recording_second, samples); O(recording_second, sample_bytes);
	O(recording_second, configured_sample_bytes); O(recording_second, allocator_in_use); O(recording_second, allocator_free);
	O(recording_second, allocator_system); O(recording_second, go_heap_in_use); O(recording_second, go_heap_free);
	O(recording_second, go_heap_released); O(recording_second, go_stacks); O(recording_second, account_ns);
	O(recording_second, owner_pages); O(recording_second, unexplained_pages);
	S(recording_account); O(recording_account, bytes); O(recording_account, sequence); O(recording_account, realtime_ns);
	printf("owners %d\ntop %d\nwarnings %d of %d\n", RECORDING_OWNERS, ACCOUNT_TOP, RECORDING_WARNINGS, RECORDING_WARNING_BYTES);
	printf("modules follow %zu\nseconds follow %zu\n", offsetof(struct recording, modules) - sizeof(struct recording_account) * RECORDING_ACCOUNTS,
	       offsetof(struct recording, seconds) - sizeof(struct recording_module) * RECORDING_MODULES -
	       sizeof(struct recording_account) * RECORDING_ACCOUNTS);
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
region_header.recording 168
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
recording.modules %d
recording.module_count 16
recording.second_count 24
recording.go_is_1_20 20
recording.go_text 32
recording.go_etext 40
recording.go_tables 48
recording.program 160
recording.go_version 416
recording.shim_version 480
recording.go_memory_limit 512
recording.malloc_arena_max 544
recording.account_bytes 576
recording.account_room 580
recording.accounts %d
recording_module %d
recording_module.flags 32
recording_module.build_id 40
recording_module.path 112
recording_second %d
recording_second.cgroup_current 48
recording_second.c_live_bytes 64
recording_second.thread_stack_bytes 88
recording_second.samples 96
recording_second.sample_bytes 112
recording_second.configured_sample_bytes 116
recording_second.allocator_in_use 120
recording_second.allocator_free 128
recording_second.allocator_system 136
recording_second.go_heap_in_use 144
recording_second.go_heap_free 152
recording_second.go_heap_released 160
recording_second.go_stacks 168
recording_second.account_ns 176
recording_second.owner_pages 184
recording_second.unexplained_pages 264
recording_account %d
recording_account.bytes 4
recording_account.sequence 8
recording_account.realtime_ns 16
owners %d
top %d
warnings %d of %d
modules follow %d
seconds follow %d
labels %d, text cut %d
object bits 16
byte bits 8
`, uint64(recordlayout.Magic), recordlayout.Version, recordlayout.HeaderBytes, recordlayout.StackBytes, recordlayout.LabelSetBytes, recordlayout.SiteBytes, recordlayout.FixedBytes+2*recordlayout.AccountBytes,
		recordlayout.FixedBytes, recordlayout.ModuleBytes, recordlayout.SecondBytes, recordlayout.AccountBytes, recordlayout.Owners, recordlayout.Top, recordlayout.Warnings, recordlayout.WarningBytes,
		recordlayout.FixedBytes, recordlayout.FixedBytes, recordlayout.MaxLabels, recordlayout.TextCut)
	if got := run(t, "layout", program); string(got) != want {
		t.Errorf("the layout is\n%s\nand the reader has\n%s", got, want)
	}
}

// The same, by the names that the C compiler has for the fields.
const smallAccountInC = `
#include <stdio.h>
#include <string.h>
#include "recorder/recorder.h"
static struct recording_account a;
static uint64_t n;
static uint64_t next(void) { return ++n << 20; }
static void owner(int i, const char *name, uint64_t bytes, int is_known, int is_exact)
{
	struct recording_owner *o = &a.owners[i];
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
	for (int i = 0; i < RECORDING_GO_FIGURES; i++)
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

func TestAccountLayout(t *testing.T) {
	got := run(t, "account", fmt.Sprintf(smallAccountInC, uint64(fakeshim.RecordedTime)))
	fakeshim.SealAccount(got)
	if want := fakeshim.RecordedAccount(8); !bytes.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("%d and %d bytes, and they differ at %d", len(got), len(want), i)
			}
		}
		t.Fatalf("%d bytes, want %d", len(got), len(want))
	}
}

// run is what a program in C prints.
func run(t *testing.T, name, program string) []byte {
	t.Helper()
	got, err := exec.Command(fixture.C(t, name, program, "-std=gnu11", "-D_GNU_SOURCE", "-I../../../shim")).Output()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }
