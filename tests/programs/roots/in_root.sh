#!/usr/bin/env bash
# In a root file system (tools/roots run): what run.sh (`short`) and long.sh (`long`) look at there,
# and glibc.sh (`glibc`) under another glibc.
set -u
HERE=tests/programs/roots
SHIM=$PWD/build/libcgoheap.so
. $HERE/checks.sh
mkdir -p build/roots
export XDG_RUNTIME_DIR
XDG_RUNTIME_DIR=$(mktemp -d)
trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT

CC=${CC:-cc}
$CC -O1 -o build/roots/service $HERE/service.c
# Where thread functions are not in libc, this program has none.
libc=$(LD_TRACE_LOADED_OBJECTS=1 build/roots/service | grep -o '/[^ ]*/libc\.so\.6')
if ! nm -D "$libc" | grep -q ' pthread_create@'; then
	verdict no_threads "$(passive 'no library with thread functions (libpthread) is loaded' \
		"$SHIM" build/roots/service)"
fi
$CC -O1 -shared -fPIC -o build/roots/liblate.so $HERE/late_lib.c -lpthread
$CC -O1 -o build/roots/late $HERE/late.c -Wl,--no-as-needed -ldl
for preload in "" "$SHIM"; do
	verdict "late_threads${preload:+_preloaded}" "$(LD_PRELOAD=$preload build/roots/late \
		build/roots/liblate.so 2>&1 | grep -vx '42, closed 0'; [ "${PIPESTATUS[0]}" = 0 ] ||
		echo "exit status ${PIPESTATUS[0]}")"
done
if [ "${1-}" != glibc ]; then
	musl-gcc -O1 -o build/roots/service-musl $HERE/service.c
	verdict musl "$(under_musl "$SHIM" build/roots/service-musl)"
	(cd $HERE/gochecked && CC=musl-gcc go build -o ../../../../build/roots/gochecked \
		-ldflags '-linkmode external -extldflags -Wl,--eh-frame-hdr' .) 2>&1 |
		sed 's/^/    /'
	verdict musl_checked "$(checked "$SHIM" build/roots/gochecked)"
fi

if [ "${1-}" = short ]; then
	suite hooks every_function realloc threads fork_child maps throws passive loads
	suite mappings
	exit
fi
suite hooks
suite mappings
suite account pinned_exact_nth pinned_samples_aligned pinned_sizes_few pinned_not_end
suite stress preloaded

# ---- Go services under this libc ---------------------------------------------------------

# Stacks through each kind of crossing, by the Go release that is here.
shapes() {
	local said
	said=$(cd tests/e2e && CGOHEAP_E2E_GO=$(go env GOVERSION | sed 's/^go//') \
		go test -run '^TestStackShapes$' . 2>&1) || echo "$said"
}
verdict stacks "$(shapes)"
verdict demo "$(demo)"
[ "${1-}" != glibc ] || exit 0

# ---- a Go service under musl ---------------------------------------------------------

(cd $HERE/gomusl && CC=musl-gcc go build -ldflags '-linkmode external' \
	-o ../../../../build/roots/gomusl .) 2>&1 | sed 's/^/    /'
verdict go_musl "$(under_musl "$SHIM" build/roots/gomusl)"

# ---- the library built here ----------------------------------------------------------

mkdir -p build/built
built() {
	if ! make -s BUILD=build/built build/built/libcgoheap.so >build/roots/built.log 2>&1; then
		tail -n 20 build/roots/built.log
		return
	fi
	diff <(asks_for build/libcgoheap.so) <(asks_for build/built/libcgoheap.so)
}
asks_for() {
	readelf -dW "$1" | sed -n 's/.*(NEEDED)//p'
	nm -D --undefined-only "$1" | sort
	nm -D --defined-only "$1" | sed 's/^[^ ]* //' | sort
}
verdict built_here "$(built)"
