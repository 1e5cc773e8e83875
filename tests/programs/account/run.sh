#!/usr/bin/env bash
# Each program here does something to its memory, asks its own account, and knows what that has to say. A program
# passes when it exits 0 and nothing was said on stderr; a line a case, as tools/test counts them. With names: those
# cases only.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/account
SHIM=${ACCOUNT_SHIM:-$PWD/build/libcgoheap.so}
OUT=${ACCOUNT_OUT:-$PWD/build/account}
CC=${CC:-cc}
LIMIT=120
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
mkdir -p "$OUT"
only=$*

wanted() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }

# compile NAME: the program, only where it is older than its sources.
compile() {
	local src=$HERE/$1.c bin=$OUT/$1
	[ "$bin" -nt "$src" ] && [ "$bin" -nt "$HERE/account.h" ] && [ "$bin" -nt tests/programs/hooks/hooks.h ] && return
	"$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -rdynamic -o "$bin" "$src" -lpthread
}

# run CASE PROGRAM PRELOADS [VAR=VALUE]... [-- ARG...]
run() {
	local name=$1 program=$2 preload=$3 vars=() args=() rc
	shift 3
	wanted "$name" || return 0
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		vars+=("$1")
		shift
	done
	[ $# -gt 0 ] && shift
	args=("$@")
	if ! compile "$program" >"$DIR/err" 2>&1; then
		rc="not compiled"
	else
		timeout -k 5 "$LIMIT" env CGOHEAP_ANY=1 CGOHEAP_SOCKET="$DIR/socket" ACCOUNT_FILE="$DIR/file" "${vars[@]}" \
			LD_PRELOAD="$SHIM$preload" "$OUT/$program" "${args[@]}" >"$DIR/out" 2>"$DIR/err" </dev/null
		rc=$?
	fi
	rm -f "$DIR/file"
	if [ "$rc" = 0 ] && [ ! -s "$DIR/err" ]; then
		echo "ok account/$name"
	else
		echo "not ok account/$name: exit status $rc"
		head -n 20 "$DIR/err" | sed 's/^/    /'
	fi
}

for kind in untouched live retained half_retained arenas big mapped zeros cage file private_file own_file shared raw \
	neighbours bss stacks; do
	run "$kind" kinds "" -- "$kind"
done
# Where the samples are all there are, and where there are none.
run every_block_live kinds "" CGOHEAP_SAMPLE_BYTES=1 -- live
run every_block_half_retained kinds "" CGOHEAP_SAMPLE_BYTES=1 -- half_retained
for kind in live retained big cage neighbours; do
	run "dormant_$kind" kinds "" CGOHEAP_START=dormant -- "$kind"
done
run one_arena kinds "" MALLOC_ARENA_MAX=1 -- arenas
run stuck stuck ""
run many_mappings many ""
run little_memory many "" CGOHEAP_MAX_MEMORY=4MiB

library() { /sbin/ldconfig -p | sed -n "s/^[[:space:]]*$1[^ ]* (.*x86-64.*=> //p" | head -n 1; }

behind() { # behind NAME SONAME [VAR=VALUE]...: told to keep what is freed
	local name=$1 lib
	lib=$(library "$2")
	shift 2
	if [ -n "$lib" ]; then
		run "behind_$name" behind " $lib" CGOHEAP_SAMPLE_BYTES=1 "$@" -- "$name"
	elif wanted "behind_$name"; then
		echo "skip account/behind_$name its library is not installed"
	fi
}
behind jemalloc libjemalloc.so.2 MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1
behind tcmalloc libtcmalloc_minimal.so.4 TCMALLOC_RELEASE_RATE=0
behind mimalloc libmimalloc.so
