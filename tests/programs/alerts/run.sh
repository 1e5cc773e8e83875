#!/usr/bin/env bash
# Checks the alert of docs/alerts.yml with Prometheus's tool: its syntax, when it fires, and when it
# does not.
set -u
cd "$(dirname "$0")/../../.." || exit 1
command -v promtool >/dev/null || {
	echo "skip alerts no promtool: install prometheus"
	exit 0
}
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
cp docs/alerts.yml tests/programs/alerts/cases.yml "$DIR"

# line NAME COMMAND...
line() {
	if "${@:2}" >"$DIR/out" 2>&1; then
		echo "ok $1"
	else
		echo "not ok $1"
		sed 's/^/    /' "$DIR/out"
	fi
}

line alert-rules promtool check rules "$DIR/alerts.yml"
line alert-cases promtool test rules "$DIR/cases.yml"
# Shows that the cases can fail: a rule that considers only one hour fires on warm-up.
sed -i '/^          and cgoheap:c_live_bytes:floor_1h/d' "$DIR/alerts.yml"
line alert-cases-notice bash -c "! promtool test rules '$DIR/cases.yml'"
