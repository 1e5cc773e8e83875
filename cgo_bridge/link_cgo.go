//go:build cgo && linux

package cgo_bridge

/*
#include <stdlib.h>

#include "cgoheap_bridge.h"

// Defined by the preloaded library; NULL without it.
#pragma weak cgoheap_bridge_v1

static int bridge_is_there(void) { return cgoheap_bridge_v1 != 0; }

static int bridge_want(uint32_t protocol, const char *version, int want,
		       struct cgoheap_bridge_about *about)
{
	return cgoheap_bridge_v1(protocol, version, (enum cgoheap_bridge_want)want, about);
}
*/
import "C"

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"
)

const protocol = int(C.CGOHEAP_BRIDGE_PROTOCOL)

// wanted is what to ask the library for.
type wanted C.int

const (
	wantAbout   = wanted(C.CGOHEAP_BRIDGE_ABOUT)
	wantRequest = wanted(C.CGOHEAP_BRIDGE_REQUEST)
	wantFigures = wanted(C.CGOHEAP_BRIDGE_FIGURES)
)

func libraryIsThere() bool { return C.bridge_is_there() != 0 }

// call asks as a package of the given protocol; the result is a descriptor or -errno.
func call(protocol int, want wanted) (about, int) {
	var a C.struct_cgoheap_bridge_about
	text := C.CString(Version)
	defer C.free(unsafe.Pointer(text))
	r := C.bridge_want(C.uint32_t(protocol), text, C.int(want), &a)
	return about{
		protocol: int(a.protocol), version: C.GoString(&a.version[0]),
		isPassive: a.is_passive != 0, reason: C.GoString(&a.passive_reason[0]),
	}, int(r)
}

func libraryAbout() about {
	a, _ := call(protocol, wantAbout)
	return a
}

// connect is a new connection to the library.
func connect(want wanted) (net.Conn, error) {
	_, fd := call(protocol, want)
	if fd < 0 {
		return nil, connectError(syscall.Errno(-fd))
	}
	f := os.NewFile(uintptr(fd), "libcgoheap.so")
	defer f.Close() // FileConn has a copy
	return net.FileConn(f)
}

func connectError(errno syscall.Errno) error {
	switch errno {
	case syscall.EAGAIN:
		return fmt.Errorf("libcgoheap.so: too many requests under way: %w", errno)
	case syscall.EBADF:
		return fmt.Errorf("libcgoheap.so: this program has closed the library's descriptors: %w",
			errno)
	}
	return fmt.Errorf("libcgoheap.so: cannot connect: %w", errno)
}

func init() {
	if Loaded() {
		startFigures()
	}
}
