#!/usr/bin/env bash
# Checks the alerts of docs/fleet with promtool (their syntax, when they fire, and when they do not)
# and the configuration of Prometheus.
set -u
cd "$(dirname "$0")/../../.." || exit 1
command -v promtool >/dev/null || {
	echo "skip alerts no promtool: install prometheus"
	exit 0
}
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
cp docs/fleet/alerts.yml docs/fleet/prometheus.yml tests/programs/alerts/cases.yml "$DIR"

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
line prometheus-config promtool check config "$DIR/prometheus.yml"
line alert-cases promtool test rules "$DIR/cases.yml"
# Shows that the cases can fail: a rule that considers only one hour fires on warm-up.
sed -i '/^          and cgoheap:c_live_bytes:floor_1h/d' "$DIR/alerts.yml"
line alert-cases-notice bash -c "! promtool test rules '$DIR/cases.yml'"
