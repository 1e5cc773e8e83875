#!/usr/bin/env bash
# Who reads events does not slow the program: at the default interval, malloc and free in the
# library take the same number of instructions per pair with a reader and without, counted by
# callgrind. The few samples have counts of their own, in other functions.
set -u
cd "$(dirname "$0")/../../.." || exit 1
PAIRS=200000
SHIM=$PWD/build/libcgoheap.so
OUT=build/events
if ! command -v valgrind >/dev/null; then
	echo "skip events/instructions valgrind is not installed"
	exit 0
fi
DIR=$(mktemp -d)
reader='' host=''
finish() {
	[ -z "$host" ] || kill "$host" 2>/dev/null
	[ -z "$reader" ] || kill "$reader" 2>/dev/null
	rm -rf "$DIR"
}
trap finish EXIT
mkdir -p "$OUT"
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -fno-builtin -pthread -Wl,-z,now -o "$OUT/pairs" \
	tests/programs/events/pairs.c || exit 1

# wait_for FILE TEXT
wait_for() {
	local i
	for ((i = 0; i < 600; i++)); do
		grep -qs "$2" "$1" && return 0
		sleep 0.1
	done
	echo "not ok events/instructions: no $2 in $1"
	exit 1
}

# fast_path NAME [reader]: instructions of the hooks themselves per pair.
fast_path() {
	local name=$1 in
	mkfifo "$DIR/$name.in"
	env LD_PRELOAD="$SHIM" CGOHEAP_ANY=1 CGOHEAP_SOCKET="$DIR/$name.sock" \
		valgrind --tool=callgrind --callgrind-out-file="$DIR/$name.out" "$OUT/pairs" \
		<"$DIR/$name.in" >"$DIR/$name.said" 2>"$DIR/$name.err" &
	host=$!
	exec {in}>"$DIR/$name.in"
	wait_for "$DIR/$name.said" ready
	if [ $# -gt 1 ]; then
		curl -sN --unix-socket "$DIR/$name.sock" http://cgoheap/v1/events \
			>"$DIR/$name.events" {in}>&- &
		reader=$!
		wait_for "$DIR/$name.events" '"kind":"sampling"'
	fi
	echo $PAIRS >&"$in"
	# The library's thread, which sends, runs when valgrind lets it: the program waits for it.
	[ $# -eq 1 ] || wait_for "$DIR/$name.events" '"kind":"alloc"'
	exec {in}>&-
	wait "$host"
	host=''
	[ -z "$reader" ] || wait "$reader"
	reader=''
	callgrind_annotate --threshold=100 --show=Ir "$DIR/$name.out" |
		awk -v pairs=$PAIRS -F'[ (]+' '
			/:look_(malloc|free)( |$)/ { gsub(",", ""); sum += $1 ? $1 : $2; found++ }
			END { if (found >= 2) printf "%.2f\n", sum / pairs }'
}

fast_path alone >"$DIR/alone"
fast_path read reader >"$DIR/with"
alone=$(cat "$DIR/alone") with=$(cat "$DIR/with")
# How many samples there were, which is up to chance, is a hundredth of an instruction.
if awk -v a="${alone:-0}" -v b="${with:-9}" 'BEGIN { exit !(a - b < 0.1 && b - a < 0.1) }'; then
	echo "ok events/instructions"
else
	echo "not ok events/instructions: ${alone:-?} a pair alone, ${with:-?} with a reader"
fi
if grep -q '"kind":"alloc"' "$DIR/read.events" && ! grep -q '"kind":"lost"' "$DIR/read.events"; then
	echo "ok events/read"
else
	echo "not ok events/read: $(cut -c1-200 "$DIR/read.events" | head -n 5)"
fi
