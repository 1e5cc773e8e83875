#!/usr/bin/env bash
# Programs that overfill the tables, for as long as a day or years, or never rest.
# cases.sh reads SUITE and DEFAULTS.
# shellcheck disable=SC2034
set -u
SUITE=churn
. "$(dirname "$0")/../cases.sh"
DEFAULTS=(CGOHEAP_MAX_CPU=100)

compile() { # the program, only where it is older than its sources
	local src=$HERE/$1.c bin=$OUT/$1 flags=(-rdynamic)
	[ "$1" != plugin.so ] || { src=$HERE/plugin.c flags=(-shared -fPIC); }
	newer "$bin" "$src" "$HERE"/../*/*.h && return
	"$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin \
		-fno-optimize-sibling-calls "${flags[@]}" -o "$bin" "$src" -lpthread -ldl -lm
}

compile plugin.so
run reload reload "" CGOHEAP_SAMPLE_BYTES=1 -- "$OUT/plugin.so" "${CHURN_RELOADS:-4000}"
run years years ""
run many_live many_live "" CGOHEAP_MAX_CPU=1
run exact exact "" CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_MAX_MEMORY=16MiB
