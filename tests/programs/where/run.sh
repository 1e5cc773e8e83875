#!/usr/bin/env bash
# Where services run: each case makes a container on the spot (enter.c), starts a service in it
# (service.c) under the library, and asks the command from outside.
set -u
cd "$(dirname "$0")/../../.." || exit 1
HERE=tests/programs/where
SHIM=$PWD/build/libcgoheap.so
CGOHEAP=$PWD/build/cgoheap
OUT=$PWD/build/where
if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
	echo "skip where making namespaces needs root"
	exit
fi
if ! unshare -U true 2>/dev/null; then
	echo "skip where no user namespace can be made here (the kernel allows none in a chroot)"
	exit
fi
mkdir -p "$OUT"
# Every path through it is too long for a socket's address.
DIR=$(mktemp -d /tmp/cgoheap-where-XXXXXX)
LONG=$DIR/$(printf 'x%.0s' {1..120})
mkdir "$LONG"
chmod 755 "$DIR"
# What explain keeps: as root, and as another user.
mkdir -m 700 "$DIR/kept" "$DIR/owner"
chown 4321 "$DIR/owner"
export XDG_RUNTIME_DIR=$DIR/kept
STARTED=()
end_started() {
	[ ${#STARTED[@]} = 0 ] || kill -9 "${STARTED[@]}" 2>/dev/null
	wait 2>/dev/null
	STARTED=()
}
trap 'end_started; rm -rf "$DIR"' EXIT
only=$*

"${CC:-cc}" -O1 -static -o "$OUT/enter" $HERE/enter.c &&
	"${CC:-cc}" -O1 -pthread -o "$OUT/service" $HERE/service.c || exit 1

# ---- the steps of a case ----------------------------------------------------------------

# A root with the service, what it is linked to, and the library; nothing else.
make_root() {
	local root=$1 file
	mkdir -p "$root"/{tmp,proc,dev/shm,lib}
	chmod 1777 "$root/tmp" "$root/dev/shm"
	cp "$OUT/service" "$SHIM" "$CGOHEAP" "$root/"
	for file in $(ldd "$OUT/service" | grep -o '/[^ ]*'); do
		cp -L --parents "$file" "$root"
	done
}

# ROOT is set where they are run.
# shellcheck disable=SC2016
READONLY='mount --bind $ROOT $ROOT && mount -o remount,ro,bind $ROOT'
# shellcheck disable=SC2016
SHM='mount -t tmpfs -o mode=1777 shm $ROOT/dev/shm'
# shellcheck disable=SC2016
TMP='mount -t tmpfs -o mode=1777 tmp $ROOT/tmp'
# shellcheck disable=SC2016
PROC='mount -t proc proc $ROOT/proc'

PROGRAM=/service LIBRARY=/libcgoheap.so # as they are called in a root

# start NAME [OPTION]... ROOT SETUP [VARIABLE=VALUE | ARGUMENT]...: sets PID once it is ready.
start() {
	local name=$1 options=() root setup
	shift
	while [[ $1 = -* ]]; do
		options+=("$1")
		[[ $1 = -[uUo] ]] && options+=("$2") && shift
		shift
	done
	root=$1 setup=$2
	shift 2
	"$OUT/enter" "${options[@]}" "$root" "$setup" "$PROGRAM" \
		LD_PRELOAD="$LIBRARY" CGOHEAP_ANY=1 CGOHEAP_VERBOSE=1 "$@" \
		>"$DIR/$name.out" 2>"$DIR/$name.err" &
	until grep -qs ready "$DIR/$name.out"; do
		if ! kill -0 $! 2>/dev/null; then
			echo "the service did not start: $(cat "$DIR/$name.err")" >>"$DIR/wrong"
			PID=0
			return 1
		fi
		sleep 0.01
	done
	PID=$(head -n 1 "$DIR/$name.out")
	STARTED+=("$PID")
}

wrong() { echo "$*" >>"$DIR/wrong"; }

# said NAME TEXT: what the service has on stderr, with its process ID as PID.
said() {
	local text
	text=$(cat "$DIR/$1.err")
	[ "$text" = "$2" ] || wrong "stderr of the service: '$text', want '$2'"
}

# says STATUS PATTERN COMMAND...: what the command must answer.
says() {
	local status=$1 pattern=$2 text got
	shift 2
	text=$(timeout 30 "$@" 2>&1)
	got=$?
	if [ $got != "$status" ] || [[ $text != *$pattern* ]]; then
		wrong "$(printf '%s: status %s, want %s, and %s in:\n%s' "${*##*/}" $got \
			"$status" "$pattern" "$text")"
	fi
}

# socket_of PID PATH: the library answers, and says that it is there.
socket_of() {
	says 0 " socket     $2 answers" "$CGOHEAP" doctor "$1"
}

verdict() {
	end_started
	if [ -s "$DIR/wrong" ]; then
		echo "not ok where/$1"
		sed 's/^/    /' "$DIR/wrong"
	else
		echo "ok where/$1"
	fi
	rm -f "$DIR/wrong"
}

case_of() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }

ROOT=$LONG/root
make_root "$ROOT"

# ---- where the socket is ----------------------------------------------------------------

# What Kubernetes calls restricted, without /tmp: each verb works from outside.
if case_of pod; then
	rmdir "$ROOT/tmp"
	start pod -p -n -U 300000 -u 4321 "$ROOT" "$READONLY && $SHM && $PROC"
	said pod ''
	socket_of "$PID" /dev/shm/cgoheap-4321/1.sock
	says 0 "$PID  sampling" "$CGOHEAP" list
	says 0 'C live*~8.0 MiB' "$CGOHEAP" explain "$PID"
	says 0 '~8.0 MiB' "$CGOHEAP" top --once "$PID"
	says 0 '8.0 MiB' "$CGOHEAP" profile "$PID" -o "$DIR/pod.pb.gz"
	says 0 '' "$CGOHEAP" collect "$PID" -o "$DIR/pod.scene"
	says 0 '"owner_c_live_bytes":8' "$CGOHEAP" watch "$PID" --json --for 2s
	# Inside, where there is no shell: as the user, who has no name, and as the root of there.
	inside=(nsenter -t "$PID" --all --root)
	says 0 'C live*~8.0 MiB' "${inside[@]}" -S 4321 -G 4321 /cgoheap explain 1
	says 0 '1  sampling' "${inside[@]}" -S 0 -G 0 /cgoheap list
	says 1 'will be in /dev/shm/cgoheap-4321, because there is no /tmp' "${inside[@]}" \
		-S 4321 -G 4321 /cgoheap doctor /service --json
	says 0 '"state": "dormant"' "$CGOHEAP" sampling "$PID" off --json
	verdict pod
	mkdir -m 1777 "$ROOT/tmp"
fi

# A daemon that gave up root, and one in a user namespace, where the user of the socket's
# directory and that of the process are two that root has no name for.
if case_of daemon; then
	start daemon "$ROOT" "$TMP" user 4321
	socket_of "$PID" "/tmp/cgoheap-0/$PID.sock"
	start inner -p -U 300000 "$ROOT" "$TMP && $PROC" user 4321
	socket_of "$PID" /tmp/cgoheap-0/1.sock
	verdict daemon
fi

# As podman and docker make it without root: a user namespace that belongs to a user, who is root in
# it. Another user of it is none that this one may act as, but inside it is.
if case_of rootless; then
	cp "$CGOHEAP" "$DIR/cgoheap"
	own=(env XDG_RUNTIME_DIR="$DIR/owner")
	as_owner=("${own[@]}" setpriv --reuid 4321 --regid 4321 --clear-groups)
	start rootless -p -U 300000 -o 4321 "$ROOT" "$TMP && $PROC"
	socket_of "$PID" /tmp/cgoheap-0/1.sock
	says 0 'C live*~8.0 MiB' "${as_owner[@]}" "$DIR/cgoheap" explain "$PID"
	start user -p -U 300000 -o 4321 -u 1000 "$ROOT" "$TMP && $PROC"
	socket_of "$PID" /tmp/cgoheap-1000/1.sock
	says 1 "nsenter -t $PID --user --preserve-credentials cgoheap" \
		"${as_owner[@]}" "$DIR/cgoheap" explain "$PID"
	says 0 'C live*~8.0 MiB' "${as_owner[@]}" nsenter -t "$PID" --user \
		--preserve-credentials "$DIR/cgoheap" explain "$PID"
	# Root without the right to act as another.
	says 1 "nsenter -t $PID --user cgoheap" setpriv --bounding-set -setuid \
		--inh-caps -setuid "$CGOHEAP" explain "$PID"
	says 0 'C live*~8.0 MiB' "${own[@]}" nsenter -t "$PID" --user \
		"$CGOHEAP" explain "$PID"
	verdict rootless
fi

# The program changed its root since: the socket is in the one it came from.
if case_of chroot; then
	mkdir "$DIR/new"
	PROGRAM=$OUT/service LIBRARY=$SHIM \
		start chroot / : XDG_RUNTIME_DIR="$DIR" root "$DIR/new"
	socket_of "$PID" "$DIR/cgoheap-0/$PID.sock"
	verdict chroot
fi

# No /proc in the service: it serves, and its account is unknown.
if case_of noproc; then
	start noproc "$ROOT" "$TMP"
	said noproc ''
	socket_of "$PID" "/tmp/cgoheap-0/$PID.sock"
	says 0 'there is no /proc in its root directory' "$CGOHEAP" doctor "$PID"
	says 0 '~8.0 MiB' "$CGOHEAP" top --once "$PID"
	says 1 'cannot read /proc/self/maps and smaps, which the account needs: mount /proc' \
		"$CGOHEAP" explain "$PID"
	verdict noproc
fi

# A full /tmp, and one without room for the socket in a directory that is there already.
if case_of full; then
	start full "$ROOT" "mount -t tmpfs -o nr_inodes=1 tmp \$ROOT/tmp && $SHM"
	said full ''
	socket_of "$PID" "/dev/shm/cgoheap-0/$PID.sock"
	start directory "$ROOT" "mount -t tmpfs -o nr_inodes=2 tmp \$ROOT/tmp && $SHM &&
		mkdir -m 700 \$ROOT/tmp/cgoheap-0"
	said directory ''
	socket_of "$PID" "/dev/shm/cgoheap-0/$PID.sock"
	verdict full
fi

# Two containers that share a directory: both are process 1 of the same user.
if case_of shared; then
	mkdir -m 1777 "$DIR/shared"
	share="mount --bind $DIR/shared \$ROOT/tmp && $PROC"
	start one -p "$ROOT" "$share" CGOHEAP_SAMPLE_BYTES=1000
	one=$PID
	start two -p "$ROOT" "$share" CGOHEAP_SAMPLE_BYTES=2000
	said two ''
	two=$PID
	socket_of "$one" /tmp/cgoheap-0/1.sock
	socket_of "$two" /tmp/cgoheap-0/1-2.sock
	says 0 '1 in 1000;' "$CGOHEAP" sampling "$one"
	says 0 '1 in 2000;' "$CGOHEAP" sampling "$two"
	kill -9 "$one"
	while [ -e "/proc/$one" ]; do sleep 0.01; done
	start three -p "$ROOT" "$share" CGOHEAP_SAMPLE_BYTES=3000
	socket_of "$PID" /tmp/cgoheap-0/1.sock
	socket_of "$two" /tmp/cgoheap-0/1-2.sock
	# The same user of two user namespaces is two users.
	start mine -p -U 300000 -u 1000 "$ROOT" "$share && $SHM"
	start theirs -p -U 400000 -u 1000 "$ROOT" "$share && $SHM"
	said theirs "cgoheap: no socket at \"/tmp/cgoheap-1000\": that directory belongs to uid \
65534, not to 1000; remove it; using \"/dev/shm/cgoheap-1000/1.sock\""
	socket_of "$PID" /dev/shm/cgoheap-1000/1.sock
	verdict shared
fi

# Directories that are another's, or lead elsewhere, are refused, and another place is used.
if case_of refused; then
	start link "$ROOT" "$TMP && $SHM && mkdir \$ROOT/tmp/a && ln -s a \$ROOT/tmp/cgoheap-0"
	said link "cgoheap: no socket at \"/tmp/cgoheap-0\": it is not a directory (or a symbolic \
link to one); remove it; using \"/dev/shm/cgoheap-0/$PID.sock\""
	socket_of "$PID" "/dev/shm/cgoheap-0/$PID.sock"
	[ -z "$(ls -A "/proc/$PID/root/tmp/a")" ] || wrong 'something is where the link leads'
	start owner -u 4321 "$ROOT" "$READONLY && $TMP && mkdir -m 755 \$ROOT/tmp/cgoheap-4321"
	said owner "cgoheap: no socket at \"/tmp/cgoheap-4321\": that directory belongs to uid 0, \
not to 4321; remove it; nor at \"/dev/shm/cgoheap-4321\": cannot create that directory: read-only \
file system; mount a writable directory at /tmp, or set CGOHEAP_SOCKET to another path"
	says 1 "/tmp/cgoheap-4321 belongs to user root, not to 4321; remove it, or set \
CGOHEAP_SOCKET to another path; then restart it" "$CGOHEAP" explain "$PID"
	verdict refused
fi

# No place at all: TCP, if the service listens, in its own network.
if case_of tcp; then
	start none -p -n "$ROOT" "$READONLY && $PROC"
	said none "cgoheap: no socket at \"/tmp/cgoheap-0\": cannot create that directory: \
read-only file system; nor at \"/dev/shm/cgoheap-0\": cannot create that directory: read-only \
file system; mount a writable directory at /tmp, or set CGOHEAP_SOCKET to another path"
	says 1 "no place for its socket: /tmp is read-only, and /dev/shm is read-only; mount a \
writable directory at /tmp, or set CGOHEAP_SOCKET to a path" "$CGOHEAP" explain "$PID"
	start tcp -p -n "$ROOT" "ip link set lo up && $READONLY && $PROC" CGOHEAP_LISTEN=127.0.0.1:0
	says 0 'C live*~8.0 MiB' "$CGOHEAP" explain "$PID"
	says 0 'no unix socket, but TCP port ' "$CGOHEAP" doctor "$PID"
	says 0 '' "$CGOHEAP" collect "$PID" -o "$DIR/tcp.scene"
	verdict tcp
fi

# ---- what doctor says in advance ---------------------------------------------------------

# Of processes without the library: where it will be, what libc is in their root.
if case_of advance; then
	LIBRARY='' start none -p -u 4321 "$ROOT" "$READONLY && $SHM && $PROC"
	says 1 "socket     will be in /dev/shm/cgoheap-4321, because /tmp is read-only" \
		"$CGOHEAP" doctor "$PID"
	LIBRARY='' start nowhere -u 4321 "$ROOT" "$READONLY" CGOHEAP_LISTEN=127.0.0.1:6061
	says 1 "socket     no place for it: /tmp is read-only, and /dev/shm is read-only; it will \
answer at 127.0.0.1:6061 alone" "$CGOHEAP" doctor "$PID"
	says 1 'there is no /proc in its root directory' "$CGOHEAP" doctor "$PID"
	LIBRARY='' start full "$ROOT" "mount -t tmpfs -o nr_inodes=1 tmp \$ROOT/tmp && $SHM"
	says 1 "socket     will be in /dev/shm/cgoheap-0, because /tmp is full" \
		"$CGOHEAP" doctor "$PID"
	LIBRARY='' start given -u 4321 "$ROOT" "$TMP" CGOHEAP_SOCKET=/tmp/a.sock
	says 1 'socket     will be at /tmp/a.sock (CGOHEAP_SOCKET)' "$CGOHEAP" doctor "$PID"
	for given in "/none/a.sock:there is no /none" "/a.sock:user 4321 may not write to /"; do
		LIBRARY='' start given-"${#given}" -u 4321 "$ROOT" "$TMP" \
			CGOHEAP_SOCKET="${given%%:*}"
		says 1 "socket     cannot be at ${given%%:*} (CGOHEAP_SOCKET): ${given#*:}" \
			"$CGOHEAP" doctor "$PID"
	done
	LIBRARY=/none/libcgoheap.so start missing "$ROOT" "$TMP"
	says 1 "LD_PRELOAD names \"/none/libcgoheap.so\", which is not there in the process's own \
file system" "$CGOHEAP" doctor "$PID"
	verdict advance
fi

# The library under another name.
if case_of renamed; then
	cp "$SHIM" "$ROOT/prof.so"
	LIBRARY=/prof.so start renamed -p "$ROOT" "$TMP && $PROC"
	says 0 "$PID  sampling" "$CGOHEAP" list
	says 0 '/prof.so' "$CGOHEAP" doctor "$PID"
	says 0 'first in LD_PRELOAD' "$CGOHEAP" doctor "$PID"
	verdict renamed
fi

# A libc under another name, which only its text tells.
if case_of libc; then
	if command -v musl-gcc >/dev/null; then
		musl-gcc -O1 -pthread -Wl,--dynamic-linker=/lib/strange -o "$ROOT/service-musl" \
			$HERE/service.c
		cp -L /lib/ld-musl-*.so.1 "$ROOT/lib/strange"
		PROGRAM=/service-musl LIBRARY='' start strange -p "$ROOT" "$TMP && $PROC"
		says 1 ' libc       musl 1.' "$CGOHEAP" doctor "$PID"
		verdict libc
	else
		echo "skip where/libc musl-gcc is not installed"
	fi
fi

# ---- what may not be led astray ----------------------------------------------------------

if case_of hostile; then
	at=/tmp/cgoheap-0
	for what in "pipe:is not a socket" "garbage:not in HTTP" "endless:"; do
		start "hostile-${what%%:*}" -p "$ROOT" "$TMP && $PROC" "${what%%:*}" $at/1.sock
		says 1 "${what#*:}" "$CGOHEAP" explain "$PID"
	done
	PROGRAM=$OUT/service LIBRARY=$SHIM start victim / : CGOHEAP_SOCKET="$DIR/host.sock"
	start linked -p "$ROOT" "$TMP && $PROC" link $at/1.sock "$DIR/host.sock"
	says 1 'its socket /tmp/cgoheap-0/1.sock is not there' "$CGOHEAP" explain "$PID"
	verdict hostile
fi

# ---- what the command sees of processes --------------------------------------------------

# asked OPTIONS UID COMMAND...: the command in a mount namespace with such a /proc.
cat >"$DIR/asked" <<'SCRIPT'
#!/bin/sh
options=$1 user=$2
shift 2
mount --make-rprivate / && mount -t proc -o "$options" proc /proc &&
	exec setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
SCRIPT
chmod +x "$DIR/asked"

if case_of hidepid; then
	cp "$CGOHEAP" "$DIR/cgoheap"
	start hidden -u 4321 "$ROOT" "$TMP"
	for options in hidepid=1 hidepid=2; do
		says 0 "$PID  sampling" unshare -m "$DIR/asked" $options 4321 "$DIR/cgoheap" list
		says 1 "process $PID exists, but /proc hides it from this user (hidepid): run \
this as root" unshare -m "$DIR/asked" $options 4322 "$DIR/cgoheap" explain "$PID"
		says 0 'run this as root' unshare -m "$DIR/asked" $options 4322 "$DIR/cgoheap" list
		says 0 "$PID  sampling" unshare -m "$DIR/asked" $options 0 "$DIR/cgoheap" list
	done
	says 1 'mount -t proc proc /proc' unshare -m sh -c \
		"umount -l /proc && exec $CGOHEAP explain $PID"
	verdict hidepid
fi
