package cgo_bridge

import (
	"errors"
	"fmt"
)

// ErrNotPreloaded is the error of every function in a process without libcgoheap.so
// (test with [errors.Is]). Its text says how to start the program with the library.
var ErrNotPreloaded = errors.New("libcgoheap.so is not preloaded into this process: " +
	"start it by `cgoheap run -- PROGRAM`, or with LD_PRELOAD=/usr/local/lib/cgoheap/libcgoheap.so")

// A VersionError says that the preloaded library and this package are from
// releases that do not work together: use both from one release.
type VersionError struct {
	Package         string // version of this package
	PackageProtocol int
	Library         string // version of libcgoheap.so; "" if it is too old to tell
	LibraryProtocol int    // 0 if it is too old to tell
}

func (e *VersionError) Error() string {
	if e.Library == "" {
		return fmt.Sprintf("the libcgoheap.so that is preloaded has no way in for cgo_bridge %s: "+
			"use the library of the same release",
			e.Package)
	}
	return fmt.Sprintf("cgo_bridge %s (protocol %d) and the preloaded libcgoheap.so %s (protocol "+
		"%d) do not understand each other: "+
		"use the two of one release", e.Package, e.PackageProtocol, e.Library, e.LibraryProtocol)
}

// A PassiveError says that the library is loaded but inactive in this process, and
// why: it found no memory, or the process is a forked child.
type PassiveError struct{ Reason string }

func (e *PassiveError) Error() string {
	return "libcgoheap.so is preloaded, but passive in this process: " + e.Reason
}

// A RequestError is the library's refusal of a request, as an HTTP status and
// one line of text: 400 for an invalid value, 404 for what it does not have, 503 if
// its own memory is used up or Go did not answer in time.
type RequestError struct {
	Status  int
	Message string
}

func (e *RequestError) Error() string { return "libcgoheap.so: " + e.Message }
