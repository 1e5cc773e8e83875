# shellcheck shell=bash disable=SC2034
# Sourced by run.sh and long.sh: the library for arm64 is built (`make ARCH=arm64`) and run by
# qemu-user on another processor. SUITE is set first.
cd "$(dirname "${BASH_SOURCE[0]}")/../../.." || exit 1
HERE=tests/programs/arm64
BUILD=$PWD/build/arm64
CROSS=aarch64-linux-gnu
OUT=$BUILD/test
LONG_UNITS='goheap|math|profile'
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

skip() {
	echo "skip arm64 $*"
	exit
}

for tool in $CROSS-gcc $CROSS-g++ qemu-aarch64; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done
ROOT=$(tools/roots make arm64 2>"$DIR/why") || skip "$(tail -n 1 "$DIR/why")"
EMULATOR="qemu-aarch64 -L $ROOT"
"${MAKE:-make}" -j2 ARCH=arm64 all unit >"$DIR/make" 2>&1 || {
	echo "not ok arm64/build"
	tail -n 30 "$DIR/make" | sed 's/^/    /'
	exit
}
mkdir -p "$OUT"
go build -o "$OUT/gotest" tools/gotest.go || exit

# units NAME...: these unit tests, without what emulator.skip says, in which a line whose test
# passes is itself a failure.
units() {
	export CROSS EMULATOR HERE BUILD
	export CGOHEAP_TEST_CC=$CROSS-gcc CGOHEAP_TEST_RUN=$EMULATOR CMOCKA_MESSAGE_OUTPUT=TAP
	printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 $HERE/unit.sh
}

# all_units: their names.
all_units() {
	local program
	for program in "$BUILD"/unit/test_*; do
		echo "${program##*/test_}"
	done
}

# e2e TESTS [VAR=VALUE]...: those Go tests with programs for arm64.
e2e() {
	(cd tests/e2e && env CGOHEAP_E2E_ARCH=arm64 CGOHEAP_E2E_ROOT="$ROOT" \
		CGOHEAP_E2E_BUILD="$BUILD" "${@:2}" \
		go test -json -count=1 -timeout 1500s ${TEST_LONG:+-tags long} -run "$1" . 2>&1) |
		"$OUT/gotest"
}
