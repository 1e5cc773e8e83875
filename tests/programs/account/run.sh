#!/usr/bin/env bash
# Each program here changes its memory, requests its account, and knows what that must say.
# cases.sh reads SUITE and DEFAULTS.
# shellcheck disable=SC2034
set -u
SUITE=account
. "$(dirname "$0")/../cases.sh"
DEFAULTS=(ACCOUNT_FILE="$DIR/file")

# Compiles the program if it is older than its sources.
compile() {
	local src=$HERE/$1.c bin=$OUT/$1
	rm -f "$DIR/file" # the last case's
	newer "$bin" "$src" "$HERE/account.h" tests/programs/hooks/hooks.h && return
	"$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -rdynamic \
		-o "$bin" "$src" -lpthread -lm || return
	[ ! -f "$HERE/$1_lib.c" ] || "$CC" -std=gnu11 -Wall -Wextra -O1 -g -fno-builtin -fPIC \
		-shared -o "$OUT/lib$1.so" "$HERE/$1_lib.c"
}

for kind in untouched live retained half_retained arenas big mapped zeros cage file \
	private_file private_memfd \
	sbrk sbrk_among_malloc sbrk_past_the_hooks lookalike rings own_file shared raw \
	neighbours bss stacks; do
	run "$kind" kinds "" -- "$kind"
done
# With samples only, and without any.
run every_block_live kinds "" CGOHEAP_SAMPLE_BYTES=1 -- live
run every_block_half_retained kinds "" CGOHEAP_SAMPLE_BYTES=1 -- half_retained
for kind in live retained big cage neighbours; do
	run "dormant_$kind" kinds "" CGOHEAP_START=dormant -- "$kind"
done
for shape in ends below nodes pinned; do
	run "kept_$shape" kept "" -- "$shape"
done
run kept_ends_threshold kept "" MALLOC_TRIM_THRESHOLD_=131072 -- ends
run kept_below_threshold kept "" MALLOC_TRIM_THRESHOLD_=131072 -- below
run kept_below_arena_max kept "" MALLOC_ARENA_MAX=2 -- below
# Each block a sample; samples enough; too few, so that the heap is walked.
for shape in nth nth_threads after aligned few; do
	run "pinned_exact_$shape" pinned "" CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_MAX_MEMORY=256MiB -- \
		"$shape" samples
	run "pinned_samples_$shape" pinned "" CGOHEAP_SAMPLE_BYTES=16384 -- "$shape" samples
done
for shape in nth:131072 nth_threads:524288 after:65536 aligned:131072 few:131072; do
	run "pinned_sizes_${shape%:*}" pinned "" CGOHEAP_SAMPLE_BYTES="${shape#*:}" -- \
		"${shape%:*}" sizes
done
for shape in whole none end; do
	run "pinned_not_$shape" pinned "" CGOHEAP_SAMPLE_BYTES=16384 -- "$shape" samples
done
run one_arena kinds "" MALLOC_ARENA_MAX=1 -- arenas
run stuck stuck ""
run private private ""
run engine engine " $OUT/libengine.so"
run held held " $OUT/libheld.so"
run many_mappings many ""
run sparse sparse ""
run little_memory many "" CGOHEAP_MAX_MEMORY=4MiB
run little_memory_many_blocks kinds "" CGOHEAP_MAX_MEMORY=4MiB CGOHEAP_SAMPLE_BYTES=1 -- live

behind() { # behind NAME SONAME [VAR=VALUE]...: told to keep what is freed
	local name=$1 lib
	lib=$(installed "$2")
	shift 2
	if [ -n "$lib" ]; then
		run "behind_$name" behind " $lib" CGOHEAP_SAMPLE_BYTES=1 "$@" -- "$name"
	elif wanted "behind_$name"; then
		echo "skip account/behind_$name its library is not installed"
	fi
}
behind jemalloc libjemalloc.so.2 MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1
slabs() { # slabs NAME METHOD INTERVAL
	local lib
	lib=$(installed libjemalloc.so.2)
	if [ -n "$lib" ]; then
		run "slabs_$1" slabs " $lib" CGOHEAP_SAMPLE_BYTES="$3" CGOHEAP_MAX_MEMORY=64MiB \
			MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1 -- "$2"
	elif wanted "slabs_$1"; then
		echo "skip account/slabs_$1 its library is not installed"
	fi
}
slabs exact samples 1
slabs samples samples 16384
slabs sizes sizes 524288
behind tcmalloc libtcmalloc_minimal.so.4 TCMALLOC_RELEASE_RATE=0
behind mimalloc libmimalloc.so
