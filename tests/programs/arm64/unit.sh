#!/usr/bin/env bash
# One unit test, for emulated.sh's units: its lines in one piece, since others run beside it.
# shellcheck disable=SC2086 # words
text=$(timeout -k 5 300 $EMULATOR "$BUILD/unit/test_$1" 2>&1)
status=$?
lines=$(sed -e 's/^ok [0-9]* - /ok /' -e 's/^not ok [0-9]* # SKIP/skip/' \
	-e 's/^not ok [0-9]* - /not ok /' -e 's/^# /    /' <<<"$text" |
	awk -v name="$1" -v status=$status -f "$HERE/unit.awk" "$HERE/emulator.skip" -)
echo "$lines"
