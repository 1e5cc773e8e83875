# shellcheck shell=bash disable=SC2034
# Sourced by each suite's run.sh: runs one program per case under the shim, and prints one line per
# case for tools/test. A program passes if it exits with 0 and prints nothing on stderr; 77 is a
# skip, with the reason in its first line on stderr.
#
# The suite first sets SUITE and defines compile PROGRAM (into $OUT). DEFAULTS are variables for
# every case. With arguments, run.sh runs only those cases. CASES_COMPILE=1: compiles them only, for
# a root without a compiler; BUILT=1: they are compiled.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
HERE=tests/programs/$SUITE
SHIM=${CASES_SHIM:-$PWD/build/libcgoheap.so}
OUT=${CASES_OUT:-$PWD/build/$SUITE}
EMULATOR=${CASES_EMULATOR-} # qemu-user with its options, for programs of another processor
CC=${CC:-cc} CXX=${CXX:-c++} GO=${GO:-go}
LIMIT=120
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
mkdir -p "$OUT"
only=$*
DEFAULTS=()

wanted() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }

# installed SONAME: the path of that library; empty if it is not installed.
installed() {
	/sbin/ldconfig -p 2>/dev/null |
		sed -n "s/^[[:space:]]*$1[^ ]* (.*x86-64.*=> //p" | head -n 1
}

# newer FILE OTHER...: whether FILE is newer than all the others.
newer() {
	local other
	for other in "${@:2}"; do
		[ "$1" -nt "$other" ] || return 1
	done
}

# verdict CASE STATUS: prints the result from STATUS and $DIR/err.
verdict() {
	if [ "$2" = 77 ]; then
		echo "skip $SUITE/$1 $(head -n 1 "$DIR/err")"
	elif [ "$2" = 0 ] && [ ! -s "$DIR/err" ]; then
		echo "ok $SUITE/$1"
	else
		echo "not ok $SUITE/$1: exit status $2"
		head -n 40 "$DIR/err" | sed 's/^/    /'
	fi
}

# run CASE PROGRAM PRELOADS [VAR=VALUE]... [-- ARG...]; PRELOADS: what follows the shim in
# LD_PRELOAD.
run() {
	local name=$1 program=$2 preload=$3 vars=()
	shift 3
	wanted "$name" || return 0
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		vars+=("$1")
		shift
	done
	[ $# -gt 0 ] && shift
	if [ -z "${BUILT-}" ] && ! compile "$program" >"$DIR/err" 2>&1; then
		verdict "$name" "not compiled"
		return
	fi
	[ -z "${CASES_COMPILE-}" ] || return 0
	# shellcheck disable=SC2086 # words
	timeout -k 5 "$LIMIT" env CGOHEAP_ANY=1 CGOHEAP_SOCKET="$DIR/$name.sock" \
		${EMULATOR:+QEMU_SET_ENV=}LD_PRELOAD="$SHIM$preload" "${DEFAULTS[@]}" \
		"${vars[@]}" $EMULATOR "$OUT/$program" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null
	verdict "$name" $?
}
