#!/usr/bin/env bash
# The checked walks in other suites' programs, and in real ones.
set -u
cd "$(dirname "$0")/../../.." || exit 1
ROOT=$PWD
"${MAKE:-make}" --no-print-directory -s all checked-walks >&2 || {
	echo "not ok walks/checked-walks: not compiled"
	exit 1
}
export CASES_SHIM=$ROOT/build/checked/libcgoheap.so
cp build/cgoheap build/checked/cgoheap
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# verdict NAME STATUS
verdict() {
	if [ "$2" = 0 ]; then
		echo "ok walks/$1"
	else
		echo "not ok walks/$1: exit status $2"
		tail -n 40 "$out/said" | sed 's/^/    /'
	fi
}

tests/programs/rows/run.sh | sed 's/^\([a-z ]*\)rows/\1walks\/rows/'
tests/programs/stress/run.sh preloaded | sed 's/^\([a-z ]*\)stress/\1walks\/stress/'

# real NAME N: a workload of the bench, with each allocation recorded.
real() {
	(cd bench/workloads && go build -o "$out/$1" "./$1") >"$out/said" 2>&1 &&
		CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_SOCKET="$out/s" LD_PRELOAD="$CASES_SHIM" \
			timeout -k 5 600 "$out/$1" "$2" >"$out/said" 2>&1
	verdict "$1" $?
}
real sqlite 20000
real zstd 2000
real duckdb 2000

(cd tests/e2e && CGOHEAP_E2E_BUILD=$ROOT/build/checked \
	go test -run 'TestCallers|TestStackShapes|TestLabels' ./...) >"$out/said" 2>&1
verdict e2e $?
