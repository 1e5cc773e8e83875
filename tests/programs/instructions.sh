#!/usr/bin/env bash
# The budget of the fast path: at most 15 more instructions for a malloc and free pair while
# sampling, at most 6 while dormant or passive, counted by callgrind. Dormant and passive counts are
# exact. At 512 KiB the figure includes the few samples taken meanwhile, about two thirds of an
# instruction per pair with a spread of a tenth: half an instruction is allowed for them.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUDGET=15
BUDGET_OFF=6

# What malloc and free write where nothing is sampled, from the library's code: follows each
# function along every path that ends in a jump to the real one, and prints what stores to memory
# that is neither on the stack nor the thread's own (%fs), what locks, and what calls.
written() {
	objdump -d --no-show-raw-insn build/libcgoheap.so | awk -v function_name="$1" '
		BEGIN { n = 0 }
		/^[0-9a-f]+ </ { inside = $2 == "<" function_name ">:"; next }
		!inside || !/^ *[0-9a-f]+:/ { next }
		{
			at = $1; sub(":", "", at); sub(/^ *[0-9a-f]+:[ \t]*/, "")
			code[n] = $0; place[at] = n++
		}
		# Whether the path from here ends in the real function, marking its instructions.
		function ends_well(i,   op, to, here) {
			if (i in known) return known[i]
			known[i] = 0
			split(code[i], part, " "); op = part[1]; to = part[2]
			if (op == "jmp" && code[i] ~ /\*.*<(real|now)/) here = 1
			else if (op == "jmp") here = (to in place) && ends_well(place[to])
			else if (op ~ /^ret/) here = 0
			else {
				if (i + 1 < n && ends_well(i + 1)) here = 1
				if (op ~ /^j/ && (to in place) && ends_well(place[to])) here = 1
			}
			return known[i] = here
		}
		function is_bad(text,   last) {
			if (text ~ /^(lock|xchg|call|rep)/) return 1
			if (text ~ /^(cmp|test|j|nop|lea|push|mul|imul|bt)/) return 0
			sub(/ *[#<].*/, "", text)
			last = text; sub(/.*[ ,](%fs:)?/, "&", last)
			if (text !~ /\)$/) return 0
			return text !~ /%fs:[^ ,]*\)$/ && text !~ /\(%rsp[^)]*\)$/
		}
		END {
			if (!n || !ends_well(0))
				print function_name " has no way to the real function"
			for (i = 0; i < n; i++) {
				split(code[i], part, " ")
				if (known[i] && is_bad(code[i])) print function_name ": " code[i]
			}
		}'
}
stores=$(for name in malloc free calloc realloc look_malloc look_free look_calloc look_realloc; do
	written $name
done)
if [ -z "$stores" ]; then
	echo "ok instructions/stores"
else
	echo "not ok instructions/stores: the way past the sampler writes to memory that others see"
	awk '{ print "    " $0 }' <<<"$stores"
fi

if ! command -v valgrind >/dev/null; then
	echo "skip instructions valgrind is not installed"
	exit 0
fi
out=$(bench/instructions) || {
	echo "not ok instructions: bench/instructions failed"
	exit 1
}
check() { # check NAME ROW ALLOWED: the row's count less the plain one's
	local added
	added=$(awk -v row="$2" '
		$1 == "plain" { plain = $2 }
		$1 == row { found = $2 - plain }
		END { print found }' <<<"$out")
	if [ -n "$added" ] &&
		awk -v n="$added" -v max="$3" 'BEGIN { exit !(n > 0 && n <= max) }'; then
		echo "ok instructions/$1"
	else
		echo "not ok instructions/$1: $added more than plain, want at most $3"
		echo "$out" | awk '{ print "    " $0 }'
	fi
}
check dormant dormant $BUDGET_OFF
check passive passive $BUDGET_OFF
check sampling sampling $BUDGET.5

# The extra cost of frees of other blocks when many blocks are recorded: those with a filter
# collision look further.
MISSES=200000
ALLOWED=10
misses() { # misses LIVE: instructions of all frees, less starting up
	local frees
	for frees in 0 $MISSES; do
		valgrind --tool=callgrind --callgrind-out-file=build/test/misses \
			build/unit/count_misses "$1" $frees 2>&1 |
			sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
	done | awk 'NR == 1 { none = $1 } NR == 2 { printf "%d", $1 - none }'
}
mkdir -p build/test
none=$(misses 0) many=$(misses 100000)
added=$(awk -v none="${none:-x}" -v many="${many:-x}" -v n=$MISSES \
	'BEGIN { printf "%.2f", (many - none) / n }')
if [ -n "$none" ] && [ "$none" -gt $MISSES ] &&
	awk -v n="$added" -v max=$ALLOWED 'BEGIN { exit !(n > 0 && n <= max) }'; then
	echo "ok instructions/misses"
else
	echo "not ok instructions/misses: $added more a free at 100,000 live blocks than at none,"\
		"want at most $ALLOWED ($none, $many)"
fi
