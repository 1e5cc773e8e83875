#!/bin/sh
# numbers.sh LIST: prints a list of names from filters/ as lines NUMBER=ERROR, for the calls that
# this processor has.
sed 's/ /\n/g' "$1" | sed '/./!d; s/^/__NR_/; /=/!s/$/=0/' |
	"${CC:-cc}" -E -P -include sys/syscall.h - |
	sed -n 's/^\([0-9]*\) *= *\([0-9]*\)$/\1=\2/p'
