#!/usr/bin/env bash
# What is installed and packaged, for this processor. long.sh builds it twice, installs it in more
# roots, and moves the Go modules.
set -u
cd "$(dirname "$0")/../../.." || exit 1
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
. tests/programs/packages/verdict.sh
. $HERE/goget.sh

verdict built "$(packaging/build "dist deb rpm" "$ARCH" 2>&1 >"$DIR/sums")"
tarball=$(package "linux-$ARCH\.tar\.gz")
[ -n "$tarball" ] || exit 1
mkdir "$DIR/usr"
tar -xzf "$tarball" -C "$DIR/usr" --strip-components=1

# ---- what is in it ---------------------------------------------------------------------

whole() {
	local file lib=$DIR/usr/lib/cgoheap/libcgoheap.so doc=$DIR/usr/share/doc/cgoheap of
	for file in bin/cgoheap share/man/man1/cgoheap{,-run}.1 share/zsh/site-functions/_cgoheap \
		share/bash-completion/completions/cgoheap share/cgoheap/cgo_bridge/prom/go.mod \
		share/doc/cgoheap/{LICENSE,docs/install.md}; do
		[ -s "$DIR/usr/$file" ] || echo "the tarball lacks $file"
	done
	(cd "$DIR/usr" && sha256sum -c --quiet share/doc/cgoheap/SHA256SUMS 2>&1)
	# What `make install` lays is there, and nothing else.
	"${MAKE:-make}" -s install DESTDIR="$DIR/tree" PREFIX=/usr || return
	diff <(cd "$DIR/tree/usr" && find . -type f | sort) <(cd "$DIR/usr" && find . -type f \
		! -name NOTICES ! -name SHA256SUMS ! -name sbom.cdx.json | sort)
	# Every part has a licence in the notices and a place in the bill.
	for of in protobuf-c zlib "$(go env GOVERSION | sed 's/^go//')" \
		$(go version -m "$DIR/usr/bin/cgoheap" |
			awk '$1 == "dep" && $4 { print $2 }') uplot; do
		grep -q "^    .*$of.*: [A-Z]" "$doc/NOTICES" || echo "NOTICES lacks $of"
		jq -r '.components[].purl' "$doc/sbom.cdx.json" | grep -qF "$of" ||
			echo "the bill of materials lacks $of"
	done
	[ "$(jq -r '.components[] | select(.name == "libcgoheap.so").hashes[0].content' \
		"$doc/sbom.cdx.json")" = "$(sha256sum <"$lib" | cut -c1-64)" ] ||
		echo "the bill of materials is of another library"
}
verdict tarball "$(whole)"

# Nothing says where it was built.
paths() {
	local file
	find "$DIR/usr" -type f | while read -r file; do
		strings -n 5 "$file" | grep -F -e "$PWD" -e "$HOME/" -e "$(go env GOMODCACHE)" |
			sed "s#^#${file#"$DIR/"}: #" | head -n 3
	done
}
verdict no_paths "$(paths)"

verdict fields "$(fields 2>&1)"

# ---- installed and removed --------------------------------------------------------------

installed debian11
if place=$(tools/roots make debian11 2>/dev/null) && [ -x build/roots/debian11/service ]; then
	verdict pod "$($HERE/pod.sh "$place" "$DIR/usr" build/roots/debian11/service 2>&1)"
fi

# ---- the Go package --------------------------------------------------------------------

for release in 1.21.13 "$(go env GOVERSION | sed 's/^go//')"; do
	verdict "go_get_$release" "$(goget "$DIR/usr/share/cgoheap/proxy" "$release")"
done
