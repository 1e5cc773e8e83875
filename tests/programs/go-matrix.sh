#!/usr/bin/env bash
# The Go package's modules by each Go release, in each way: go vet and their own tests. A line for each. make test has the
# ways that are dear by one release alone (ways, below), make test-long all by each.
#
# preload, race-preload: the tests run under the library. There no test may skip itself because that is missing, and
# some must run that do so elsewhere; else these lines would prove nothing. Tests of its absence skip themselves there.
set -u
cd "$(dirname "$0")/../.." || exit 1
SHIM=${MATRIX_SHIM:-$PWD/build/libcgoheap.so}
VERSIONS=${MATRIX_VERSIONS:-1.21.13 1.24.13 1.26.8 1.27.4}
ONE_VERSION=1.26.8 # as in tests/e2e
LONG=${TEST_LONG-}
# What a program may have in place of the client_golang that go.mod names, and the Go that it needs.
NEWEST_CLIENT=v1.25.0
NEWEST_GO=1.27.4
# Of cgo_bridge.ErrNotPreloaded, which is the reason that such tests give.
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
	(cd "$1" && go vet "${@:3}" ./... && go test -v -vet=off -count=1 -timeout 300s "${flags[@]}" ./...)
}

# tests_that VERDICT: their names, in what the last run has said.
tests_that() { sed -n "s/^ *--- $1: \([^ ]*\) .*/\1/p" "$DIR/out" | sort; }

# what_is_wrong WAY KEPT: nothing where the last run proves what it is for. KEPT is what the plain run skipped.
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

# ways VERSION: make test has no cgo and the race detector by one release alone: each compiles Go's own packages once more.
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

# What go.mod says decides which mux net/http has, and more: the same by the newest Go, as a module of each age.
export GOTOOLCHAIN=go$NEWEST_GO
for age in 1.22 "${NEWEST_GO%.*}"; do
	for module in cgo_bridge cgo_bridge/prom; do
		sed "s/^go .*/go $age/" "$module/go.mod" >"$DIR/aged.mod"
		cp "$module/go.sum" "$DIR/aged.sum" 2>/dev/null || rm -f "$DIR/aged.sum"
		line "go.mod-$age-preload-$module" "$module" preload -modfile="$DIR/aged.mod"
	done
done

cp cgo_bridge/prom/go.mod cgo_bridge/prom/go.sum "$DIR"
if (cd cgo_bridge/prom && go get -modfile="$DIR/go.mod" "github.com/prometheus/client_golang@$NEWEST_CLIENT") >"$DIR/out" 2>&1; then
	line "client_golang-$NEWEST_CLIENT-preload" cgo_bridge/prom preload -modfile="$DIR/go.mod"
else
	echo "not ok client_golang-$NEWEST_CLIENT-preload: go get"
	sed 's/^/    /' "$DIR/out"
fi
