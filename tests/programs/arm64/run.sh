#!/usr/bin/env bash
# The library for arm64 under an emulator: the unit tests, and stacks, labels and a plugin against
# what Go itself and libgcc say of them. long.sh has more Go releases and more programs.
# docs/platforms.md lists what an emulator cannot show.
set -u
. "$(dirname "$0")/emulated.sh"

# Those that compute for long are long.sh's.
mapfile -t names < <(all_units | grep -vxE "$LONG_UNITS")
units "${names[@]}"
e2e '^(TestStackShapes|TestLabels)$/^go(1.21.13|1.27.4)-plain$' CGOHEAP_E2E_GO=1.21.13,1.27.4
e2e '^TestPlugin$'
