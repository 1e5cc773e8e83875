#!/usr/bin/env bash
# One built library under other C libraries: in root file systems that lack something each; in one
# of musl, without glibc; and in a root of Debian 11 (glibc 2.31, whose thread functions and dlopen
# are in libraries beside libc). `make test-reach` (long.sh) does more, in more roots.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/roots

# ---- roots with little in them -----------------------------------------------------------

if [ "$(id -u)" != 0 ]; then
	echo "skip roots/lacking chroot needs root"
elif ! unshare -m true 2>/dev/null; then
	echo "skip roots/lacking no mount namespace can be made here"
else
	$HERE/lacking.sh 2>&1 | sed -u "s#^\\(ok\\|not ok\\) #\\1 roots/#"
fi

# ---- musl ------------------------------------------------------------------------------

if ! command -v musl-gcc >/dev/null; then
	echo "skip roots/musl musl-gcc is not installed"
elif ! why=$(tools/roots make musl 2>&1 >/dev/null); then
	echo "skip roots/musl $why"
else
	$HERE/musl.sh compile short || echo "not ok roots/musl: its programs are not compiled"
	tools/roots run musl "$HERE/musl.sh run short" 2>&1 |
		sed -u "s#^\\(ok\\|not ok\\|skip\\) #\\1 roots/musl/#"
fi

# ---- Debian 11 -------------------------------------------------------------------------

root=debian11
why=$(tools/roots make $root 2>&1 >/dev/null)
if [ $? = 77 ]; then
	echo "skip roots/$root $why"
	exit
fi
tools/roots run $root "$HERE/in_root.sh short" 2>&1 |
	sed "s#^\\(ok\\|not ok\\|skip\\) #\\1 roots/$root/#"
