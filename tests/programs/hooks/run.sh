#!/usr/bin/env bash
# Runs each program here under the shim as a user would preload it, at interval 1. A program passes when it exits 0 and
# nothing was said on stderr; a line a case, as tools/test counts them. With names: those cases only.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/hooks
SHIM=${HOOKS_SHIM:-$PWD/build/libcgoheap.so}
OUT=${HOOKS_OUT:-$PWD/build/hooks}
CC=${CC:-cc} CXX=${CXX:-c++}
LIMIT=120
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
mkdir -p "$OUT"
only=$*

wanted() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }

# compile NAME: the program, only where it is older than its sources.
compile() {
	local src=$HERE/$1.c bin=$OUT/$1
	[ -f "$src" ] || src=$HERE/$1.cc
	[ "$bin" -nt "$src" ] && [ "$bin" -nt "$HERE/hooks.h" ] && return
	case $src in
	# The compiler knows what malloc means, and would leave calls out.
	*.c) "$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -rdynamic -o "$bin" "$src" -lpthread ;;
	*) "$CXX" -std=c++11 -Wall -Wextra -O1 -g -o "$bin" "$src" -ldl ;;
	esac
}

verdict() { # verdict NAME RC STDERR
	if [ "$2" = 77 ]; then
		echo "skip hooks/$1 $(head -n 1 "$3")"
	elif [ "$2" = 0 ] && [ ! -s "$3" ]; then
		echo "ok hooks/$1"
	else
		echo "not ok hooks/$1: exit status $2"
		head -n 20 "$3" | sed 's/^/    /'
	fi
}

# run CASE PROGRAM PRELOADS [VAR=VALUE]... [-- ARG...]
run() {
	local name=$1 program=$2 preload=$3 vars=() args=()
	shift 3
	wanted "$name" || return 0
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		vars+=("$1")
		shift
	done
	[ $# -gt 0 ] && shift
	args=("$@")
	if ! compile "$program" >"$DIR/err" 2>&1; then
		verdict "$name" "not compiled" "$DIR/err"
		return
	fi
	timeout -k 5 "$LIMIT" env CGOHEAP_ANY=1 CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_SOCKET="$DIR/$name.sock" "${vars[@]}" \
		LD_PRELOAD="$SHIM$preload" "$OUT/$program" "${args[@]}" >"$DIR/out" 2>"$DIR/err" </dev/null
	verdict "$name" $? "$DIR/err"
}

run every_function every_function ""
run realloc realloc ""
run failures failures ""
run errno_kept errno_kept ""
run before_constructor before_constructor ""
run fork_child fork_child ""
run threads threads ""
run maps maps ""
run full full "" CGOHEAP_MAX_MEMORY=4MiB
run spawn spawn ""
run throws throws ""
run scribble scribble ""
run passive passive "" CGOHEAP_ANY=0 CGOHEAP_SAMPLE_BYTES=nonsense CGOHEAP_NO_SUCH=1

# ---- a dlsym that allocates ----------------------------------------------------

if wanted allocating_dlsym; then
	"$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -fno-builtin -shared -fPIC -o "$OUT/liballocating_dlsym.so" \
		"$HERE/allocating_dlsym_lib.c"
	run allocating_dlsym allocating_dlsym " $OUT/liballocating_dlsym.so"
fi

# ---- another allocator behind ----------------------------------------------------

library() { /sbin/ldconfig -p | sed -n "s/^[[:space:]]*$1[^ ]* (.*x86-64.*=> //p" | head -n 1; }

behind() { # behind NAME SONAME: the cases that an allocator of its own could break
	local lib vars=()
	lib=$(library "$2")
	nm -D --defined-only "$lib" 2>/dev/null | grep -q ' pvalloc$' || vars=(HOOKS_NO_PVALLOC=1)
	for program in every_function realloc before_constructor fork_child threads throws; do
		if [ -n "$lib" ]; then
			run "${program}_over_$1" "$program" " $lib" "${vars[@]}"
		elif wanted "${program}_over_$1"; then
			echo "skip hooks/${program}_over_$1 $2 is not installed"
		fi
	done
	[ -z "$lib" ] || run "allocator_over_$1" allocator " $lib" -- "$1"
}
behind jemalloc libjemalloc.so.2
behind tcmalloc libtcmalloc_minimal.so.4
behind mimalloc libmimalloc.so

run allocator_glibc allocator "" -- glibc

# ---- what it costs in memory -------------------------------------------------------

FOOTPRINT_KIB=8192
footprint() {
	local plain with
	compile footprint >"$DIR/err" 2>&1 || return 1
	plain=$("$OUT/footprint" 2>"$DIR/err") || return 1
	with=$(CGOHEAP_ANY=1 CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_SOCKET="$DIR/footprint.sock" LD_PRELOAD=$SHIM \
		"$OUT/footprint" 2>"$DIR/err") || return 1
	echo "    $((with - plain)) KiB resident for 10000 live samples on 1000 stacks"
	[ $((with - plain)) -le $FOOTPRINT_KIB ] || echo "more than $FOOTPRINT_KIB KiB: $with - $plain" >"$DIR/err"
}
if wanted footprint; then
	: >"$DIR/err"
	footprint
	verdict footprint $? "$DIR/err"
fi
