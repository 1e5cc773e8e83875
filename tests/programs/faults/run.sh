#!/usr/bin/env bash
# A shim whose system calls fail on command (shim/base/faultinject.h), preloaded into a C and a Go
# program. Whichever call fails, from the first to the last, the program ends with its usual exit
# code and output, in its usual time. The shim may only print a line or two on stderr; an invalid
# CGOHEAP_LISTEN makes it print something.
set -u
cd "$(dirname "$0")/../../.." || exit 1
SHIM=$PWD/build/faults/libcgoheap.so
RELEASED=$PWD/build/libcgoheap.so
LIMIT=20        # seconds a run
PATIENCE_MS=300 # of a host with a shim that does not answer

DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

build() {
	"${MAKE:-make}" --no-print-directory FAULTS=1 -j2 build/faults/libcgoheap.so >&2 || return 1
	mkdir -p build/hooks
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -o "$DIR/c" \
		tests/programs/faults/host.c -lpthread || return 1
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -o "$DIR/runs" \
		tests/programs/faults/runs.c || return 1
	(cd tests/programs/go-faults && CGO_ENABLED=1 go build -o "$DIR/go" .)
}

verdict() { # verdict NAME DIR
	if [ -s "$2/failed" ]; then
		echo "not ok faults/$1"
		head -n 40 "$2/failed" | sed 's/^/    /'
	elif [ ! -s "$2/count" ]; then
		echo "not ok faults/$1: no call of that name was made to fail"
	else
		echo "ok faults/$1"
	fi
	rm -rf "$2"
}

prepare() { # prepare HOST: the directory of a case, with what the host says by itself
	rm -rf "$DIR/case"
	mkdir "$DIR/case"
	"$DIR/$1" "$DIR/none" 1 >"$DIR/case/own"
}

# at_once HOST NAME: a run for each plan on stdin.
at_once() { "$DIR/runs" "$DIR/case" "$DIR/$1" "$2" "$SHIM" $LIMIT $PATIENCE_MS; }

# Each call by itself: batches of N, until a batch in which no call failed.
each() { # each HOST NAME [PREFIX]
	local from=1 step=100
	prepare "$1"
	while :; do
		seq "$from" $((from + step - 1)) | at_once "$1" "$2"
		[ -n "$(find "$DIR/case" -name 'done.*' -size +0 -print -quit)" ] || break
		find "$DIR/case" -name 'done.*' -delete
		echo $((from + step)) >"$DIR/case/count"
		from=$((from + step))
	done
	verdict "${3-}$1/each_call" "$DIR/case"
}

# All calls from one on: a resource that stays unavailable.
gone() { # gone HOST NAME [PREFIX]
	prepare "$1"
	printf '%s\n' 1+ 2+ 3+ 5+ 9+ | at_once "$1" "$2"
	find "$DIR/case" -name 'done.*' -size +0 -print >"$DIR/case/count"
	verdict "${3-}$1/no_more_$2" "$DIR/case"
}

# A kernel that lacks the call: the host's own calls are made.
lacking() { # lacking CALL HOST
	prepare "$2"
	export SHIM_FAULTS_ERROR=38 # ENOSYS
	printf '%s\n' 1+ | at_once "$2" "$1"
	unset SHIM_FAULTS_ERROR
	echo 1 >"$DIR/case/count" # not each call is made in these hosts
	verdict "$2/no_call_$1" "$DIR/case"
}

# A C library that lacks the function: the library works without it, or stays passive.
nameless() { # nameless FUNCTION HOST
	prepare "$2"
	export SHIM_LACKS=$1
	printf '%s\n' 1 | at_once "$2" none
	unset SHIM_LACKS
	echo 1 >"$DIR/case/count"
	verdict "$2/no_function_$1" "$DIR/case"
}

if ! build 2>"$DIR/err" >&2; then
	echo "not ok faults: the build failed"
	tail -n 20 "$DIR/err" | sed 's/^/    /'
	exit
fi

# The test build contains the fault injection, and the released library does not.
has() {
	strings -a "$1" | grep -q SHIM_FAULTS ||
		nm "$1" 2>/dev/null | grep -qi faultinject_syscall
}
if has "$SHIM" && ! has "$RELEASED"; then
	echo "ok faults/not_in_the_released_library"
else
	echo "not ok faults/not_in_the_released_library"
fi

# With a recorder, next to the files of two ended processes.
BOX=$DIR/box
mkdir "$BOX"
export CGOHEAP_BLACKBOX=$BOX
: >"$BOX/old.1.cgoheap"
: >"$BOX/old.2.cgoheap"
for name in openat mmap flock prlimit64 fallocate fcntl getdents64 newfstatat unlinkat fstatfs \
	readlinkat pwrite64; do
	gone c $name recorder/
done
CGOHEAP_LEAK_CHECK=1 gone c linkat recorder/
unset CGOHEAP_BLACKBOX

# A kernel older than 6.7: pages are found by reading 8 bytes for each possible page.
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -o "$DIR/sparse" \
	tests/programs/account/sparse.c
if CGOHEAP_ANY=1 CGOHEAP_START=dormant CGOHEAP_SOCKET=$DIR/sparse.sock SHIM_FAULTS=ioctl:1+ \
	LD_PRELOAD=$SHIM "$DIR/sparse" cut 2>"$DIR/err"; then
	echo "ok faults/no_quick_way_to_pages"
else
	echo "not ok faults/no_quick_way_to_pages"
	sed 's/^/    /' "$DIR/err"
fi

for host in c go; do
	each $host all
	for name in all thread pthread mmap munmap mprotect openat close read pread64 write fstat \
		readlinkat \
		fcntl socket bind listen accept4 getsockopt sendto recvfrom ppoll futex prctl \
		process_vm_readv; do
		gone $host $name
	done
done

# Each call of the table, and each function that the library looks up and does not simply pass on.
for call in $(sed -nE 's/^\t(COMMON|RARE)\(([a-z0-9_]*),.*/\2/p' shim/base/syscalls.h); do
	lacking "$call" go
done
for function in $(sed -n 's/^\tX(\([a-z_]*\),.*/\1/p' shim/base/libc.h) dl_iterate_phdr \
	_dl_find_object _dl_addr __vdso_clock_gettime gnu_get_libc_version mallinfo mallinfo2 \
	malloc_trim free_sized free_aligned_sized aligned_alloc memalign valloc pvalloc mmap \
	munmap mprotect mremap madvise thrd_create dlopen dlsym dlclose; do
	nameless "$function" c
	nameless "$function" go
done
