#!/usr/bin/env bash
# Half an hour of memory that is held for known reasons, and of the example with its leaks:
# `top --why` gives each stack its class, and the bytes.
# series.sh sets and reads what shellcheck misses.
# shellcheck disable=SC2034,SC2154
set -u
. "$(dirname "$0")/../series.sh"
BIN=$DIR/bin

(cd tests/programs/go-why && go build -o "$BIN/why" .) &&
	(cd examples/notes && go build -o "$BIN/notes" . && go build -o "$BIN/load" ./load) || {
	echo "not ok go-why: not built"
	exit 1
}

url_of() { sed -n 's/^listening on \(.*\) (pid.*/\1/p' "$DIR/$1.out"; }

# send NAME: requests to the example that leak about 400 KB a second, most of it by one upload in
# four: that is told from a cache by a hundred that stay.
send() {
	local seconds=$((60 * MINUTES + 60))
	"$BIN/load" -url "$(url_of "$1")" -duration "${seconds}s" -searches $((10 * seconds)) \
		-blobs "$seconds" -audits $((seconds / 2)) >"$DIR/$1.load" 2>&1
}

for interval in 512KiB 64KiB 4KiB; do
	name=why-$interval
	wanted $name && start $name $interval "$BIN/why"
	name=notes-$interval
	[ $interval != 4KiB ] && wanted $name || continue
	start $name $interval "$BIN/notes" -addr 127.0.0.1:0
	said $name listening
	send $name &
	helper[$name]=$!
done
# Go never collects garbage but once: what finalizers free is no leak.
wanted why-uncollected && GOGC=off start why-uncollected 64KiB "$BIN/why"

# each SECOND: a round of the load; the caches are filled before the first.
each() {
	local name
	for name in "${!process[@]}"; do
		[[ $name == why* ]] || continue
		(($1 > 1)) || echo warm >"$DIR/$name.in"
		echo "rounds 1" >"$DIR/$name.in"
		# Not at a mark of cohorts: what came in the five minutes before has outlived it.
		[ "$1:$name" != 330:why-uncollected ] || echo collect >"$DIR/$name.in"
	done
}
watch each

# true_bytes NAME FUNCTION: what the program says is in use.
true_bytes() {
	if [[ $1 == why* ]]; then
		sed -n 's/^truth //p' "$DIR/$1.out" | tail -n 1 | jq --arg f "$2" '.[$f].Live'
	else
		"$BIN/load" -truth -url "$(url_of "$1")" |
			awk -F'\t' -v f="$2" '$1 == "leak" && $2 == f { print $5 }'
	fi
}

# expect NAME FUNCTION[=FUNCTION] CLASS...: of the row with most bytes at the last look; nor was it
# called a leak before, unless it is one. Its bytes are within four standard errors, and a tenth, of
# the truth, which the program may tell of another function.
expect() {
	local name=$1 caller=${2%=*} source=${2#*=} rows wrong=
	shift 2
	wanted "$name" || return 0
	rows=$(jq -c --arg caller "$caller" '.rows | sort_by(-.in_use_bytes)[] | select(
		.go_caller == $caller and .origin == "malloc")' "$SERIES/$name.$MINUTES.json")
	jq -e .rows "$SERIES/$name.$MINUTES.json" >/dev/null || wrong="no answer"
	[ -n "$rows" ] || [ "$*" = churn ] || wrong="no row"
	[[ " $* " == *" leak "* ]] ||
		wrong+=$(classes "$name" ".go_caller == \"$caller\" and $IS_LEAK")
	wrong+=$(head -n 1 <<<"$rows" | jq -c --arg wanted " $* " \
		'select(.class as $class | $wanted | contains(" \($class) ") | not)')
	[ "$*" = churn ] || wrong+=$(jq -s -r --argjson true "$(true_bytes "$name" "$source")" '
		(map(.in_use_bytes) | add) as $found |
		(map(.standard_error_bytes * .standard_error_bytes) | add | sqrt) as $error |
		if ($found - $true | fabs) <= 4 * $error + $true / 10 then empty
		else "\($found) bytes, true are \($true)" end' <<<"$rows")
	if [ -z "$wrong" ]; then
		echo "ok go-why/$name/$caller"
	else
		echo "not ok go-why/$name/$caller: want $*"
		head -n 40 <<<"$wrong" | sed 's/^/    /'
	fi
}

for name in why-512KiB why-64KiB why-4KiB why-uncollected; do
	expect $name main.leak leak
	expect $name main.warmUp warm_up
	# Blocks of these live for as long as half an hour: they are no leak, but it may be too
	# early to say so.
	expect $name main.cacheSlow cache too_early
	expect $name main.cacheLRU cache too_early
	expect $name main.churn churn
	expect $name main.byHand churn
	expect $name main.byThread churn
done
# A cache of 8 MB has 15 samples at the usual interval.
for name in why-64KiB why-4KiB why-uncollected; do
	expect $name main.cacheRandom cache
	expect $name main.cacheFIFO cache churn
done
expect why-512KiB main.cacheRandom cache too_early
expect why-512KiB main.cacheFIFO cache churn too_early
# Few samples of the one in a hundred: it may be too early where they are not many.
expect why-512KiB main.drip leak too_early
expect why-64KiB main.drip leak too_early
expect why-4KiB main.drip leak
# Go collects each two minutes.
for name in why-64KiB why-4KiB; do
	expect $name main.finalized churn cache
	expect $name main.cleaned churn cache
done
for caller in main.finalized main.cleaned; do
	expect why-512KiB $caller churn cache too_early
	expect why-uncollected $caller churn cache too_early
done
for name in notes-512KiB notes-64KiB; do
	expect $name main.compress leak
	expect $name main.audit_actor leak
done
# Its leak is in 30 stacks of a few samples each.
expect notes-512KiB 'main.(*store).prepare=main.(*store).search' leak too_early
expect notes-64KiB 'main.(*store).prepare=main.(*store).search' leak
