#!/usr/bin/env bash
# The budget of the fast path: at most 15 instructions more for a malloc and free pair, counted by callgrind, which is
# exact. The pair is glibc's cheapest, so that nothing hides in it; a loop of N pairs less an empty loop of N.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUDGET=15
if ! command -v valgrind >/dev/null; then
	echo "skip instructions valgrind is not installed"
	exit 0
fi
out=$(bench/instructions) || {
	echo "not ok instructions: bench/instructions failed"
	exit 1
}
check() { # check NAME ROW: the row's count less the plain one's
	local added
	added=$(awk -v row="$2" '$1 == "plain" { plain = $2 } $1 == row { found = $2 - plain } END { print found }' <<<"$out")
	if [ -n "$added" ] && awk -v n="$added" -v max=$BUDGET 'BEGIN { exit !(n > 0 && n <= max + 0.5) }'; then
		echo "ok instructions/$1"
	else
		echo "not ok instructions/$1: $added more than plain, want at most $BUDGET"
		echo "$out" | awk '{ print "    " $0 }'
	fi
}
check sampling sampling
check dormant dormant
check passive passive
