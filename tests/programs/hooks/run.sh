#!/usr/bin/env bash
# Runs each program here under the shim as a user would preload it, at interval 1.
# cases.sh reads SUITE and DEFAULTS.
# shellcheck disable=SC2034
set -u
SUITE=hooks
. "$(dirname "$0")/../cases.sh"
DEFAULTS=(CGOHEAP_SAMPLE_BYTES=1)
LINK=() # what the program is linked to

# Compiles the program if it is older than its sources.
compile() {
	local src=$HERE/$1.c bin=$OUT/$1
	[ -f "$src" ] || src=$HERE/$1.cc
	newer "$bin" "$src" "$HERE"/*.h && return
	case $src in
	# The compiler knows malloc and would otherwise remove calls.
	*.c) "$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -rdynamic -o "$bin" \
		"$src" "${LINK[@]}" -lpthread -ldl -Wl,-rpath,'$ORIGIN/runpath' ;;
	*) "$CXX" -std=c++11 -Wall -Wextra -O1 -g -o "$bin" "$src" -ldl ;;
	esac
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

# ---- who calls dlopen and dlsym ---------------------------------------------------

library() { # library FILE SOURCE FLAG...
	"$CC" -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-builtin -fPIC -shared -o "$OUT/$1" "$HERE/$2" \
		-ldl "${@:3}"
}

if wanted loader_caller || wanted loads || wanted early_loads; then
	mkdir -p "$OUT/runpath"
	library runpath/libloader_caller.so loader_caller_lib.c
	run loader_caller loader_caller ""
	run loads loads ""
fi
# The library's constructor runs first: the program is linked to it, and it comes after the shim.
if wanted early_loads; then
	library libearly.so early_loads_lib.c -Wl,-rpath,'$ORIGIN/runpath'
	library runpath/libearly_deep.so early_loads_lib.c -Wl,-rpath,'$ORIGIN'
	LINK=("$OUT/libearly.so" "-Wl,-rpath,\$ORIGIN")
	run early_loads early_loads ""
	LINK=()
fi

# ---- stack use of the hooks -------------------------------------------------------

if wanted depth; then
	"$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O2 -fno-builtin -fno-stack-protector -shared \
		-fPIC -o "$OUT/libdepth.so" \
		-Ishim "$HERE/depth_lib.c"
	mapfile -t shown < <(nm -D --defined-only "$SHIM" | sed 's/.* //')
	run depth depth " $OUT/libdepth.so" LD_BIND_NOW=1 -- "${shown[@]}"
fi

run fork_depth depth "" LD_BIND_NOW=1 -- fork
run follow_fork_depth depth "" LD_BIND_NOW=1 CGOHEAP_FOLLOW_FORK=1 -- fork

# ---- another allocator behind ----------------------------------------------------

behind() { # behind NAME SONAME: the cases that another allocator could break
	local lib vars=()
	lib=$(installed "$2")
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

# ---- memory use --------------------------------------------------------------------

FOOTPRINT_KIB=8192
footprint() {
	local plain with
	compile footprint >"$DIR/err" 2>&1 || return 1
	plain=$("$OUT/footprint" 2>"$DIR/err") || return 1
	with=$(CGOHEAP_ANY=1 CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_SOCKET="$DIR/footprint.sock" \
		LD_PRELOAD=$SHIM \
		"$OUT/footprint" 2>"$DIR/err") || return 1
	echo "    $((with - plain)) KiB resident for 10000 live samples on 1000 stacks"
	[ $((with - plain)) -le $FOOTPRINT_KIB ] ||
		echo "more than $FOOTPRINT_KIB KiB: $with - $plain" >"$DIR/err"
}
if wanted footprint; then
	: >"$DIR/err"
	footprint
	verdict footprint $?
fi
