//go:build !cgo || !linux

package cgo_bridge

import "net"

// Without cgo there is no loader that could preload a library, and no C memory.

const protocol = 0

type wanted int

const wantRequest wanted = 0

func libraryIsThere() bool { return false }

func libraryAbout() about { return about{} }

func connect(wanted) (net.Conn, error) { return nil, ErrNotPreloaded }
