#!/usr/bin/env bash
# Runs go vet and the tests of the Go package's modules with each Go release, in each way; prints a
# line for each. make test runs the expensive ways with one release only (ways, below), make
# test-long all ways with each.
#
# preload, race-preload: the tests run under the library. There no test may be skipped for lack of
# it, and some tests that are skipped elsewhere must run; otherwise these lines would prove nothing.
# Tests of its absence are skipped there.
set -u
cd "$(dirname "$0")/../.." || exit 1
SHIM=${MATRIX_SHIM:-$PWD/build/libcgoheap.so}
VERSIONS=${MATRIX_VERSIONS:-1.21.13 1.24.13 1.26.8 1.27.4}
ONE_VERSION=1.26.8 # as in tests/e2e
LONG=${TEST_LONG-}
# Versions of client_golang that a program may have instead of the one in go.mod, and the Go that
# each needs.
NEWEST_CLIENT=v1.25.0
NEWEST_GO=1.27.4
# The text of cgo_bridge.ErrNotPreloaded, the reason that such tests give.
MISSING='is not preloaded into this process'
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
unset LD_PRELOAD GODEBUG
export GOWORK=off GOFLAGS=-buildvcs=false XDG_RUNTIME_DIR=$DIR

[ -f "$SHIM" ] || {
	echo "not ok go-matrix: no $SHIM: run make first"
	exit 1
}

# tests MODULE WAY [FLAG...]
tests() {
	local flags=("${@:3}")
	[[ $2 != race* ]] || flags+=(-race)
	[[ $2 != *preload ]] || flags+=("-exec=env LD_PRELOAD=$SHIM")
	(cd "$1" && go vet "${@:3}" ./... && go test -v -vet=off -count=1 -timeout 300s \
		"${flags[@]}" ./...)
}

# tests_that VERDICT: their names, from the output of the last run.
tests_that() { sed -n "s/^ *--- $1: \([^ ]*\) .*/\1/p" "$DIR/out" | sort; }

# what_is_wrong WAY KEPT: prints nothing if the last run proves what it should. KEPT: the tests that
# the plain run skipped.
what_is_wrong() {
	if [ -z "$(tests_that PASS)" ]; then
		echo "no test passed"
	elif [[ $1 == *preload ]] && grep -q "$MISSING" "$DIR/out"; then
		echo "a test did not find the library"
	elif [[ $1 == *preload ]] && [ -z "$(comm -12 "$2" <(tests_that PASS))" ]; then
		echo "no test passed that needs the library"
	fi
}

# line NAME MODULE WAY [FLAG...]
line() {
	local kept=$DIR/skipped-${2//\//-} why
	export CGO_ENABLED=1
	[ "$3" != nocgo ] || CGO_ENABLED=0
	if tests "${@:2}" >"$DIR/out" 2>&1; then
		[ "$3" != plain ] || tests_that SKIP >"$kept"
		why=$(what_is_wrong "$3" "$kept")
	else
		why="exit status $?"
	fi
	if [ -z "$why" ]; then
		echo "ok $1"
	else
		echo "not ok $1: $why"
		grep -v -e '^=== ' -e '^ *--- PASS' "$DIR/out" | tail -n 60 | sed 's/^/    /'
	fi
}

# ways VERSION: make test runs no-cgo and the race detector with one release only, because each
# compiles Go's packages again.
ways() {
	echo plain preload
	if [ -n "$LONG" ] || [ "$1" = "$ONE_VERSION" ]; then
		echo nocgo race race-preload
	fi
}

for version in $VERSIONS; do
	export GOTOOLCHAIN=go$version
	for module in cgo_bridge cgo_bridge/prom; do
		for way in $(ways "$version"); do
			line "go$version-$way-$module" "$module" "$way"
		done
	done
done

# The version in go.mod selects the mux of net/http, among other things, so the newest Go also tests
# the module at each version.
export GOTOOLCHAIN=go$NEWEST_GO
for age in 1.22 "${NEWEST_GO%.*}"; do
	for module in cgo_bridge cgo_bridge/prom; do
		sed "s/^go .*/go $age/" "$module/go.mod" >"$DIR/aged.mod"
		cp "$module/go.sum" "$DIR/aged.sum" 2>/dev/null || rm -f "$DIR/aged.sum"
		line "go.mod-$age-preload-$module" "$module" preload -modfile="$DIR/aged.mod"
	done
done

cp cgo_bridge/prom/go.mod cgo_bridge/prom/go.sum "$DIR"
if (cd cgo_bridge/prom && go get -modfile="$DIR/go.mod" \
	"github.com/prometheus/client_golang@$NEWEST_CLIENT") >"$DIR/out" 2>&1; then
	line "client_golang-$NEWEST_CLIENT-preload" cgo_bridge/prom preload -modfile="$DIR/go.mod"
else
	echo "not ok client_golang-$NEWEST_CLIENT-preload: go get"
	sed 's/^/    /' "$DIR/out"
fi
