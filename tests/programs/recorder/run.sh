#!/usr/bin/env bash
# The recorder's file is on a file system that is frozen, as by a backup agent: the host keeps
# allocating and freeing, and is answered; what it did meanwhile is in the file once the file system
# thaws.
set -u
cd "$(dirname "$0")/../../.." || exit 1
SHIM=$PWD/build/libcgoheap.so
PATIENCE=30 # seconds, of what would wait for ever

skip() {
	echo "skip recorder/frozen $1"
	exit
}
[ "$(id -u)" = 0 ] || skip "only root may mount and freeze"
for tool in losetup mkfs.ext4 fsfreeze mount; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done

DIR=$(mktemp -d)
BOX=$DIR/box
pid=
finish() {
	fsfreeze -u "$BOX" 2>/dev/null # first: a process that waits for it cannot end
	[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
	wait 2>/dev/null
	wait 2>/dev/null
	umount "$BOX" 2>/dev/null
	rm -rf "$DIR"
}
trap finish EXIT

mkdir "$BOX"
truncate -s 64M "$DIR/image"
{ mkfs.ext4 -q "$DIR/image" && mount -o loop "$DIR/image" "$BOX"; } 2>"$DIR/err" ||
	skip "no loop device: $(head -n 1 "$DIR/err")"
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -o "$DIR/pairs" \
	tests/programs/recorder/pairs.c -lpthread || exit 1

mkfifo "$DIR/in" "$DIR/out"
CGOHEAP_ANY=1 CGOHEAP_SAMPLE_BYTES=1 CGOHEAP_SOCKET=$DIR/sock CGOHEAP_BLACKBOX=$BOX \
	LD_PRELOAD=$SHIM \
	"$DIR/pairs" <"$DIR/in" >"$DIR/out" 2>"$DIR/err" &
pid=$!
exec 3>"$DIR/in" 4<"$DIR/out"

# wants NAME LINE: the program must print LINE next.
wants() {
	local line=
	read -r -t $PATIENCE line <&4
	if [ "$line" = "$2" ]; then
		echo "ok recorder/$1"
	else
		echo "not ok recorder/$1: the program said \"$line\", want \"$2\""
		head -n 5 "$DIR/err" | sed 's/^/    /'
		exit
	fi
}

# written NAME BYTES: the file must soon say that this many bytes are in use.
written() {
	local i
	for i in $(seq $((PATIENCE * 5))); do
		build/cgoheap autopsy --json "$BOX"/*.cgoheap >"$DIR/autopsy" 2>&1
		if grep -Eq "\"in_use_bytes\": ?$2," "$DIR/autopsy"; then
			echo "ok recorder/$1"
			return
		fi
		sleep 0.2
	done
	echo "not ok recorder/$1: after $i looks"
	head -n 40 "$DIR/autopsy" | sed 's/^/    /'
	exit
}

wants starts ready
echo go >&3
wants before "done"
written writes $((100 * 7919))
fsfreeze -f "$BOX"
echo go >&3
wants while_frozen "done"
fsfreeze -u "$BOX"
written thawed $((200 * 7919))
