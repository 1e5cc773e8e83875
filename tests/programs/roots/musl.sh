#!/usr/bin/env bash
# The root `musl` (tools/roots) has no compiler. `musl.sh compile`, outside, puts into its build/
# what `musl.sh run`, inside, runs: a service in C, one in Go, one that compares what the library
# says of it with what it knows, cases of the hooks, mappings and stress suites, and the demo
# (`... short`: without the last two).
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/roots
# musl does not run .preinit_array of a dynamic program, as before_constructor needs.
HOOKS="every_function realloc failures errno_kept fork_child threads maps full spawn passive"
# The program `stacks` compares with glibc's backtrace.
MAPPINGS="pieces pieces_while_dormant cage random signals children many many_in_little_memory go"
. $HERE/checks.sh

# The wrapper leaves out what an image's own compiler has as its default.
compiler() {
	printf '#!/bin/sh\nexec musl-gcc -Wl,--eh-frame-hdr "$@"\n' >"$1"
	chmod +x "$1"
}

# cases SUITE CASES...: compiles their programs where the suite looks for them in the root.
cases() {
	CASES_COMPILE=1 CASES_OUT=$OUT/$1 "tests/programs/$1/run.sh" "${@:2}"
}

compile() {
	OUT=$PWD/build/roots/musl
	mkdir -p "$OUT/demo"
	compiler "$OUT/cc"
	export CC=$OUT/cc GOFLAGS=-ldflags=-linkmode=external
	"$CC" -O1 -o "$OUT/service" $HERE/service.c
	(cd $HERE/gomusl && go build -o "$OUT/goservice" .)
	(cd $HERE/gochecked && go build -o "$OUT/gochecked" . &&
		GOFLAGS='' go build -ldflags=-linkmode=internal -o "$OUT/gointernal" .)
	# shellcheck disable=SC2086 # words
	cases hooks $HOOKS
	# shellcheck disable=SC2086 # words
	cases mappings $MAPPINGS
	[ "${1-}" != short ] || return 0
	cases stress preloaded
	"$CC" -O1 -shared -fPIC -o "$OUT/libcomes.so" $HERE/late_lib.c
	cd examples/notes && CGO_CFLAGS='-O1 -g' go build -o "$OUT/demo/notes" . &&
		go build -o "$OUT/demo/load" ./load
}

run() {
	local shim=$PWD/build/libcgoheap.so
	verdict service "$(under_musl "$shim" build/service)"
	verdict go_service "$(under_musl "$shim" build/goservice)"
	verdict go_checked "$(checked "$shim" build/gochecked)"
	verdict go_checked_linked_internally "$(checked "$shim" build/gointernal internal)"
	export HOOKS_NO_PVALLOC=1 BUILT=1
	# shellcheck disable=SC2086 # words
	suite hooks $HOOKS
	# shellcheck disable=SC2086 # words
	suite mappings $MAPPINGS
	[ "${1-}" != short ] || return
	STRESS_LIBRARY=$PWD/build/libcomes.so suite stress preloaded
	verdict demo "$(demo)"
}

"$@"
