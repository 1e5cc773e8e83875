#!/usr/bin/env bash
# The stress program with the library preloaded, directly and under valgrind; and with the library's
# objects linked in, under the address, undefined-behaviour and thread sanitizers: a sanitizer's
# runtime must be loaded before all code built with it, so it cannot come after a preload
# (CONTRIBUTING.md). cases.sh reads SUITE and DEFAULTS.
# shellcheck disable=SC2034
set -u
SUITE=stress
. "$(dirname "$0")/../cases.sh"
mkdir -p "$DIR/box"
DEFAULTS=(CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_BLACKBOX="$DIR/box")
SECONDS_EACH=10

compile() {
	newer "$OUT/$1" "$HERE/$1.c" tests/programs/*/*.h && return
	"$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -rdynamic -o "$OUT/$1" \
		"$HERE/$1.c" -lpthread -ldl
}

run preloaded stress "" -- $SECONDS_EACH

memcheck() {
	compile stress >"$DIR/err" 2>&1 || return
	timeout -k 5 "$LIMIT" env CGOHEAP_ANY=1 CGOHEAP_SOCKET="$DIR/memcheck.sock" \
		LD_PRELOAD="$SHIM" "${DEFAULTS[@]}" \
		valgrind -q --soname-synonyms=somalloc=nouserintercepts --error-exitcode=9 \
		--fair-sched=yes "$OUT/stress" $SECONDS_EACH 2000 2>"$DIR/err" >"$DIR/out" \
		</dev/null
}
if wanted memcheck && command -v valgrind >/dev/null; then
	memcheck
	verdict memcheck $?
elif wanted memcheck; then
	echo "skip stress/memcheck valgrind is not installed"
fi

# sanitized NAME KIND DIRECTORY: the runtimes complain about the shim's stacks and then enlarge
# them.
sanitized() {
	wanted "$1" || return 0
	if ! "${MAKE:-make}" --no-print-directory -s SANITIZE="$2" "build/$3/stress" >"$DIR/err" \
		2>&1; then
		verdict "$1" "not compiled"
		return
	fi
	timeout -k 5 "$LIMIT" env CGOHEAP_ANY=1 CGOHEAP_SOCKET="$DIR/$1.sock" "${DEFAULTS[@]}" \
		ASAN_OPTIONS=detect_leaks=0 \
		TSAN_OPTIONS="suppressions=$HERE/tsan.supp" "build/$3/stress" $SECONDS_EACH 2>&1 \
		>"$DIR/out" </dev/null |
		grep -v '^Sanitizer: p' >"$DIR/err"
	verdict "$1" "${PIPESTATUS[0]}"
}
sanitized address_and_undefined address sanitized
sanitized races thread tsan
