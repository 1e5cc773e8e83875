#!/usr/bin/env bash
# With preloads that replace functions libraries call: libc functions that lock and allocate, dlsym,
# and malloc. In front of the shim and behind it, sampling every allocation, at the default
# interval, and dormant: the program ends as usual, in time.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/preloads
SHIM=${PRELOADS_SHIM:-$PWD/build/libcgoheap.so}
OUT=$PWD/build/preloads
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
mkdir -p "$OUT"
flags=(-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin)
if ! "${CC:-cc}" "${flags[@]}" -fPIC -shared -o "$OUT/jealous.so" $HERE/jealous.c ||
	! "${CC:-cc}" "${flags[@]}" -DWRAP_DLSYM -fPIC -shared -o "$OUT/dlsym.so" $HERE/jealous.c ||
	! "${CC:-cc}" "${flags[@]}" -fPIC -shared -o "$OUT/allocator.so" \
		$HERE/allocator.c -lpthread ||
	! "${CC:-cc}" "${flags[@]}" -o "$OUT/host" $HERE/host.c -lpthread -lm; then
	echo "not ok preloads/build"
	exit 1
fi

# one NAME PRELOADS [VARIABLE=VALUE]...
one() {
	local name=$1 preloads=$2 status
	shift 2
	timeout -k 1 60 env CGOHEAP_ANY=1 CGOHEAP_SOCKET="$DIR/s" "$@" LD_PRELOAD="$preloads" \
		"$OUT/host" >"$DIR/out" 2>&1
	status=$?
	if [ $status = 7 ] && [ ! -s "$DIR/out" ]; then
		echo "ok preloads/$name"
	else
		echo "not ok preloads/$name: exit status $status (124: it waits for itself), want 7"
		head -n 10 "$DIR/out" | sed 's/^/    /'
	fi
}

one alone ""
for other in jealous dlsym allocator; do
	for bytes in 1 524288; do
		one "$other/before/$bytes" "$OUT/$other.so $SHIM" CGOHEAP_SAMPLE_BYTES=$bytes
		one "$other/behind/$bytes" "$SHIM $OUT/$other.so" CGOHEAP_SAMPLE_BYTES=$bytes
	done
	one "$other/before/dormant" "$OUT/$other.so $SHIM" CGOHEAP_START=dormant
done
