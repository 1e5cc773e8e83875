#!/usr/bin/env bash
# pod.sh ROOT USR SERVICE: the pod of packaging/kubernetes.yaml, by namespaces: the image that
# packaging/Dockerfile makes of the files in USR hands the library over, the service runs in that
# root file system, and is asked in the ways that docs/deployment.md has. All as a user without
# capabilities, file systems read-only. Says what is wrong.
set -u
if [ "${4-}" = "" ]; then
	exec unshare -m "$0" "$@" inside
fi
root=$1 usr=$2 service=$3
USER_ID=65532
dir=$(mktemp -d)
mount -t tmpfs pod "$dir" || exit
trap 'kill ${holder-} 2>/dev/null; umount -l "$dir"; rmdir "$dir"' EXIT
mkdir -p "$dir/image" "$dir/upper" "$dir/work" "$dir/service"
mkdir -m 777 "$dir/volume"

# What the last stage of the Dockerfile copies.
sed -e ':a' -e '/\\$/N' -e 's/\\\n//' -e 'ta' packaging/Dockerfile |
	sed -n 's/^COPY --from=build //p' | while read -r -a words; do
	to=$dir/image${words[-1]}
	[[ $to != */ ]] || mkdir -p "$to"
	mkdir -p "$(dirname "$to")"
	for from in "${words[@]::${#words[@]}-1}"; do
		cp -r "$usr/${from#/out/}" "$to"
	done
done
mount -t overlay pod -o "lowerdir=$root,upperdir=$dir/upper,workdir=$dir/work" "$dir/service"
install -D "$service" "$dir/service/service"

# As a runtime does: mount points, then nothing can be written.
for container in image service; do
	mkdir -p "$dir/$container"/{proc,dev/shm,cgoheap}
	[ $container = service ] || mount --bind "$dir/image" "$dir/image"
	mount -o remount,bind,ro "$dir/$container"
	mount --bind "$dir/volume" "$dir/$container/cgoheap"
done
mount -t tmpfs -o mode=1777 shm "$dir/service/dev/shm"

# container NAME COMMAND...: in that file system, with a /proc of its PID namespace.
container() {
	local name=$1
	shift
	setpriv --no-new-privs unshare -m sh -c 'mount -t proc proc "$0/proc" && exec "$@"' \
		"$dir/$name" chroot --userspec=$USER_ID:$USER_ID --groups= "$dir/$name" "$@"
}

said=$(container image /usr/bin/cgoheap install /cgoheap 2>&1)
[ "$said" = "wrote /cgoheap/libcgoheap.so and /cgoheap/cgoheap" ] || echo "install: $said"
mount -o remount,bind,ro "$dir/service/cgoheap"

mkfifo "$dir/input"
export -f container
export dir USER_ID
unshare -pf --kill-child bash -c 'container service /usr/bin/env -i \
	LD_PRELOAD=/cgoheap/libcgoheap.so /service' <"$dir/input" >"$dir/output" 2>&1 &
holder=$!
exec 3>"$dir/input"
for _ in $(seq 300); do
	grep -qs holding "$dir/output" && break
	sleep 0.1
done
[ "$(cat "$dir/output")" = holding ] || cat "$dir/output"
for process in /proc/[0-9]*; do # the path is the host's, in a chroot as well
	[[ $(readlink "$process/root") != *"$dir/service" ]] || break
done
process=${process#/proc/}
inside=$(awk '/^NSpid:/ { print $NF }' "/proc/$process/status")

# asked HOW COMMAND...: its account has what the service holds.
asked() {
	local how=$1
	shift
	"$@" >"$dir/account" 2>"$dir/error"
	jq -e '.owners[] | select(.name == "c_live") | .bytes > 33000000' "$dir/account" \
		>/dev/null 2>&1 || echo "$how: $(head -c 300 "$dir/error" "$dir/account")"
}
asked "kubectl exec" nsenter -t "$process" -m -p -r -w -S $USER_ID -G $USER_ID \
	/cgoheap/cgoheap explain "$inside" --json
asked "kubectl debug" nsenter -t "$process" -p bash -c \
	'container image /usr/bin/cgoheap explain "$0" --json' "$inside"
asked "the node" build/cgoheap explain "$process" --json
exec 3>&-
wait "$holder" || echo "the service ended with $?"
holder=
exit 0
