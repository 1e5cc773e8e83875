package main

/*
#include <stdlib.h>
#include "audit.h"
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// auditRecord writes one event to the C audit log. The log calls back into
// audit_actor for the name, so the stack of that string runs Go, C, Go, C.
func auditRecord(who, event string) {
	if event == "" {
		return
	}
	request := cgo.NewHandle(who)
	defer request.Delete()
	C.audit_record(C.uintptr_t(request), (*C.char)(unsafe.Pointer(unsafe.StringData(event))),
		C.size_t(len(event)))
}

// audit_actor hands C a string that C must free, and does not: leak 3.
//
//export audit_actor
func audit_actor(request C.uintptr_t) *C.char {
	who := cgo.Handle(request).Value().(string)
	if !leaks.fixed {
		truth.addString(len(who) + 1)
	}
	return C.CString(who)
}

func auditSetFrees(frees bool) {
	n := C.int(0)
	if frees {
		n = 1
	}
	C.audit_set_frees(n)
}

func auditLast() string {
	var line [256]C.char
	n := C.audit_last(&line[0], C.size_t(len(line)))
	return C.GoStringN(&line[0], C.int(n))
}
