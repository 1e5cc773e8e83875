#!/usr/bin/env bash
# Stacks of many forms, by several compilers, that change in one place from one block to the next:
# each must be what libgcc's unwinder says at the same place. cases.sh reads SUITE and DEFAULTS.
# shellcheck disable=SC2034
set -u
SUITE=rows
. "$(dirname "$0")/../cases.sh"
DEFAULTS=(CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_MAX_MEMORY=256MiB)
BLOCKS=${ROWS_BLOCKS:-6000}
SEED=${ROWS_SEED:-1}

# name, compiler, flags: a line each.
builds() {
	cat <<-END
		gcc_o0 gcc -O0
		gcc_o2 gcc -O2
		gcc_o3_no_fp gcc -O3 -fomit-frame-pointer -fno-plt
		gcc_o2_fp gcc -O2 -fno-omit-frame-pointer
		gcc_os gcc -Os
		gcc_o1_args gcc -O1 -mno-accumulate-outgoing-args
		gcc_o2_wrapped gcc -O2 -fno-shrink-wrap -fstack-protector-all -fcf-protection=full
		gcc_o2_probes gcc -O2 -fstack-clash-protection -maccumulate-outgoing-args
		clang_o0 clang -O0
		clang_o2 clang -O2
		clang_os_fp clang -Os -fno-omit-frame-pointer
		clang_o3 clang -O3 -fstack-clash-protection
	END
}

C_FLAGS="-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -g -fexceptions"

compile_rows() {
	local name compiler flags list=""
	while read -r name compiler flags; do
		# shellcheck disable=SC2086 # words
		"$compiler" $C_FLAGS $flags "-DBUILD=$name" -c -o "$OUT/$name.o" \
			"$HERE/frames.c" || return
		list+=" X($name)"
	done < <(builds)
	"$CXX" -std=c++11 -Wall -Wextra -O2 -g -c -o "$OUT/throws.o" "$HERE/throws.cc" || return
	# shellcheck disable=SC2086 # words
	"$CC" $C_FLAGS -O1 -fno-builtin "-DBUILDS(X)=$list X(special) X(throws)" -rdynamic \
		-o "$OUT/rows" "$HERE"/{rows,special,take}.c "$OUT"/{gcc,clang}_*.o \
		"$OUT/throws.o" -lstdc++ -lpthread
}

compile_edges() {
	local size
	for size in 24 56; do
		# The smaller one keeps the word where it has nothing else.
		"$CC" -shared -fPIC "-DSIZE=$size" "-DSTALE=$((size == 24 ? 16 : 24))" \
			-o "$OUT/libedges_frame_$size.so" "$HERE/edges_frame.c" || return
	done
	# shellcheck disable=SC2086 # words
	"$CC" $C_FLAGS -O2 -fno-builtin -rdynamic -o "$OUT/edges" "$HERE"/{edges,take}.c -lpthread
}

compile() {
	newer "$OUT/$1" "$HERE"/*.c "$HERE"/*.cc "$HERE"/*.h "$HERE/run.sh" || "compile_$1"
}

run one_thread rows "" -- "$SEED" "$BLOCKS" 1
run threads rows "" -- "$SEED" "$BLOCKS" 4
# edge NAME [VAR=VALUE]...
edge() {
	run "$1" edges "" EDGES_FRAME_24="$OUT/libedges_frame_24.so" \
		EDGES_FRAME_56="$OUT/libedges_frame_56.so" "${@:2}" -- "$1"
}
edge scribbled
edge cut
edge reloaded
edge reclaimed CGOHEAP_MAX_MEMORY=8MiB
edge toggled
edge forked CGOHEAP_FOLLOW_FORK=1
edge tiny
edge interrupted
