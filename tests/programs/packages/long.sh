#!/usr/bin/env bash
# Packages: built twice they are the same bytes; installed in each root; and the Go modules moved to
# another path.
set -u
cd "$(dirname "$0")/../../.." || exit 1
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
. tests/programs/packages/verdict.sh
. $HERE/goget.sh

# The tree as it is, as a commit.
export GIT_INDEX_FILE=$DIR/index
git read-tree HEAD && git add -A
commit=$(git -c user.name=test -c user.email=test@cgoheap.example \
	commit-tree -p HEAD -m test "$(git write-tree)") || exit 1
unset GIT_INDEX_FILE
git update-ref refs/packages-test "$commit"
git -c advice.detachedHead=false clone -q . "$DIR/a clone" &&
	git -C "$DIR/a clone" fetch -q origin refs/packages-test:refs/heads/test &&
	git -C "$DIR/a clone" checkout -q test
git update-ref -d refs/packages-test
mkdir -p "$DIR/no-git/tree"
git archive "$commit" | tar -x -C "$DIR/no-git/tree"

# ---- the same bytes ----------------------------------------------------------------------

# From a clone, whose path has a space; and from what `git archive` made, in a directory of another
# length, by another user with another umask, home, time zone and language.
twice() {
	local kinds="dist deb rpm"
	(cd "$DIR/a clone" && packaging/build "$kinds" "$@") >"$DIR/first" || return
	other "$@" >"$DIR/second" || return
	diff "$DIR/first" "$DIR/second"
	[ "$(wc -l <"$DIR/first")" = $((3 * $#)) ] || cat "$DIR/first"
}
other() {
	local modules
	modules=$(go env GOMODCACHE)/cache/download
	mkdir "$DIR/home" "$DIR/download"
	chmod 711 "$DIR"
	chown -R 65534:65534 "$DIR/no-git" "$DIR/home"
	unshare -mu bash -c "hostname elsewhere; mount --bind '$modules' '$DIR/download' &&
		cd '$DIR/no-git/tree' && umask 077 && exec setpriv --reuid 65534 --regid 65534 \\
		--clear-groups \"\$@\"" - env -u XDG_CACHE_HOME -u XDG_RUNTIME_DIR \
		HOME="$DIR/home" TZ=Asia/Kolkata LANG=de_DE.UTF-8 \
		GOPROXY="file://$DIR/download,$(go env GOPROXY)" \
		GOFLAGS="$(go env GOFLAGS) -modcacherw" packaging/build "$kinds" "$@"
}
verdict twice_the_same "$(twice "$ARCH" 2>&1 | grep -v '^go: downloading ')"

# ---- in each root -------------------------------------------------------------------------

packaging/build "dist deb rpm" "$ARCH" >/dev/null
for root in $(tools/roots list | grep debian); do
	installed "$root"
done

# ---- the Go package with more releases; its modules elsewhere -------------------------------

for release in 1.22.12 1.27.4; do
	verdict "go_get_$release" "$(goget "$PWD/build/proxy" "$release")"
done

moved() {
	cd "$DIR/a clone" || return
	tools/modulepath git.corp.test/memory/cgoheap || return
	git grep -lF cgoheap.example && echo "still have the old path"
	make -s all 2>&1
	go version -m build/cgoheap | grep -q 'git\.corp\.test/memory/cgoheap/cli' ||
		go version -m build/cgoheap
	[ -e build/proxy/git.corp.test/memory/cgoheap/cgo_bridge/prom/@v/list ] || find build/proxy
	gofmt -l cli cgo_bridge
	(cd cgo_bridge/prom && go vet ./...) 2>&1
	(cd tests/programs/go-bridge && go vet ./...) 2>&1
}
verdict modules_moved "$(moved)"
