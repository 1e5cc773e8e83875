#!/usr/bin/env bash
# One built library under other C libraries: in a root file system with nothing but the loader, libc
# and the program; under musl; and in a root of Debian 11 (glibc 2.31, whose thread functions and
# dlopen are in libraries beside libc). `make test-reach` (long.sh) does more, in more roots.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/roots
SHIM=$PWD/build/libcgoheap.so
OUT=$PWD/build/roots
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
. $HERE/unchanged.sh
mkdir -p "$OUT"

# verdict NAME TEXT: ok if there is nothing to say.
verdict() {
	if [ -z "$2" ]; then
		echo "ok roots/$1"
	else
		echo "not ok roots/$1"
		echo "$2" | sed 's/^/    /'
	fi
}

# ---- a root with libc alone: no libm, no /proc, no /tmp ---------------------------------

# bare PROGRAM: copies it there with what it is linked to.
bare() {
	local file
	mkdir -p "$DIR/bare"
	cp "$1" "$DIR/bare/program"
	cp "$SHIM" "$DIR/bare/"
	for file in $(ldd "$1" | grep -o '/[^ ]*'); do
		cp -L --parents "$file" "$DIR/bare"
	done
}

# In it: LD_PRELOAD counts for the program, and not for chroot, which starts without it.
in_bare() {
	local preload=${LD_PRELOAD-}
	(
		unset LD_PRELOAD
		exec chroot "$DIR/bare" "$BARE_LOADER" ${preload:+--preload "$preload"} /program
	)
}

if [ "$(id -u)" = 0 ]; then
	"${CC:-cc}" -O1 -o "$OUT/service" $HERE/service.c && bare "$OUT/service"
	BARE_LOADER=$(ldd "$OUT/service" | grep -o '/[^ ]*ld-linux[^ ]*')
	plain=$(in_bare 2>&1; echo "status $?")
	with=$(LD_PRELOAD=/libcgoheap.so in_bare 2>&1; echo "status $?")
	active=$(LD_PRELOAD=/libcgoheap.so CGOHEAP_ANY=1 CGOHEAP_SOCKET=/s in_bare 2>&1
		echo "status $?")
	text=
	[ "$plain" = "$with" ] || text="passive: $with"
	[ "$plain" = "$active" ] || text+="active: $active"
	[[ $plain == *served*status\ 3 ]] || text+="the service itself: $plain"
	verdict bare "$text"
else
	echo "skip roots/bare chroot needs root"
fi

# ---- musl -----------------------------------------------------------------------------

if command -v musl-gcc >/dev/null; then
	musl-gcc -O1 -o "$OUT/service-musl" $HERE/service.c
	verdict musl "$(same 'the C library is not glibc' "$SHIM" "$OUT/service-musl")"
else
	echo "skip roots/musl musl-gcc is not installed"
fi

# ---- Debian 11 -------------------------------------------------------------------------

root=debian11
why=$(tools/roots make $root 2>&1 >/dev/null)
if [ $? = 77 ]; then
	echo "skip roots/$root $why"
	exit
fi
tools/roots run $root "$HERE/in_root.sh short" 2>&1 |
	sed "s#^\\(ok\\|not ok\\|skip\\) #\\1 roots/$root/#"
