#!/usr/bin/env bash
# run.sh's and more: each Go release in each way of building, code that signs return addresses, Go
# in shared libraries, and suites of C programs.
set -u
. "$(dirname "$0")/emulated.sh"
RELEASES=1.21.13,1.22.12,1.23.12,1.24.13,1.25.14,1.26.8,1.27.4

units ${LONG_UNITS//|/ }
e2e '^(TestStackShapes|TestLabels|TestPlugin|TestSharedLibrary|TestPurego|TestCallers)$' \
	CGOHEAP_E2E_GO=$RELEASES
e2e '^TestStackShapes$' CGOHEAP_E2E_GO=$RELEASES CGOHEAP_E2E_CFLAGS=-mbranch-protection=standard

# cases SUITE CASE...: a suite of C programs, as it is.
cases() {
	CASES_SHIM=$BUILD/libcgoheap.so CASES_OUT=$BUILD/$1 CASES_EMULATOR=$EMULATOR \
		CC=$CROSS-gcc CXX=$CROSS-g++ "tests/programs/$1/run.sh" "${@:2}" 2>&1
}
cases hooks
cases mappings
cases stress preloaded
