#!/usr/bin/env bash
# Whether the preloaded library becomes active in a program: in Go programs, however linked and
# stripped, and in no other program, whose data it must not read.
set -u
cd "$(dirname "$0")/../../.." || exit 1
SHIM=$PWD/build/libcgoheap.so
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

# unsection FILE: removes the section table from its header, as sstrip does.
unsection() {
	dd if=/dev/zero of="$1" bs=1 seek=40 count=8 conv=notrunc status=none  # e_shoff
	dd if=/dev/zero of="$1" bs=1 seek=60 count=4 conv=notrunc status=none # e_shnum, e_shstrndx
}

# verdict NAME WANT GOT
verdict() {
	if [ "$2" = "$3" ]; then
		echo "ok children/$1"
	else
		echo "not ok children/$1: want $2, got $3"
	fi
}

says() { CGOHEAP_SOCKET=$DIR/sock LD_PRELOAD=$SHIM "$@" 2>&1; }

# The maximum number of resident MiB; the data has 64.
small() { # small NAME COMMAND...
	local name=$1 mib
	shift
	mib=$(says "$@")
	verdict "$name" small "$([ "$mib" -lt 16 ] && echo small || echo "$mib MiB")"
}

"${CC:-cc}" -O1 -o "$DIR/data" tests/programs/children/data.c || exit 1
small data_is_not_read "$DIR/data"
small through_the_loader /lib64/ld-linux-x86-64.so.2 "$DIR/data"
unsection "$DIR/data"
small no_sections_and_much_data "$DIR/data"

build() {
	(cd tests/programs/go-children && CGO_ENABLED=1 go build -o "$DIR/$1" "${@:2}" .) ||
		echo "not ok children/$1: not built"
}
build go
build pie -buildmode=pie
build stripped -ldflags='-s -w -buildid='
build stripped_pie -buildmode=pie -ldflags='-s -w -buildid='
for name in go pie stripped stripped_pie; do
	verdict "$name" true "$(says "$DIR/$name")"
	verdict "${name}_through_the_loader" true "$(says /lib64/ld-linux-x86-64.so.2 "$DIR/$name")"
	unsection "$DIR/$name"
	verdict "${name}_without_sections" true "$(says "$DIR/$name")"
done
