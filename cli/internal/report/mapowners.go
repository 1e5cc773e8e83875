package report

import (
	"path/filepath"
	"strings"

	"cgoheap.example/cli/internal/account"
)

// Whose a single mapping is.  The account counts pages; here only the name, the address and the
// neighbours of a mapping are known, so owners that share mappings are one.

const (
	ownerAllocator = "c_allocator" // C live and C retained
	ownerAnonymous = "anonymous"   // C mmap, Go's metadata, big blocks: they look alike
)

// ownerLabel is for people.
func ownerLabel(name string) string {
	switch name {
	case ownerAllocator:
		return "C allocator"
	case ownerAnonymous:
		return "other anonymous memory"
	}
	return shown(account.Label(name))
}

// mapOwnerOf is the owner on the map for one of the account.
func mapOwnerOf(owner string) string {
	switch owner {
	case account.CLive, account.CRetained, account.CBrk:
		return ownerAllocator
	case account.CMmap, account.UntrackedMmap, account.GoMetadata:
		return ownerAnonymous
	}
	return owner
}

func classify(all []*mapping, executable string) {
	code := map[string]bool{} // files with code: the program and libraries
	for _, m := range all {
		if strings.Contains(m.Perms, "x") && strings.HasPrefix(m.path, "/") {
			code[m.path] = true
		}
	}
	areas := map[uint64]bool{} // of 1 TiB, in which the kernel or the loader put something
	for _, m := range all {
		if m.path != "" {
			areas[m.start>>40] = true
		}
	}
	for i, m := range all {
		var before, after *mapping
		if i > 0 && all[i-1].end == m.start {
			before = all[i-1]
		}
		if i+1 < len(all) && all[i+1].start == m.end {
			after = all[i+1]
		}
		switch {
		case strings.HasPrefix(m.path, "/") || strings.HasPrefix(m.path, "["):
			m.owner = ownerOfPath(m.path, executable, code)
		default:
			m.owner = ownerOfAnonymous(m, before, after, areas)
		}
	}
}

func ownerOfPath(path, executable string, code map[string]bool) string {
	path = strings.TrimSuffix(path, " (deleted)")
	name := filepath.Base(path)
	switch {
	case path == "[heap]":
		return ownerAllocator
	case strings.HasPrefix(path, "[stack"):
		return account.ThreadStacks
	case strings.HasPrefix(path, "[anon: Go: heap"):
		return account.GoHeap
	case strings.HasPrefix(path, "[anon: Go:"):
		return account.GoMetadata
	case strings.HasPrefix(path, "[anon"):
		return ownerAnonymous
	case strings.HasPrefix(path, "["):
		return account.Kernel
	case strings.HasPrefix(name, "libcgoheap.so") || strings.HasSuffix(name, ".cgoheap"):
		return account.Shim
	case strings.HasPrefix(path, "/dev/shm/") || strings.HasPrefix(path, "/memfd:") ||
		strings.HasPrefix(path, "/SYSV") || path == "/dev/zero":
		return account.SharedMemory
	case strings.HasPrefix(path, "/dev/"):
		return account.DeviceMaps
	case path == executable || code[path] && !strings.Contains(name, ".so"):
		return account.Program
	case code[path] || strings.Contains(name, ".so"):
		return account.Libraries
	}
	return account.MappedFiles
}

const (
	arenaBytes = 64 << 20 // of glibc, and of Go on 64 bits
	guardBytes = 64 << 10 // at most, below a thread's stack
)

func ownerOfAnonymous(m, before, after *mapping, areas map[uint64]bool) string {
	isReserved := func(n *mapping) bool { return n != nil && strings.HasPrefix(n.Perms, "---") }
	switch {
	// Zeroed data of a program or library lies behind its file's.
	case before != nil && (before.owner == account.Program || before.owner == account.Libraries):
		return before.owner
	// Go asks for addresses from 0xc000000000 on, or from 1.26 on for random ones: far from what
	// the kernel places.
	case m.start>>32&0xff == 0xc0 && m.start>>40 < 0x80, m.start >= 1<<32 && !areas[m.start>>40]:
		return account.GoHeap
	case m.start%arenaBytes == 0 && isReserved(after) && (m.Size+after.Size)%arenaBytes == 0,
		m.start%arenaBytes == 0 && m.Size == arenaBytes:
		return ownerAllocator
	case isReserved(before) && before.Size <= guardBytes && !isReserved(m):
		return account.ThreadStacks
	}
	return ownerAnonymous
}
