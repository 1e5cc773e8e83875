# shellcheck shell=bash
# Sourced: whether the library leaves a service's exit status and output as they were.

# same REASON SHIM COMMAND...: nothing if the command says and returns the same without the library,
# with it, and with it told to say why it is passive, when it says REASON once.
same() {
	local reason=$1 shim=$2 plain with said
	shift 2
	plain=$("$@" 2>&1; echo "status $?")
	with=$(LD_PRELOAD=$shim CGOHEAP_ANY=1 CGOHEAP_SOCKET=/socket "$@" 2>&1; echo "status $?")
	[ "$plain" = "$with" ] || printf 'without it: %s\nwith it: %s\n' "$plain" "$with"
	said=$(LD_PRELOAD=$shim CGOHEAP_ANY=1 CGOHEAP_VERBOSE=1 CGOHEAP_SOCKET=/socket "$@" 2>&1)
	[[ $said == "cgoheap: passive in process "*": $reason"$'\n'* ]] ||
		echo "asked, it says: $said"
}
