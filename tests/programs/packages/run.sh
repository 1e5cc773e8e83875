#!/usr/bin/env bash
# What is installed and packaged. long.sh builds all of it twice and installs it in more roots.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/packages
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
. $HERE/goget.sh

# verdict NAME TEXT: ok if there is nothing to say.
verdict() {
	if [ -z "$2" ]; then
		echo "ok packages/$1"
	else
		echo "not ok packages/$1"
		echo "$2" | sed 's/^/    /'
	fi
}

# ---- the Go package --------------------------------------------------------------------

"${MAKE:-make}" -s install DESTDIR="$DIR/tree" PREFIX=/usr || exit 1
for release in 1.21.13 "$(go env GOVERSION | sed 's/^go//')"; do
	verdict "go_get_$release" "$(goget "$DIR/tree/usr/share/cgoheap/proxy" "$release")"
done
