#!/usr/bin/env bash
# Checks the protocols of the library's shared data by a model checker, GenMC, under IMM, a memory
# model that allows all that arm64 does. A model, NAME.c, includes the sources that it checks. Its
# first comment has lines
#   with FILE SED     what is changed to make the program small, or that the checker cannot execute
#   break FILE SED    an order that is needed: with this change the checker finds an error
# $GENMC is the checker, or genmc in the path; CONTRIBUTING.md, "Memory order", says how to get it.
# Arguments: names of models. `fits` needs no checker: says which models do not fit the sources.
set -u
cd "$(dirname "$0")/../.." || exit 1
genmc=${GENMC:-$(command -v genmc)}
overlay=$(mktemp -d)
trap 'rm -rf "$overlay"' EXIT

# change FILE SED: in the overlay, which comes before shim/. Says so where it changes nothing.
change() {
	local to=$overlay/${1#shim/} before=$1
	[ ! -e "$to" ] || before=$to
	mkdir -p "$(dirname "$to")"
	sed "$2" "$before" >"$to.new"
	cmp -s "$before" "$to.new" && echo "'$2' changes nothing in $1"
	mv "$to.new" "$to"
}

# changes NAME KIND: those lines of the model's comment.
changes() { sed -n "/\*\//q; s/^ \* $2 //p" "tests/order/$1.c"; }

# prepare NAME: the overlay as its `with` lines have it.
prepare() {
	local file sed
	rm -rf "${overlay:?}"/*
	while read -r file sed; do change "$file" "$sed"; done < <(changes "$1" with)
}

options() {
	printf '%s\n' -std=gnu11 -D_GNU_SOURCE "-I$overlay" -Ishim -Itests/order "tests/order/$1.c"
}

# fit NAME: what is wrong with it.
fit() {
	local file sed
	prepare "$1"
	# shellcheck disable=SC2046 # words
	"${CC:-cc}" -fsyntax-only -w $(options "$1")
	while read -r file sed; do change "$file" "$sed"; done < <(changes "$1" break)
}

# explore NAME: what the checker says of it. It does not know all that clang makes at -O2.
explore() {
	# shellcheck disable=SC2046 # words
	timeout 600 "$genmc" -imm --disable-estimation --disable-spin-assume -- -O1 -w \
		$(options "$1") 2>&1
}

# say NAME EXPECTED SAID REASON
say() {
	if [[ $3 == *"$2"* ]]; then
		echo "ok $1"
	else
		echo "not ok $1: $4"
		echo "$3" | tail -n 40 | sed 's/^/    /'
	fi
}

model() {
	local name=$1 file sed n=0
	say "$name" 'No errors were detected' "$(prepare "$name" && explore "$name")" 'an error'
	while read -r file sed; do
		n=$((n + 1))
		say "$name-break-$n" 'Assertion violation' \
			"$(prepare "$name" && change "$file" "$sed" && explore "$name")" \
			"no error is found with $file changed by '$sed'"
	done < <(changes "$name" break)
}

run=model
[ "${1-}" != fits ] || { run=fit && shift; }
if [ $run = model ] && [ -z "$genmc" ]; then
	echo "skip order GenMC is not installed (CONTRIBUTING.md, Memory order)"
	exit 0
fi
mapfile -t names < <(cd tests/order && ls ./*.c | sed 's|./||; s|\.c$||')
[ $# != 0 ] || set -- "${names[@]}"
for name; do $run "$name"; done
