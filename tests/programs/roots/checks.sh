# shellcheck shell=bash
# Sourced by those that look at the library in a root (in_root.sh, musl.sh, run.sh).

export CGOHEAP_SOCKET
CGOHEAP_SOCKET=$(mktemp -u)

# verdict NAME TEXT: ok if there is nothing to say.
verdict() {
	if [ -z "$2" ]; then
		echo "ok $1"
	else
		echo "not ok $1"
		echo "$2" | sed 's/^/    /'
	fi
}

# suite NAME CASES...: that suite's cases. Allocators behind it are tested where they are installed.
suite() { "tests/programs/$1/run.sh" "${@:2}" 2>&1 | grep -v '^skip .* is not installed$'; }

# unchanged SHIM COMMAND...: nothing if the command says and returns the same without the library,
# with it, and with it told to be active in any program.
unchanged() {
	local shim=$1 plain with active
	shift
	plain=$("$@" 2>&1; echo "status $?")
	with=$(LD_PRELOAD=$shim "$@" 2>&1; echo "status $?")
	active=$(LD_PRELOAD=$shim CGOHEAP_ANY=1 "$@" 2>&1; echo "status $?")
	[ "$plain" = "$with" ] || printf 'without it: %s\nwith it: %s\n' "$plain" "$with"
	[ "$plain" = "$active" ] || printf 'without it: %s\nactive: %s\n' "$plain" "$active"
}

# reason SHIM COMMAND...: why the library stays passive in that command, if it does, by what it says
# when it is asked: once, and before all else.
reason() {
	local shim=$1
	shift
	LD_PRELOAD=$shim CGOHEAP_ANY=1 CGOHEAP_VERBOSE=1 "$@" 2>&1 |
		sed -n 's/^cgoheap: passive in process [^:]*: //p'
}

# passive REASON SHIM COMMAND...: unchanged, and that is the reason.
passive() {
	local said
	unchanged "${@:2}"
	said=$(reason "${@:2}")
	[ "$said" = "$1" ] || echo "asked why it is passive, it says: $said"
}

# under_musl SHIM COMMAND...: unchanged, and the library works.
under_musl() {
	local said
	unchanged "$@"
	said=$(reason "$@")
	[ -z "$said" ] || echo "it says: $said"
}

# checked SHIM PROGRAM [internal]: a Go service compares what the library says of it with its own
# counts, /proc and runtime.Callers: of every block, of one in 4 KiB and of one in 512 KiB.
# internal: Go's own linker made it.
checked() {
	local said every
	for every in 1 4096 524288; do
		said=$(LD_PRELOAD=$1 GOCHECKED=${3:-1} CGOHEAP_SAMPLE_BYTES=$every "$2" 2>&1
			echo "status $?")
		[ "$said" = $'served\nstatus 3' ] || echo "every $every bytes: $said"
	done
}

# The demo's figures: what the service counted, and the estimate: five standard errors are a
# quarter.
demo() {
	local lines
	mkdir -p build/roots
	MAKE=true tools/demo >build/roots/demo.log 2>&1 || {
		echo "it failed: $(tail -n 20 build/roots/demo.log 2>&1)"
		return
	}
	lines=$(sed -n '/truth     estimate/,/^$/s/ MiB//gp' build/roots/demo.log |
		sed -nE 's/^  [0-9]+ [a-z ]*[a-z] +(>?) *([0-9.]+) +([0-9.]+) .*/\2 \3 \1/p')
	[ "$(wc -l <<<"$lines")" = 3 ] || echo "not three leaks: $(cat build/roots/demo.log 2>&1)"
	awk '$2 < $1 * 0.75 || ($3 != ">" && $2 > $1 * 1.25) {
		print "the service has " $1 " MiB, the estimate is " $2 " MiB"
	}' <<<"$lines"
	sed -n '/one stack of it/,/^$/p' build/roots/demo.log | grep -q 'net/http.(\*conn).serve' ||
		echo "the stack with Go, C, Go and C in it is not whole"
}
