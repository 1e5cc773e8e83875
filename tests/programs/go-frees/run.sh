#!/usr/bin/env bash
# Who frees (view=frees, label freed_by): each block of main.go is freed in a known way. Each kind
# has a size; its figures must be that kind's, and what is still in use must wait for it. After 16,
# one free of 64 is captured: figures are within 5 standard errors.
# Arguments: Go releases (default: this machine's, and 1.24, where cleanups run on the finalizers'
# goroutine).
set -u
cd "$(dirname "$0")" || exit 1
SHIM=${FREES_SHIM:-$PWD/../../../build/libcgoheap.so}
DIR=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill $pid; rm -rf "$DIR"' EXIT
unset LD_PRELOAD
export GOWORK=off GOFLAGS=-buildvcs=false XDG_RUNTIME_DIR=$DIR

# profile PROGRAM SAMPLE_BYTES: its profile as text, in $DIR/text; the plain one in $DIR/plain.
profile() {
	rm -f "$DIR/said"
	LD_PRELOAD=$SHIM CGOHEAP_SAMPLE_BYTES=$2 CGOHEAP_SOCKET=$DIR/socket "$1" >"$DIR/said" 2>&1 &
	pid=$!
	while kill -0 $pid 2>/dev/null && ! grep -qs "^ready\$" "$DIR/said"; do sleep 0.05; done
	curl -sS --fail --unix-socket "$DIR/socket" -o "$DIR/text" \
		"http://cgoheap/debug/pprof/cgoheap?view=frees&debug=1" &&
		curl -sS --fail --unix-socket "$DIR/socket" -o "$DIR/plain" \
			"http://cgoheap/debug/pprof/cgoheap?debug=1"
	kill $pid 2>/dev/null
	wait $pid 2>/dev/null
	pid=
}

# rows FILE: of each sample its size, who frees, and the figures: in use here is freed there.
rows() {
	awk '
		/^-?[0-9]+: -?[0-9]+ \[/ { objects = $1 + 0; waiting = substr($3, 2) + 0 }
		/^#\torigin=malloc/ {
			by = "-"; size = 0
			for (i = 2; i <= NF; i++) {
				if ($i ~ /^bytes=/) size = substr($i, 7)
				if ($i ~ /^freed_by=/) by = substr($i, 10)
			}
			freed[size " " by] += objects; waits[size " " by] += waiting
		}
		END { for (k in freed) print k, freed[k], waits[k] }' "$1"
}

# expect NAME SIZE KIND FREED HELD: all that is known to free this size is of this kind; so many
# were freed, and so many are held.
expect() {
	awk -v size="$2" -v kind="$3" -v want="$4" -v held="$5" '
		$1 != size { next }
		$2 != kind { print "freed by " $2 ": " $3 }
		$2 == kind { freed = $3; waits = $4 }
		END {
			error = 5 * sqrt((want - 16) * 64)
			if (freed < 16 || freed < want - error || freed > want + error)
				print "freed by " kind ": " freed + 0 ", want " want " +- " error
			if (waits < held * 0.99 || waits > held * 1.01)
				print waits + 0 " wait, want " held
		}' "$DIR/rows" >"$DIR/why"
	say "$1"
}

say() {
	if [ -s "$DIR/why" ]; then
		echo "not ok $1"
		sed 's/^/    /' "$DIR/why"
		sort -n "$DIR/rows" | sed 's/^/    /'
	else
		echo "ok $1"
	fi
}

# mixture NAME: of size 6000, a quarter by hand and the rest by finalizers.
mixture() {
	awk '
		$1 == 6000 && $2 == "go" { go = $3 }
		$1 == 6000 && $2 == "finalizer" { gc = $3; waits = $4 }
		$1 == 6000 && $2 !~ /^(go|finalizer)$/ { print "freed by " $2 }
		END {
			share = go + gc ? go / (go + gc) : 0
			if (share < 0.09 || share > 0.41)
				print "by hand: " share ", want 0.25 +- 0.16"
			if (waits < 236 || waits > 364)
				print waits + 0 " wait for a GC, want 300 +- 64"
		}' "$DIR/rows" >"$DIR/why"
	say "$1"
}

# label NAME SIZE KIND: in the plain profile.
label() {
	rows "$DIR/plain" | awk -v size="$2" -v kind="$3" '
		$1 == size && $2 == kind { found = 1 }
		$1 == size && $2 != kind { print "freed_by=" $2 }
		END { if (!found) print "not there" }' >"$DIR/why"
	say "$1"
}

# allocated_by NAME: the Go functions of main.go that call C.malloc, by the label.
allocated_by() {
	awk '/ bytes=1000 / && / freed_by=/ && / allocated_by=main.allocFinalized$/ { found = 1 }
		END { if (!found) print "no such sample" }' "$DIR/text" >"$DIR/why"
	say "$1"
}

check() { # check NAME HAS_CLEANUPS
	rows "$DIR/text" >"$DIR/rows"
	expect "$1/finalizer" 1000 finalizer 3000 100
	expect "$1/by-hand" 2000 go 3000 100
	expect "$1/c-thread" 3000 c 3000 100
	expect "$1/finalizer-hands-on" 4000 go 3000 100
	expect "$1/named-like-a-finalizer" 5000 go 3000 100
	expect "$1/reallocated" 7500 go 3000 0
	mixture "$1/mixture"
	allocated_by "$1/allocated-by"
	label "$1/label" 1000 finalizer
	# A block that realloc hands on was not freed.
	label "$1/label-reallocated" 7000 -
	[ "$2" = no ] || expect "$1/cleanup" 8000 cleanup 3000 100
}

# with RELEASE: in its usual form, and as what is stripped and at any address.
with() {
	local name=$1 cleanups=yes
	[ "$1" = local ] || export GOTOOLCHAIN=go$1
	case $1 in 1.21.* | 1.22.* | 1.23.*) cleanups=no ;; esac
	if ! {
		go build -o "$DIR/plain-$1" . &&
			go build -buildmode=pie -ldflags='-s -w' -o "$DIR/pie-$1" .
	} >"$DIR/build" 2>&1; then
		echo "not ok go-frees/$name: it cannot be built"
		sed 's/^/    /' "$DIR/build"
		return
	fi
	profile "$DIR/plain-$1" 1
	check "go-frees/$name" $cleanups
	profile "$DIR/pie-$1" 1
	check "go-frees/$name-pie-stripped" $cleanups
}

[ $# -gt 0 ] || set -- local 1.24.13
for release; do (with "$release"); done
