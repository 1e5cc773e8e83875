#!/usr/bin/env bash
# Runs each program here under the shim. A program passes when it exits 0 and nothing was said on stderr; a line a case,
# as tools/test counts them. With names: those cases only.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/mappings
SHIM=${MAPPINGS_SHIM:-$PWD/build/libcgoheap.so}
OUT=${MAPPINGS_OUT:-$PWD/build/mappings}
CC=${CC:-cc} GO=${GO:-go}
LIMIT=120
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
mkdir -p "$OUT"
only=$*

wanted() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }

# compile NAME: the program, only where it is older than its sources.
compile() {
	local src=$HERE/$1.c bin=$OUT/$1
	if [ -d "$HERE/$1" ]; then
		(cd "$HERE/$1" && "$GO" build -o "$OUT/$1" .)
		return
	fi
	[ "$bin" -nt "$src" ] && [ "$bin" -nt "$HERE/mappings.h" ] && [ "$bin" -nt "$HERE/../hooks/hooks.h" ] && return
	"$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-optimize-sibling-calls -rdynamic -o "$bin" "$src" -lpthread
}

verdict() { # verdict NAME RC STDERR
	if [ "$2" = 0 ] && [ ! -s "$3" ]; then
		echo "ok mappings/$1"
	else
		echo "not ok mappings/$1: exit status $2"
		head -n 40 "$3" | sed 's/^/    /'
	fi
}

# run CASE PROGRAM PRELOADS [VAR=VALUE]... [-- ARG...]
run() {
	local name=$1 program=$2 preload=$3 vars=()
	shift 3
	wanted "$name" || return 0
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		vars+=("$1")
		shift
	done
	[ $# -gt 0 ] && shift
	if ! compile "$program" >"$DIR/err" 2>&1; then
		verdict "$name" "not compiled" "$DIR/err"
		return
	fi
	timeout -k 5 "$LIMIT" env CGOHEAP_ANY=1 CGOHEAP_SOCKET="$DIR/$name.sock" "${vars[@]}" LD_PRELOAD="$SHIM$preload" \
		"$OUT/$program" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null
	verdict "$name" $? "$DIR/err"
}

run pieces pieces ""
run pieces_while_dormant pieces "" CGOHEAP_START=dormant
run cage cage ""
run stacks stacks ""
run random random ""
run signals signals "" CGOHEAP_SAMPLE_BYTES=1
run children children ""
run many many ""
# A ledger of 256 KiB has room for 5,460 ranges; one that is free stands between each two.
run many_in_little_memory many "" CGOHEAP_MAX_MEMORY=4MiB -- 5460
run go go "" CGOHEAP_ANY=0
run go_linked_internally go-internal "" CGOHEAP_ANY=0

library() { /sbin/ldconfig -p | sed -n "s/^[[:space:]]*$1[^ ]* (.*x86-64.*=> //p" | head -n 1; }

behind() { # behind NAME SONAME
	local lib
	lib=$(library "$2")
	if [ -n "$lib" ]; then
		run "behind_$1" behind " $lib" CGOHEAP_SAMPLE_BYTES=1
		run "stacks_over_$1" stacks " $lib"
	elif wanted "behind_$1"; then
		echo "skip mappings/behind_$1 $2 is not installed"
	fi
}
behind jemalloc libjemalloc.so.2
behind tcmalloc libtcmalloc_minimal.so.4
behind mimalloc libmimalloc.so
run behind_glibc behind "" CGOHEAP_SAMPLE_BYTES=1
