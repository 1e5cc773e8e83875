#!/usr/bin/env bash
# Events in the life of a process; each case is a program under the shim at interval 1.
# cases.sh reads SUITE and DEFAULTS.
# shellcheck disable=SC2034
set -u
SUITE=life
. "$(dirname "$0")/../cases.sh"
trap 'rm -rf "$DIR"; rmdir /tmp/cgoheap-life-?????? 2>/dev/null' EXIT
DEFAULTS=(CGOHEAP_SAMPLE_BYTES=1)
FLAGS="-Wall -Wextra -O1 -g -fno-builtin -rdynamic -D_GNU_SOURCE"

# Compiles the program, or the library if its name is lib*.
compile() {
	local src=$HERE/$1.c
	case $1 in
	lib*) "$CC" -std=gnu11 $FLAGS -Werror -shared -fPIC "${@:2}" -o "$OUT/$1.so" "$src" ;;
	unwound)
		"$CC" -std=gnu11 $FLAGS -c -o "$OUT/figures.o" "$HERE/figures.c" &&
			"$CXX" -std=c++11 $FLAGS -o "$OUT/$1" \
				"$HERE/$1.cc" "$OUT/figures.o" -lpthread
		;;
	*) "$CC" -std=gnu11 $FLAGS -o "$OUT/$1" "$src" -lpthread -ldl ;;
	esac
}

# library NAME FILE FLAGS...: compiles a library under another name.
library() {
	"$CC" -std=gnu11 $FLAGS -Werror -shared -fPIC "${@:3}" -o "$OUT/$1.so" "$HERE/$2.c" ||
		echo "not ok life/$1: not compiled"
}

run thread_storm thread_storm ""
run on_off on_off "" CGOHEAP_SAMPLE_BYTES=1GiB
run small_stacks small_stacks ""
run little_stack little_stack "" LD_BIND_NOW=1
library lib_nothing lib_nothing
run first_stack first_stack "" -- "$SHIM" "$OUT/lib_nothing.so"
run unwound unwound ""
run careful_handlers careful_handlers ""
run takes_descriptors takes_descriptors ""
run interrupted_stack interrupted_stack ""
run locked locked ""
run closed_stdio closed_stdio ""
run few_descriptors few_descriptors ""
run elsewhere elsewhere ""
run chroot_and_setuid elsewhere "" -- root
run follow_fork follow_fork "" CGOHEAP_FOLLOW_FORK=1
library lib_fork_lock lib_fork_lock -lpthread
run fork_lock fork_lock "" CGOHEAP_FOLLOW_FORK=1 LD_PRELOAD="$SHIM $OUT/lib_fork_lock.so"
run daemon daemon "" LIFE_SOCKET="$DIR/daemon.own"
mkdir -p "$DIR/run"
run exec_chain exec_chain "" CGOHEAP_SOCKET= XDG_RUNTIME_DIR="$DIR/run"

library lib_constructor_waits lib_constructor_waits -lpthread
run constructor_waits constructor_waits "" LIFE_LIBRARY="$OUT/lib_constructor_waits.so"

# The allocator is behind the shim; the program is not linked to it.
library lib_signal_safe lib_signal_safe
run signal_storm signal_storm "" LD_PRELOAD="$SHIM $OUT/lib_signal_safe.so"

# Two libraries that differ only in a name of the same length, so that their code has the same
# addresses.
library lib_first lib_alloc -DNAME=first__alloc
library lib_second lib_alloc -DNAME=second_alloc
run unloaded unloaded "" LIFE_FIRST="$OUT/lib_first.so" LIFE_SECOND="$OUT/lib_second.so"
