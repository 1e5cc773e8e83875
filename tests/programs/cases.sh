# shellcheck shell=bash disable=SC2034
# For each suite's run.sh to source: runs a program a case under the shim, a line a case as tools/test counts them.
# A program passes when it exits 0 and nothing was said on stderr; 77 is a skip, its first line on stderr the reason.
#
# The suite sets SUITE before, and defines compile PROGRAM (into $OUT). DEFAULTS are variables for every case. With
# arguments to run.sh: those cases only.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
HERE=tests/programs/$SUITE
SHIM=${CASES_SHIM:-$PWD/build/libcgoheap.so}
OUT=${CASES_OUT:-$PWD/build/$SUITE}
CC=${CC:-cc} CXX=${CXX:-c++} GO=${GO:-go}
LIMIT=120
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
mkdir -p "$OUT"
only=$*
DEFAULTS=()

wanted() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }

# installed SONAME: where that library is; empty where it is not.
installed() { /sbin/ldconfig -p | sed -n "s/^[[:space:]]*$1[^ ]* (.*x86-64.*=> //p" | head -n 1; }

# newer FILE OTHER...: whether FILE is newer than all of these.
newer() {
	local other
	for other in "${@:2}"; do
		[ "$1" -nt "$other" ] || return 1
	done
}

# verdict CASE STATUS: by that and what is in $DIR/err.
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

# run CASE PROGRAM PRELOADS [VAR=VALUE]... [-- ARG...]; PRELOADS: what follows the shim in LD_PRELOAD.
run() {
	local name=$1 program=$2 preload=$3 vars=()
	shift 3
	wanted "$name" || return 0
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		vars+=("$1")
		shift
	done
	[ $# -gt 0 ] && shift
	if ! compile "$program" >"$DIR/err" 2>&1; then
		verdict "$name" "not compiled"
		return
	fi
	timeout -k 5 "$LIMIT" env CGOHEAP_ANY=1 CGOHEAP_SOCKET="$DIR/$name.sock" LD_PRELOAD="$SHIM$preload" "${DEFAULTS[@]}" \
		"${vars[@]}" "$OUT/$program" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null
	verdict "$name" $?
}
