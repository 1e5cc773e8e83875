#!/usr/bin/env bash
# Programs that leak nothing, with real libraries, at rest and under an even load, at the usual
# interval and at a fine one: for half an hour, `top --why` calls no stack a leak.
# series.sh sets and reads what shellcheck misses.
# shellcheck disable=SC2034,SC2154
set -u
. "$(dirname "$0")/../series.sh"
BIN=$DIR/bin
INTERVALS=(512KiB 16KiB)

(cd tests/programs/false-leaks && go build -o "$BIN/" ./sqlite ./duckdb ./kafka) &&
	(cd examples/notes && go build -o "$BIN/notes" . && go build -o "$BIN/load" ./load) || {
	echo "not ok false-leaks: not built"
	exit 1
}

# send NAME DURATION RATE: the example's requests, per second a search, an upload and an audit
# request for each of RATE.
send() {
	local url seconds=$2
	url=$(sed -n 's/^listening on \(.*\) (pid.*/\1/p' "$DIR/$1.out")
	"$BIN/load" -url "$url" -fixed -duration "${seconds}s" -searches $((10 * seconds)) \
		-blobs "$seconds" -audits "$seconds" >"$DIR/$1.load" 2>&1
}

begin_notes() { # NAME INTERVAL MODE
	start "$1" "$2" "$BIN/notes" -addr 127.0.0.1:0 -fixed
	said "$1" listening || return
	if [ "$3" = load ]; then
		send "$1" $((60 * MINUTES + 60)) &
		helper[$1]=$!
	else
		send "$1" 5
	fi
}

for program in sqlite duckdb kafka notes; do
	for mode in rest load; do
		for interval in "${INTERVALS[@]}"; do
			name=$program-$mode-$interval
			wanted "$name" || continue
			if [ $program = notes ]; then
				begin_notes "$name" "$interval" $mode
			else
				start "$name" "$interval" "$BIN/$program" $mode
				said "$name" ready
			fi
		done
	done
done
watch :

# verdict NAME: prints what is wrong.
verdict() {
	kill -0 "${process[$1]}" 2>/dev/null || echo "the program ended: $(tail -n 3 "$DIR/$1.err")"
	grep "^$1 " "$DIR/not_answered" 2>/dev/null | sed 's/^/no answer: /'
	classes "$1" "$IS_LEAK"
	# At rest too there is something to class, and half an hour is not too early.
	((MINUTES < 30)) || [ -n "$(classes "$1" '.class != "too_early"')" ] ||
		echo "no stack has a class"
}
for name in $(printf '%s\n' "${!process[@]}" | sort); do
	wrong=$(verdict "$name")
	if [ -z "$wrong" ]; then
		echo "ok false-leaks/$name"
	else
		echo "not ok false-leaks/$name"
		head -n 40 <<<"$wrong" | sed 's/^/    /'
	fi
done
