#!/usr/bin/env bash
# What hooks can reach in the library's code: no function of libc that another preload may
# interpose, no floating-point register, no instruction that a sandbox forbids. Calls and taken
# addresses are followed from the hooks; shim/hook/hooks.allowed lists what is allowed, and where
# the walk ends, each with the reason.
set -u
cd "$(dirname "$0")/../.." || exit 1
LIB=${REACH_LIBRARY:-build/libcgoheap.so}
ALLOWED=shim/hook/hooks.allowed
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

roots() {
	sed -n 's/^\t\([a-z0-9_]*\);$/\1/p' shim/hook/interpose.map | grep -v bridge
	echo look_malloc look_free look_calloc look_realloc thread_main thread_main_c11 \
		unlist_thread stack_ended | tr ' ' '\n'
}

# Lines "FROM TO" over functions as NAME:ADDRESS (names of statics repeat): calls, jumps and
# addresses taken; imports as @NAME; and remarks about FROM as !WHAT.
edges() {
	objdump -d --no-show-raw-insn "$LIB" | awk '
		/^[0-9a-f]+ <.*>:$/ {
			sub(/^0+/, "", $1); gsub(/[<>:]/, "", $2); from = $2 ":" $1; next
		}
		from == "" { next }
		/%[xyz]mm[0-9]|[ \t]f(ld|st|in|add|mul|div|sub)[a-z]*[ \t]/ {
			print from, "!floating-point"
		}
		/[ \t](rdtscp?|cpuid|syscall)[ \t]*$/ { print from, "!" $2 }
		match($0, /[0-9a-f]+ <[^>]*>[ \t]*$/) {
			split(substr($0, RSTART, RLENGTH), part, " ")
			to = part[2]; gsub(/[<>]/, "", to)
			if (to ~ /@/) { sub(/@.*/, "", to); print from, "@" to }
			else if (to !~ /\+0x/) print from, to ":" part[1]
		}' | sort -u
}

# Every reachable function, with the chain of calls that leads there.
walk() {
	awk '
		FILENAME == ARGV[1] { if (/^end /) stop[$2] = 1; next }
		FILENAME == ARGV[2] { root[$1] = 1; next }
		{
			to[$1] = to[$1] " " $2; name = $1; sub(/:.*/, "", name)
			if (name in root && !($1 in chain)) { chain[$1] = name; queue[n++] = $1 }
		}
		END {
			for (i = 0; i < n; i++) {
				name = queue[i]; sub(/:.*/, "", name)
				count = name in stop ? 0 : split(to[queue[i]], list, " ")
				for (k = 1; k <= count; k++) {
					t = list[k]; short = t; sub(/:.*/, "", short)
					if (t ~ /^[@!]/) {
						if (!((t, name) in said)) {
							said[t, name] = 1
							print t, name, "(" chain[queue[i]] ")"
						}
					} else if (!(t in chain)) {
						chain[t] = chain[queue[i]] " > " short
						queue[n++] = t
					}
				}
			}
			print "functions", n
		}' "$ALLOWED" "$DIR/roots" "$DIR/edges"
}

roots >"$DIR/roots"
edges >"$DIR/edges"
walk >"$DIR/walk"
functions=$(sed -n 's/^functions //p' "$DIR/walk")
if [ "$functions" -gt 150 ]; then
	echo "ok reach/walk"
else
	echo "not ok reach/walk: it sees $functions functions: the hooks' own are more"
fi
# judge NAME SIGN: what is reached of that kind but not allowed by "import NAME why" or "remark WHAT
# FUNCTION why".
judge() {
	local found
	found=$(awk -v sign="$2" '
		NR == FNR && $1 == "import" { ok["@" $2] = 1 }
		NR == FNR && $1 == "remark" { ok["!" $2, $3] = 1 }
		NR == FNR { next }
		substr($1, 1, 1) == sign && !($1 in ok) && !(($1, $2) in ok)' \
		"$ALLOWED" "$DIR/walk")
	if [ -z "$found" ]; then
		echo "ok reach/$1"
	else
		echo "not ok reach/$1"
		echo "$found" | head -n 40 | sed 's/^/    /'
	fi
}
judge imports @
judge instructions '!'
# Lines that allow something that is no longer reached must be removed.
stale=$(awk 'NR == FNR { met[$1] = 1; met[$1, $2] = 1; next }
	($1 == "import" && !(("@" $2) in met)) || ($1 == "remark" && !(("!" $2, $3) in met))' \
		"$DIR/walk" "$ALLOWED")
if [ -z "$stale" ]; then
	echo "ok reach/allowed_is_met"
else
	echo "not ok reach/allowed_is_met: $stale"
fi
