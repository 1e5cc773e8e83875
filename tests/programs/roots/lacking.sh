#!/usr/bin/env bash
# Roots with libc alone that lack something more: services in C and in Go, with glibc and with musl,
# say and return there what they do without the library. `lacking.sh` runs all rows of the table;
# `lacking.sh ROW` is one of them, and to be run in a mount namespace of its own.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/roots
OUT=$PWD/build/roots/lacking
. $HERE/checks.sh
unset CGOHEAP_SOCKET

# What is lacking, and what is done for that to a root with all else.
ROWS='libm :
proc umount -l proc
dev umount -l dev
proc_and_dev umount -l proc dev
tmp umount tmp; rmdir tmp
tmp_to_write mount -o remount,ro tmp
tmp_to_execute mount -o remount,noexec tmp
anything_to_write mount -o remount,ro tmp; mount -o remount,ro .
all_but_libc umount -l proc dev; umount tmp; rm -r proc dev tmp
user_name user=1234
user_and_tmp user=1234; umount tmp; rmdir tmp
leave_to_write user=1234; chmod 700 tmp
leave_to_read user=1234; chmod 0 libcgoheap.so
library rm libcgoheap.so
whole_library : >libcgoheap.so
right_processor printf "\\267" | dd of=libcgoheap.so bs=1 seek=18 conv=notrunc status=none'
PROGRAMS="c go c_musl go_musl"
# That loader takes such a library for one of its own, and ends the program.
LOADERS_OWN=" right_processor/c_musl right_processor/go_musl "

# compile CC SUFFIX: the programs.
compile() {
	"$1" -O1 -o "$OUT/root/c$2" $HERE/service.c &&
		(cd $HERE/gomusl && CC=$1 go build -ldflags=-linkmode=external \
			-o "$OUT/root/go$2" .)
}

make_root() {
	local cc=${CC:-cc}
	rm -rf "$OUT"
	mkdir -p "$OUT/mnt" "$OUT/root"/{proc,tmp,dev}
	cp build/libcgoheap.so "$OUT/root" && compile "$cc" "" &&
		"$cc" -O1 -static -o "$OUT/root/launch" $HERE/launch.c || return
	ldd "$OUT/root/go" | grep -o '/[^ ]*' | xargs cp -L --parents -t "$OUT/root" || return
	command -v musl-gcc >/dev/null || return 0
	compile musl-gcc _musl && cp -L --parents /lib/ld-musl-x86_64.so.1 "$OUT/root"
}

# What the loader of libc says of a library that it cannot load is its own business.
launch() {
	local preload=${LD_PRELOAD-}
	unset LD_PRELOAD
	chroot --userspec="$user:$user" . /launch "$preload" "/$1" 2>&1 |
		sed "/^ERROR: ld.so: object '.libcgoheap.so' from LD_PRELOAD cannot be /d"
	return "${PIPESTATUS[0]}"
}

row() {
	local program user=0 said
	mount -t tmpfs -o mode=755 none "$OUT/mnt" && cp -a "$OUT/root/." "$OUT/mnt" &&
		cd "$OUT/mnt" && mount --rbind /proc proc && mount --rbind /dev dev &&
		mount -t tmpfs -o mode=1777 none tmp &&
		eval "$(sed -n "s/^$1 //p" <<<"$ROWS")" || exit
	for program in $PROGRAMS; do
		[ -e "$program" ] && [[ $LOADERS_OWN != *" $1/$program "* ]] || continue
		said=$(launch "$program"; echo "status $?")
		[[ $said == *served*"status 3" ]] || echo "$program itself: $said"
		unchanged /libcgoheap.so launch "$program" | sed "s/^/$program: /"
	done
}

if [ $# = 1 ]; then
	row "$1"
	exit
fi
make_root || exit
for name in $(sed 's/ .*//' <<<"$ROWS"); do
	verdict "no_$name" "$(unshare -m "$0" "$name" 2>&1 || echo "exit status $?")"
done
