#!/usr/bin/env bash
# More than run.sh: each Go release in each way of building, code that signs return addresses, unit
# tests that compute for long, and programs of the hooks.
set -u
. "$(dirname "$0")/emulated.sh"
RELEASES=1.21.13,1.22.12,1.23.12,1.24.13,1.25.14,1.26.8,1.27.4

units ${LONG_UNITS//|/ }
e2e '^(TestStackShapes|TestLabels|TestPlugin)$' CGOHEAP_E2E_GO=$RELEASES
e2e '^TestStackShapes$' CGOHEAP_E2E_GO=$RELEASES CGOHEAP_E2E_CFLAGS=-mbranch-protection=standard

# The hooks' programs, without those that start others, read the emulator's maps or need another
# allocator.
CASES_SHIM=$BUILD/libcgoheap.so CASES_OUT=$BUILD/hooks CASES_EMULATOR=$EMULATOR CC=$CROSS-gcc \
	CXX=$CROSS-g++ tests/programs/hooks/run.sh every_function realloc failures errno_kept \
	before_constructor threads full throws loader_caller 2>&1 |
	sed 's#^\(ok\|not ok\|skip\) #&arm64/#'
