#!/usr/bin/env bash
# Services under seccomp filters that kill or return EPERM: entered before exec, as by systemd and
# container runtimes, or later by the program itself, for all its threads or for one. Every route
# and every verb of the command is used, with the recorder on, sampling every allocation and
# dormant; the service answers, keeps working, and exits as usual (7).
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=$PWD/tests/programs/seccomp
SHIM=${SECCOMP_SHIM:-$PWD/build/libcgoheap.so}
OUT=$PWD/build/seccomp
FILTERS=$OUT/filters
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
mkdir -p "$FILTERS"

ROUTES='/debug/pprof/ /debug/pprof/cgoheap /debug/pprof/cgoheap?debug=1 
	/debug/pprof/cgoheap?older=1ms /debug/pprof/cgoheap?symbols=none /debug/pprof/memory
	/debug/pprof/allheap /v1/status /v1/account /metrics'

build() {
	for list in "$HERE"/filters/*; do
		"$HERE/numbers.sh" "$list" >"$FILTERS/${list##*/}"
	done
	local program list
	for program in sandbox host; do
		"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin \
			-o "$OUT/$program" "$HERE/$program.c" -lpthread || return 1
	done
	(cd tests/programs/go-seccomp && CGO_ENABLED=1 go build -o "$OUT/go" .)
}

# ask PID SOCKET: uses every route and every verb; prints a line for each that did not answer.
ask() {
	local route status
	for route in $ROUTES $GROWTH; do
		status=$(curl -sS -m 20 -o "$DIR/body" -w '%{http_code}' \
			--unix-socket "$2" "http://x$route")
		case $status in
		200 | 404 | 501) ;;
		*) echo "GET $route: $status $(head -c 200 "$DIR/body" | tr -d '\0')" ;;
		esac
	done
	for route in '/v1/sampling?state=off' '/v1/sampling?state=on&sample_bytes=1' /v1/trim; do
		status=$(curl -sS -m 20 -o "$DIR/body" -w '%{http_code}' -X POST \
			--unix-socket "$2" "http://x$route")
		[ "$status" = 200 ] || echo "POST $route: $status $(head -c 200 "$DIR/body")"
	done
	CGOHEAP_SOCKET=$2 build/cgoheap list >"$DIR/verb" 2>&1 || echo "list: $(cat "$DIR/verb")"
	for verb in doctor explain 'top --once' "profile -o $DIR/profile" 'sampling off' \
		'sampling on' trim; do
		# shellcheck disable=SC2086
		set -- "$1" "$2" $verb
		build/cgoheap "$3" "$1" "${@:4}" >"$DIR/verb" 2>&1 ||
			echo "$verb: $(cat "$DIR/verb")"
		[ "$verb" != doctor ] || [ -z "$SAYS" ] || grep -q "seccomp  *$SAYS" "$DIR/verb" ||
			echo "doctor does not say '$SAYS': $(cat "$DIR/verb")"
	done
}

# serve NAME SECCOMP COMMAND...: the service answers and keeps running. SECCOMP: what the status
# must say.
serve() {
	local name=$1 seccomp=$2 dir status i
	shift 2
	dir=$(mktemp -d "$DIR/XXXXXX")
	local DIR=$dir socket=$dir/s
	mkfifo "$DIR/in"
	exec 9<>"$DIR/in" # neither end waits for the other
	mkdir "$DIR/box"
	env CGOHEAP_ANY=1 CGOHEAP_SOCKET="$socket" CGOHEAP_BLACKBOX="$DIR/box" \
		CGOHEAP_START="$START" CGOHEAP_SAMPLE_BYTES="$BYTES" "$@" \
		<"$DIR/in" >"$DIR/out" 2>"$DIR/err" 9>&- &
	local pid=$!
	for ((i = 0; i < 300; i++)); do
		grep -qs ready "$DIR/out" && break
		kill -0 $pid 2>/dev/null || break
		sleep 0.05
	done
	ask $pid "$socket" >"$DIR/failed"
	curl -s -m 20 --unix-socket "$socket" http://x/v1/status |
		grep -q "\"seccomp\":\"$seccomp\"" ||
		echo "the status does not say seccomp $seccomp" >>"$DIR/failed"
	{ printf xxx >&9; } 2>/dev/null
	exec 9>&-
	wait $pid 2>/dev/null
	status=$?
	if [ $status = 7 ] && [ ! -s "$DIR/failed" ] && grep -q "done" "$DIR/out" &&
		! grep -q . "$DIR/err"; then
		echo "ok seccomp/$name"
	else
		echo "not ok seccomp/$name: exit status $status" \
			"(159 is a filter that killed), want 7"
		head -n 20 "$DIR/failed" "$DIR/out" "$DIR/err" 2>/dev/null | sed 's/^/    /'
	fi
}

# The same, beside others: most of the time is a second that `top` looks at.
service() {
	while [ "$(jobs -rp | wc -l)" -ge 6 ]; do
		wait -n
	done
	{
		said=$(serve "$@")
		echo "$said"
	} &
}

if ! build >&2; then
	echo "not ok seccomp/build"
	exit 1
fi
SAYS='.*filter'
# The first is used long enough for the recorder to take an account meanwhile.
GROWTH='/debug/pprof/cgoheap?seconds=6'
# Sampling every allocation; then dormant until a verb turns sampling on.
for list in system-service-252 system-service-256 docker containerd; do
	START=sampling BYTES=1
	service "go/$list" filter "$OUT/sandbox" "$FILTERS/$list" kill "$SHIM" "$OUT/go"
	GROWTH=
	service "c/$list" filter "$OUT/sandbox" "$FILTERS/$list" kill "$SHIM" "$OUT/host"
	service "c/$list/entered_by_all" filter env LD_PRELOAD="$SHIM" "$OUT/host" \
		"$FILTERS/$list" kill all
done
START=dormant BYTES=524288
service go/dormant filter "$OUT/sandbox" "$FILTERS/system-service-252" kill "$SHIM" "$OUT/go"
service go/entered_by_all filter env LD_PRELOAD="$SHIM" "$OUT/go" "$FILTERS/system-service-252" \
	kill all
START=sampling
service go/errno filter "$OUT/sandbox" "$FILTERS/system-service-252" errno "$SHIM" "$OUT/go"
service c/errno filter "$OUT/sandbox" "$FILTERS/system-service-252" errno "$SHIM" "$OUT/host"
# A worker that allows what malloc needs; the shim's thread is not under its filter.
for BYTES in 1 524288; do
	service "c/locked_in/$BYTES" filter env LD_PRELOAD="$SHIM" "$OUT/host" \
		"$FILTERS/locked-in" kill one
done
# No system call in a hook: in the thread under the filter, and in threads before their first
# sample.
BYTES=1
service c/malloc_alone filter env LD_PRELOAD="$SHIM" "$OUT/host" "$FILTERS/malloc-alone" kill one
SAYS= # those threads have ended when it is asked
service c/malloc_alone/threads none env LD_PRELOAD="$SHIM" "$OUT/host" "$FILTERS/malloc-alone" \
	kill threads
BYTES=524288
service c/malloc_alone/coroutine none env LD_PRELOAD="$SHIM" "$OUT/host" "$FILTERS/malloc-alone" \
	kill coroutine
START=dormant SAYS='.*filter'
service c/locked_in/dormant filter env LD_PRELOAD="$SHIM" "$OUT/host" "$FILTERS/locked-in" kill one
wait
