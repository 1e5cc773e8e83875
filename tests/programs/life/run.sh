#!/usr/bin/env bash
# What happens to processes in their life, each case a program under the shim at interval 1. A program passes when it
# exits 0 and nothing was said on stderr; a line a case, as tools/test counts them. With names: those cases only.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/life
SHIM=${LIFE_SHIM:-$PWD/build/libcgoheap.so}
OUT=${LIFE_OUT:-$PWD/build/life}
CC=${CC:-cc} CXX=${CXX:-c++}
LIMIT=120
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"; rmdir /tmp/cgoheap-life-?????? 2>/dev/null' EXIT
mkdir -p "$OUT"
only=$*
FLAGS="-Wall -Wextra -O1 -g -fno-builtin -rdynamic -D_GNU_SOURCE"

wanted() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }

# compile NAME: the program or, where it is called lib*, the library.
compile() {
	local src=$HERE/$1.c
	case $1 in
	lib*) "$CC" -std=gnu11 $FLAGS -Werror -shared -fPIC "${@:2}" -o "$OUT/$1.so" "$src" ;;
	unwound)
		"$CC" -std=gnu11 $FLAGS -c -o "$OUT/figures.o" "$HERE/figures.c" &&
			"$CXX" -std=c++11 $FLAGS -o "$OUT/$1" "$HERE/$1.cc" "$OUT/figures.o" -lpthread
		;;
	*) "$CC" -std=gnu11 $FLAGS -o "$OUT/$1" "$src" -lpthread -ldl ;;
	esac
}

# run CASE PROGRAM [VAR=VALUE]... [-- ARG...]
run() {
	local name=$1 program=$2 vars=() rc
	shift 2
	wanted "$name" || return 0
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		vars+=("$1")
		shift
	done
	[ $# -gt 0 ] && shift
	if ! compile "$program" >"$DIR/err" 2>&1; then
		rc="not compiled"
	else
		timeout -k 5 "$LIMIT" env CGOHEAP_ANY=1 CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_SOCKET="$DIR/$name.sock" \
			LD_PRELOAD="$SHIM" "${vars[@]}" "$OUT/$program" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null
		rc=$?
	fi
	if [ "$rc" = 77 ]; then
		echo "skip life/$name $(head -n 1 "$DIR/err")"
	elif [ "$rc" = 0 ] && [ ! -s "$DIR/err" ]; then
		echo "ok life/$name"
	else
		echo "not ok life/$name: exit status $rc"
		head -n 20 "$DIR/err" | sed 's/^/    /'
	fi
}

# library NAME FILE FLAGS...: a library under another name.
library() {
	"$CC" -std=gnu11 $FLAGS -Werror -shared -fPIC "${@:3}" -o "$OUT/$1.so" "$HERE/$2.c" || echo "not ok life/$1: not compiled"
}

run thread_storm thread_storm
run on_off on_off CGOHEAP_SAMPLE_BYTES=1GiB
run small_stacks small_stacks
run unwound unwound
run careful_handlers careful_handlers
run takes_descriptors takes_descriptors
run elsewhere elsewhere
run chroot_and_setuid elsewhere -- root
run follow_fork follow_fork CGOHEAP_FOLLOW_FORK=1
library lib_fork_lock lib_fork_lock -lpthread
run fork_lock fork_lock CGOHEAP_FOLLOW_FORK=1 LD_PRELOAD="$SHIM $OUT/lib_fork_lock.so"
run daemon daemon LIFE_SOCKET="$DIR/daemon.own"
mkdir -p "$DIR/run"
run exec_chain exec_chain CGOHEAP_SOCKET= XDG_RUNTIME_DIR="$DIR/run"

library lib_constructor_waits lib_constructor_waits -lpthread
run constructor_waits constructor_waits LIFE_LIBRARY="$OUT/lib_constructor_waits.so"

# The allocator is behind the shim, and the program knows nothing of it.
library lib_signal_safe lib_signal_safe
run signal_storm signal_storm LD_PRELOAD="$SHIM $OUT/lib_signal_safe.so"

# Two libraries that differ in a name only, of the same length: their code lies at the same places.
library lib_first lib_alloc -DNAME=first__alloc
library lib_second lib_alloc -DNAME=second_alloc
run unloaded unloaded LIFE_FIRST="$OUT/lib_first.so" LIFE_SECOND="$OUT/lib_second.so"
