#!/usr/bin/env bash
# By hand: the programs of in_root.sh and the demo under any glibc that is installed at PREFIX. They
# are compiled here and linked to it; what C++ and the start of a program need from the compiler
# must not be much newer than it. So for the oldest, in a root of the oldest release with PREFIX in
# it:
#
#   cp -a /opt/glibc-2.28 "$(tools/roots make debian11)/opt/"
#   tools/roots run debian11 'tests/programs/roots/glibc.sh /opt/glibc-2.28'
set -u
PREFIX=${1:?the directory where glibc is installed, with lib/ in it}
cd "$(dirname "$0")/../../.." || exit 1
loader=$(echo "$PREFIX"/lib*/ld-linux-x86-64.so.2)
[ -x "$loader" ] || {
	echo "$loader is no loader" >&2
	exit 1
}
LIB=$(dirname "$loader")
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

# What the linker looks for. Functions that this glibc lacks are the library's (reallocarray).
for name in pthread dl m rt; do
	ln -s "$(echo "$LIB/lib$name".so.[0-9])" "$DIR/lib$name.so"
done
echo "GROUP ( $LIB/libc.so.6 $(cc -print-file-name=libc_nonshared.a) AS_NEEDED ( $loader ) )" \
	>"$DIR/libc.so"
# What newer headers have programs call, and no library brings.
nm -D "$LIB/libc.so.6" | grep -q ' fcntl64@' || echo 'int fcntl(int, int, long);
	int fcntl64(int fd, int what, long arg) { return fcntl(fd, what, arg); }' >"$DIR/more.c"
[ ! -e "$DIR/more.c" ] || cc -w -O1 -fPIC -c -o "$DIR/more.o" "$DIR/more.c"
ar rcs "$DIR/libmore.a" "$DIR"/*.o 2>/dev/null || ar rcs "$DIR/libmore.a"
for name in cc c++; do
	printf '#!/bin/sh\nexec %s "$@" %s %s %s %s\n' "$(command -v $name)" "-L$DIR -lmore" \
		"-Wl,--dynamic-linker=$loader" "-Wl,-rpath,$LIB" \
		"-Wl,--unresolved-symbols=ignore-all" >"$DIR/$name"
	chmod +x "$DIR/$name"
done
export CC="$DIR/cc" CXX="$DIR/c++" CGO_ENABLED=1
rm -rf build/hooks build/mappings build/stress build/roots # built for another one

# A version that the compiler's own libraries need is none of ours.
tests/programs/roots/in_root.sh glibc >"$DIR/said"
awk '
	/^not ok / {
		if (failed) print failed
		failed = $0
		next
	}
	failed && match($0, /version .GLIBC_[0-9.]*. not found/) {
		sub(/^not ok /, "", failed); sub(/:.*/, "", failed)
		print "skip " failed " " substr($0, RSTART, RLENGTH)
		failed = ""; next
	}
	failed { print failed; failed = "" }
	{ print }
	END { if (failed) print failed }' "$DIR/said"
