#!/usr/bin/env bash
# `make test-reach`: in the root of each Debian release, the hooks, mappings and stress programs and
# the demo run with the library that is built here, and the library built there asks for the same;
# in the root of musl, what was built here for musl. ROOTS: the names (default: all).
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/roots

for root in ${ROOTS:-$(tools/roots list)}; do
	if ! why=$(tools/roots make "$root" 2>&1 >/dev/null); then
		echo "skip roots/$root $why"
		continue
	fi
	what="in_root.sh long"
	if [ "$root" = musl ]; then
		$HERE/musl.sh compile || echo "not ok roots/musl: its programs are not compiled"
		what="musl.sh run"
	fi
	tools/roots run "$root" "$HERE/$what" 2>&1 |
		sed -u "s#^\\(ok\\|not ok\\|skip\\) #\\1 roots/$root/#"
done
