//go:build cgo && linux

package cgo_bridge

// #include "cgoheap_bridge.h"
import "C"

import (
	"bytes"
	"encoding/binary"
	"net"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
)

// Where each metric stands in an answer (enum cgoheap_bridge_figure).
var figureNames = map[int]string{
	C.CGOHEAP_GO_HEAP_FREE:             "/memory/classes/heap/free:bytes",
	C.CGOHEAP_GO_HEAP_OBJECTS:          "/memory/classes/heap/objects:bytes",
	C.CGOHEAP_GO_HEAP_RELEASED:         "/memory/classes/heap/released:bytes",
	C.CGOHEAP_GO_HEAP_STACKS:           "/memory/classes/heap/stacks:bytes",
	C.CGOHEAP_GO_HEAP_UNUSED:           "/memory/classes/heap/unused:bytes",
	C.CGOHEAP_GO_METADATA_MCACHE_FREE:  "/memory/classes/metadata/mcache/free:bytes",
	C.CGOHEAP_GO_METADATA_MCACHE_INUSE: "/memory/classes/metadata/mcache/inuse:bytes",
	C.CGOHEAP_GO_METADATA_MSPAN_FREE:   "/memory/classes/metadata/mspan/free:bytes",
	C.CGOHEAP_GO_METADATA_MSPAN_INUSE:  "/memory/classes/metadata/mspan/inuse:bytes",
	C.CGOHEAP_GO_METADATA_OTHER:        "/memory/classes/metadata/other:bytes",
	C.CGOHEAP_GO_OS_STACKS:             "/memory/classes/os-stacks:bytes",
	C.CGOHEAP_GO_OTHER:                 "/memory/classes/other:bytes",
	C.CGOHEAP_GO_PROFILING_BUCKETS:     "/memory/classes/profiling/buckets:bytes",
	C.CGOHEAP_GO_TOTAL:                 "/memory/classes/total:bytes",
	C.CGOHEAP_GO_HEAP_LIVE:             "/gc/heap/live:bytes",
	C.CGOHEAP_GO_HEAP_GOAL:             "/gc/heap/goal:bytes",
	C.CGOHEAP_GO_ALLOCATED:             "/gc/heap/allocs:bytes",
	C.CGOHEAP_GO_MEMORY_LIMIT:          "/gc/gomemlimit:bytes",
	C.CGOHEAP_GO_GOROUTINES:            "/sched/goroutines:goroutines",
}

const (
	figureCount  = int(C.CGOHEAP_GO_FIGURES)
	headerBytes  = 16 // struct cgoheap_bridge_message
	pieceBytes   = int(C.CGOHEAP_BRIDGE_PIECE_BYTES)
	askFigures   = uint32(C.CGOHEAP_BRIDGE_ASK_FIGURES)
	askHeap      = uint32(C.CGOHEAP_BRIDGE_ASK_HEAP)
	figureLastGC = int(C.CGOHEAP_GO_LAST_GC)
)

// figures answers the library's questions, one after the other.
type figures struct {
	conn    net.Conn
	samples []metrics.Sample
	places  []int // of samples, in an answer
	gc      debug.GCStats
	message []byte
}

// startFigures leaves a goroutine behind that reads the library's questions; called once, as the package is initialised.
// Where the library cannot be reached its account has no figures of Go's, and says so.
func startFigures() {
	conn, err := connect(wantFigures)
	if err != nil {
		return
	}
	f := &figures{conn: conn, message: make([]byte, headerBytes+8*figureCount)}
	for place, name := range figureNames {
		f.samples = append(f.samples, metrics.Sample{Name: name})
		f.places = append(f.places, place)
	}
	go f.serve()
}

// serve ends when the library closes its end.
func (f *figures) serve() {
	defer f.conn.Close()
	question := make([]byte, headerBytes)
	for {
		n, err := f.conn.Read(question)
		if err != nil {
			return
		}
		if n < headerBytes {
			continue
		}
		kind, sequence := binary.NativeEndian.Uint32(question), binary.NativeEndian.Uint32(question[4:])
		switch kind {
		case askFigures:
			err = f.answerFigures(sequence)
		case askHeap:
			err = f.answerHeap(sequence)
		}
		if err != nil {
			return
		}
	}
}

func putHeader(message []byte, kind, sequence uint32, bytes int) {
	binary.NativeEndian.PutUint32(message, kind)
	binary.NativeEndian.PutUint32(message[4:], sequence)
	binary.NativeEndian.PutUint64(message[8:], uint64(bytes))
}

func (f *figures) answerFigures(sequence uint32) error {
	const unknown = ^uint64(0)
	putHeader(f.message, askFigures, sequence, 0)
	values := f.message[headerBytes:]
	for i := 0; i < figureCount; i++ {
		binary.NativeEndian.PutUint64(values[8*i:], unknown)
	}
	metrics.Read(f.samples)
	for i, s := range f.samples {
		if s.Value.Kind() == metrics.KindUint64 {
			binary.NativeEndian.PutUint64(values[8*f.places[i]:], s.Value.Uint64())
		}
	}
	debug.ReadGCStats(&f.gc)
	lastGC := uint64(0)
	if f.gc.NumGC > 0 {
		lastGC = uint64(f.gc.LastGC.UnixNano())
	}
	binary.NativeEndian.PutUint64(values[8*figureLastGC:], lastGC)
	_, err := f.conn.Write(f.message)
	return err
}

func (f *figures) answerHeap(sequence uint32) error {
	var profile bytes.Buffer
	if err := pprof.Lookup("heap").WriteTo(&profile, 0); err != nil {
		profile.Reset()
	}
	total, message := profile.Len(), make([]byte, headerBytes+pieceBytes)
	putHeader(message, askHeap, sequence, total)
	for {
		n := copy(message[headerBytes:], profile.Next(pieceBytes))
		if _, err := f.conn.Write(message[:headerBytes+n]); err != nil || profile.Len() == 0 {
			return err
		}
	}
}
