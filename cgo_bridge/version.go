package cgo_bridge

// Version is the version of this package. It works with the libcgoheap.so of the same version.
//
// It is written here alone: the Makefile reads it for the library, the command and the packages.
const Version = "0.2.0"
