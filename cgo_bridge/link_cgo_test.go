//go:build cgo && linux

package cgo_bridge

import (
	"syscall"
	"testing"
)

func TestLibraryRefusesAnotherProtocol(t *testing.T) {
	preloaded(t)
	a, fd := call(protocol+1, wantRequest)
	if syscall.Errno(-fd) != syscall.EPROTO || a.protocol != protocol || a.version == "" {
		t.Errorf("%+v %v", a, syscall.Errno(-fd))
	}
}
