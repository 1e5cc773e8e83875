#!/bin/sh
# The fuzzers, 20 s each; longer by hand: make fuzz FUZZ_SECONDS=600.
exec "$(dirname "$0")/../../tools/fuzz"
