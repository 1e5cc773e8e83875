#!/usr/bin/env bash
# The cost of a profile of 10,000 stacks and 100,000 live blocks, counted: instructions by
# callgrind, names looked up, and memory above the region. The second profile looks no name up.
set -u
cd "$(dirname "$0")/../.." || exit 1
MILLIONS=190
MEMORY=$((4 << 20))
mkdir -p build/test
if ! command -v valgrind >/dev/null; then
	echo "skip scrape valgrind is not installed"
	exit 0
fi
for n in 0 1 2; do
	valgrind --tool=callgrind --callgrind-out-file=build/test/scrape \
		build/unit/count_scrape $n >build/test/scrape.lines 2>build/test/scrape.said || {
		echo "not ok scrape"
		sed 's/^/    /' build/test/scrape.said
		exit 1
	}
	count[n]=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' build/test/scrape.said)
done
read -r looked_up _ bytes < <(sed -n 1p build/test/scrape.lines)
read -r again memory _ < <(sed -n 2p build/test/scrape.lines)

check() { # check NAME LEAST VALUE MOST
	if [ "$2" -le "$3" ] && [ "$3" -le "$4" ]; then
		echo "ok scrape/$1"
	else
		echo "not ok scrape/$1: $3, want $2 to $4"
	fi
}
check instructions 10 $(((count[1] - count[0]) / 1000000)) $MILLIONS
check instructions_again 10 $(((count[2] - count[1]) / 1000000)) $MILLIONS
check names 1000 "$looked_up" 5000
check names_again 0 "$again" 0
check memory 1000000 "$memory" $MEMORY
check answer 100000 "$bytes" 400000
