//go:build cgo && linux

package cgo_bridge

// #include "cgoheap_bridge.h"
//
// #define NAME(place, name) [CGOHEAP_GO_##place] = name,
// static const char *metric_name(int place)
// {
//	static const char *const names[CGOHEAP_GO_FIGURES] = {CGOHEAP_GO_METRICS(NAME)};
//	return names[place];
// }
import "C"

import (
	"bytes"
	"encoding/binary"
	"net"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
)

const (
	figureCount  = int(C.CGOHEAP_GO_FIGURES)
	headerBytes  = 16 // struct cgoheap_bridge_message
	pieceBytes   = int(C.CGOHEAP_BRIDGE_PIECE_BYTES)
	askFigures   = uint32(C.CGOHEAP_BRIDGE_ASK_FIGURES)
	askHeap      = uint32(C.CGOHEAP_BRIDGE_ASK_HEAP)
	figureLastGC = int(C.CGOHEAP_GO_LAST_GC)
	figureCycles = int(C.CGOHEAP_GO_GC_CYCLES)
	figurePause  = int(C.CGOHEAP_GO_GC_PAUSE)
)

// figures answers the library's questions, one after the other.
type figures struct {
	conn    net.Conn
	samples []metrics.Sample
	places  []int // of samples, in an answer
	gc      debug.GCStats
	message []byte
}

// startFigures leaves a goroutine behind that reads the library's questions; called once, as the
// package is initialised. Where the library cannot be reached its account has no figures of Go's,
// and says so.
func startFigures() {
	conn, err := connect(wantFigures)
	if err != nil {
		return
	}
	f := &figures{conn: conn, message: make([]byte, headerBytes+8*figureCount)}
	for place := 0; place < figureCount; place++ {
		if name := C.metric_name(C.int(place)); name != nil { // runtime/metrics has it
			f.samples = append(f.samples, metrics.Sample{Name: C.GoString(name)})
			f.places = append(f.places, place)
		}
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
		kind, sequence := binary.NativeEndian.Uint32(question),
			binary.NativeEndian.Uint32(question[4:])
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
	binary.NativeEndian.PutUint64(values[8*figureCycles:], uint64(f.gc.NumGC))
	binary.NativeEndian.PutUint64(values[8*figurePause:], uint64(f.gc.PauseTotal))
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
