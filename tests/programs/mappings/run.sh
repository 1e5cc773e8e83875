#!/usr/bin/env bash
# Runs each program here, which maps memory and starts threads, under the shim.
# cases.sh reads SUITE and DEFAULTS.
# shellcheck disable=SC2034
set -u
SUITE=mappings
. "$(dirname "$0")/../cases.sh"

# Compiles the program if it is older than its sources.
compile() {
	local src=$HERE/$1.c bin=$OUT/$1
	if [ -d "$HERE/$1" ]; then
		[ "$1" != go-stale ] || local -x GOFLAGS=-ldflags=-linkmode=internal
		(cd "$HERE/$1" && "$GO" build -o "$OUT/$1" .)
		return
	fi
	newer "$bin" "$src" "$HERE/mappings.h" "$HERE/../hooks/hooks.h" && return
	"$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-optimize-sibling-calls -rdynamic \
		-o "$bin" "$src" -lpthread
}

run pieces pieces ""
run pieces_while_dormant pieces "" CGOHEAP_START=dormant
run cage cage ""
run stacks stacks ""
run random random ""
run signals signals "" CGOHEAP_SAMPLE_BYTES=1
run children children ""
run many many ""
# A table of 256 KiB has room for 5,460 ranges; there is a gap between each two.
run many_in_little_memory many "" CGOHEAP_MAX_MEMORY=4MiB -- 5460
run go go "" CGOHEAP_ANY=0
run go_linked_internally go-internal "" CGOHEAP_ANY=0
run go_stale_stacks go-stale "" CGOHEAP_ANY=0 CGOHEAP_SAMPLE_BYTES=1

behind() { # behind NAME SONAME
	local lib
	lib=$(installed "$2")
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
