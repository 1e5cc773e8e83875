#!/usr/bin/env bash
# In a root file system (tools/roots run): what run.sh (`short`) and long.sh (`long`) look at there.
set -u
HERE=tests/programs/roots
SHIM=$PWD/build/libcgoheap.so
. $HERE/unchanged.sh
mkdir -p build/roots
export XDG_RUNTIME_DIR
XDG_RUNTIME_DIR=$(mktemp -d)

verdict() {
	if [ -z "$2" ]; then
		echo "ok $1"
	else
		echo "not ok $1"
		echo "$2" | sed 's/^/    /'
	fi
}

# Allocators behind it are tested where they are installed.
suite() { "tests/programs/$1/run.sh" "${@:2}" 2>&1 | grep -v '^skip .* is not installed$'; }

cc -O1 -o build/roots/service $HERE/service.c
# Where thread functions are not in libc, this program has none.
libc=$(ldd build/roots/service | grep -o '/[^ ]*/libc\.so\.6')
if ! nm -D "$libc" | grep -q ' pthread_create@'; then
	verdict no_threads "$(same 'no library with thread functions (libpthread) is loaded' \
		"$SHIM" build/roots/service)"
fi
cc -O1 -shared -fPIC -o build/roots/liblate.so $HERE/late_lib.c -lpthread
cc -O1 -o build/roots/late $HERE/late.c -Wl,--no-as-needed -ldl
for preload in "" "$SHIM"; do
	verdict "late_threads${preload:+_preloaded}" "$(LD_PRELOAD=$preload build/roots/late \
		build/roots/liblate.so 2>&1 | grep -vx '42, closed 0'; [ "${PIPESTATUS[0]}" = 0 ] ||
		echo "exit status ${PIPESTATUS[0]}")"
done
musl-gcc -O1 -o build/roots/service-musl $HERE/service.c
verdict musl "$(same 'the C library is not glibc' "$SHIM" build/roots/service-musl)"

if [ "${1-}" = short ]; then
	suite hooks every_function realloc threads fork_child maps throws passive
	suite mappings
	exit
fi
suite hooks
suite mappings
suite stress preloaded
