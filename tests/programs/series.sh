# shellcheck shell=bash disable=SC2034
# Sourced by suites that watch programs for half an hour: starts them under the library, and each
# minute saves what each profile says of ages (NAME.MINUTE.pb.gz) and how `top --why` classes its
# stacks (NAME.MINUTE.json), in $SERIES.
#
# SERIES_MINUTES: how long (30). SERIES_DIR: a directory that is kept. SERIES_BUILD: where the
# library and the command are (build). With arguments, a suite starts only those programs.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
ROOT=$PWD
BUILD=${SERIES_BUILD:-$ROOT/build}
MINUTES=${SERIES_MINUTES:-30}
DIR=$(mktemp -d)
SERIES=${SERIES_DIR:-$DIR/series}
only=$*
mkdir -p "$SERIES"
export XDG_RUNTIME_DIR=$DIR TMPDIR=$DIR
unset LD_PRELOAD
declare -A process=() helper=() # of each program: itself, and who sends it requests

over() {
	kill "${process[@]}" "${helper[@]}" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$DIR"
}
trap over EXIT

wanted() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }

# start NAME SAMPLE_BYTES PROGRAM [ARG...]: it runs until the suite ends; its stdin is the pipe
# $DIR/NAME.in, its stdout $DIR/NAME.out.
start() {
	local name=$1
	mkfifo "$DIR/$name.in"
	: >"$DIR/$name.out"
	CGOHEAP_SAMPLE_BYTES=$2 LD_PRELOAD=$BUILD/libcgoheap.so "${@:3}" <>"$DIR/$name.in" \
		>"$DIR/$name.out" 2>"$DIR/$name.err" &
	process[$name]=$!
}

# said NAME TEXT: waits until the program has said it.
said() {
	until grep -q "$2" "$DIR/$1.out"; do
		kill -0 "${process[$1]}" 2>/dev/null || return 1
		sleep 0.1
	done
}

# look MINUTE: at each program.
look() {
	local name file
	for name in "${!process[@]}"; do
		file=$SERIES/$name.$1
		"$BUILD/cgoheap" top "${process[$name]}" --once --why --json -n 100000 \
			>"$file.json" 2>"$file.err" || echo "$name minute $1" >>"$DIR/not_answered"
		curl -sf --unix-socket "$DIR/cgoheap-$(id -u)/${process[$name]}.sock" \
			-o "$file.pb.gz" "http://cgoheap/debug/pprof/cgoheap?labels=age"
	done
}

# watch EACH: calls EACH SECOND every second, and looks every minute.
watch() {
	local second begin=$SECONDS
	for ((second = 1; second <= 60 * MINUTES; second++)); do
		while ((SECONDS - begin < second)); do sleep 0.05; done
		"$1" "$second"
		((second % 60)) || look $((second / 60))
	done
}

# classes NAME FILTER: the rows of all minutes that jq's filter selects, with their minutes.
classes() {
	local minute
	for ((minute = 1; minute <= MINUTES; minute++)); do
		jq -c --argjson minute "$minute" ".rows[]? | select($2) | {minute: \$minute} + ." \
			"$SERIES/$1.$minute.json"
	done
}

# For jq: a row with a stack that is called a leak.
IS_LEAK='(.class == "leak" or any(.parts[]?; .class == "leak"))'
