# shellcheck shell=bash
# Sourced, in the tree: what run.sh and long.sh have in common.
HERE=tests/programs/packages
ARCH=$(go env GOHOSTARCH)
export MAKE=${MAKE:-make}

# verdict NAME TEXT: ok if there is nothing to say.
verdict() {
	if [ -z "$2" ]; then
		echo "ok packages/$1"
	else
		echo "not ok packages/$1"
		echo "$2" | sed 's/^/    /'
	fi
}

# package PATTERN: the file of this version that was made last.
package() {
	find build/dist -regextype posix-extended -regex ".*/cgoheap[_-]$(version)[_-]$1"
}
version() { sed -n 's/^const Version = "\(.*\)"/\1/p' cgo_bridge/version.go; }

# What a package asks for and says of itself.
fields() {
	local deb rpm
	deb=$(package "$ARCH\.deb") rpm=$(package "1\.$(uname -m)\.rpm")
	[ "$(dpkg-deb -f "$deb" Depends)" = "libc6 (>= 2.17)" ] || dpkg-deb -f "$deb" Depends
	[ "$(dpkg-deb -f "$deb" Version Architecture)" = "Version: $(version)
Architecture: $ARCH" ] || dpkg-deb -f "$deb"
	[ "$(dpkg-deb -I "$deb" | grep -cE ' (pre|post)(inst|rm) ')" = 0 ] ||
		echo "the deb has scripts"
	[ "$(rpm -qp --requires "$rpm" | grep -v '^rpmlib')" = 'libc.so.6(GLIBC_2.17)(64bit)' ] ||
		rpm -qp --requires "$rpm"
	rpm -qp --scripts "$rpm"
	rpm -K --nosignature "$rpm" >/dev/null || rpm -Kv "$rpm"
}

# installed ROOT: each package is installed, used and removed in a copy of that root.
installed() {
	local root=$1 place why file
	place=$(tools/roots make "$root" 2>/dev/null)
	if ! why=$(tools/roots run "$root" \
		"cd $HERE/service && go build -buildvcs=false -o /src/build/service ." 2>&1); then
		echo "skip packages/$root ${why##*$'\n'}"
		return
	fi
	for file in $(package '.*\.(deb|rpm|tar\.gz)'); do
		case $file in *"$ARCH"* | *"$(uname -m)"*) ;; *) continue ;; esac
		verdict "$root/${file##*.}" \
			"$($HERE/installed.sh "$place" "$file" "build/roots/$root/service" 2>&1)"
	done
}
