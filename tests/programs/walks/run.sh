#!/usr/bin/env bash
# Each stack walked both ways, quickly with the help of the thread's last walk and step by step: a
# difference ends the program (make checked-walks). cases.sh reads SUITE and DEFAULTS.
# shellcheck disable=SC2034
set -u
SUITE=walks
. "$(dirname "$0")/../cases.sh"
DEFAULTS=(CGOHEAP_SAMPLE_BYTES=1)

if ! "${MAKE:-make}" --no-print-directory -s checked-walks >"$DIR/err" 2>&1; then
	verdict checked-walks "not compiled"
	exit
fi
[ -n "${CASES_SHIM-}" ] || SHIM=$PWD/build/checked/libcgoheap.so
export CASES_SHIM=$SHIM

compile() {
	case $1 in
	c) newer "$OUT/c" bench/capture.c ||
		"$CC" -std=gnu11 -O2 -fno-builtin -o "$OUT/c" bench/capture.c ;;
	go) newer "$OUT/go" bench/capture.go || "$GO" build -o "$OUT/go" bench/capture.go ;;
	esac
}

for name in capture unwind; do
	wanted "unit_$name" || continue
	"build/checked/test_$name" >"$DIR/out" 2>&1
	status=$?
	: >"$DIR/err"
	[ $status = 0 ] || cp "$DIR/out" "$DIR/err"
	verdict "unit_$name" $status
done
for change in same leaf other; do
	run "c_$change" c "" -- $change 20 20000
	run "go_$change" go "" -- go $change 20 20000
	run "mixed_$change" go "" -- mixed $change 10 20000
done
