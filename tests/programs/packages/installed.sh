#!/usr/bin/env bash
# installed.sh ROOT PACKAGE SERVICE: in a copy of that root file system, which is gone afterwards,
# installs a deb, rpm or tarball, profiles the service with it and removes it. Says what is wrong.
set -u
if [ "${4-}" = "" ]; then
	exec unshare -m "$0" "$@" inside
fi
root=$1 package=$2 service=$3
dir=$(mktemp -d)
mount -t tmpfs packages "$dir" && mkdir "$dir"/{upper,work,root} &&
	mount -t overlay packages -o \
		"lowerdir=$root,upperdir=$dir/upper,workdir=$dir/work" "$dir/root" &&
	mount --rbind /proc "$dir/root/proc" && mount --rbind /dev "$dir/root/dev" || exit
trap 'umount -l "$dir"/root/{proc,dev} "$dir/root" "$dir"; rmdir "$dir"' EXIT
root=$dir/root
name=$(basename "$package")
cp "$package" "$service" "$root/tmp/"

in_root() {
	chroot "$root" /usr/bin/env -i HOME=/root XDG_RUNTIME_DIR=/tmp \
		PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c "$1"
}
# All there is but what package managers keep for themselves.
files() {
	(cd "$root" && find . -xdev -type d -regex '\./\(var\|tmp\|root\)' -prune -o \
		-printf '%y %p\n') | sort
}
quietly() {
	local said
	said=$("$@" 2>&1) || echo "$*: $said"
}

install() {
	case $name in
	*.deb) in_root "dpkg -i /tmp/$name" ;;
	*.rpm) rpm --root "$root" --nodeps -i "$root/tmp/$name" ;;
	*) in_root "tar -xzf /tmp/$name -C /usr/local --strip-components=1" ;;
	esac
}
# What is there is what was packed.
verify() {
	case $name in
	*.deb) in_root "dpkg --verify cgoheap" ;;
	*.rpm) rpm --root "$root" --nodeps -V cgoheap ;;
	*) in_root "cd /usr/local && sha256sum -c --quiet share/doc/cgoheap/SHA256SUMS" ;;
	esac
}
# As docs/install.md says.
remove() {
	case $name in
	*.deb) in_root "dpkg -r cgoheap" ;;
	*.rpm) rpm --root "$root" -e cgoheap ;;
	*) in_root "cd /usr/local && cut -c67- share/doc/cgoheap/SHA256SUMS |
		xargs rm share/doc/cgoheap/SHA256SUMS" ;;
	esac
}

# The service under `cgoheap run`: the account has its memory, the profile its function.
profiled() {
	# shellcheck disable=SC2016 # for the shell in there
	in_root '
		mkfifo /tmp/input
		cgoheap run -- /tmp/service </tmp/input >/tmp/output 2>&1 &
		exec 3>/tmp/input
		until grep -q holding /tmp/output; do
			kill -0 $! || exit
			sleep 0.1
		done
		cgoheap explain $! --json >/tmp/account.json
		cgoheap profile $! -o /tmp/profile.pb.gz 2>/tmp/said || cat /tmp/said
		exec 3>&-
		wait $! || echo "the service ended with $?"
	' 2>&1
	jq -r '.owners[] | select(.name == "c_live" and .bytes < 33000000) |
		"C live is \(.bytes)"' "$root/tmp/account.json"
	go tool pprof -raw "$root/tmp/profile.pb.gz" 2>/dev/null | grep -q ' main\.holdAll ' ||
		echo "the profile lacks main.holdAll"
}

files >"$dir/before"
quietly install
quietly verify
profiled
quietly remove
files | diff "$dir/before" - | grep -v '^> d \./usr/local/' | grep '^[<>]'
exit 0
