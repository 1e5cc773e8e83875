//go:build cgo && linux

package cgo_bridge

// #include "cgoheap_bridge.h"
//
// #define NAME(place, name) [CGOHEAP_GO_##place] = name,
// static const char *metric_name(int place)
// {
//	static const char *const names[CGOHEAP_GO_FIGURES] = {
//		CGOHEAP_GO_METRICS(NAME) CGOHEAP_GO_LATER_METRICS(NAME)};
//	return names[place];
// }
import "C"

import (
	"bytes"
	"encoding/binary"
	"math"
	"net"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
)

const (
	figureCount      = int(C.CGOHEAP_GO_FIGURES)
	headerBytes      = 16 // struct cgoheap_bridge_message
	pieceBytes       = int(C.CGOHEAP_BRIDGE_PIECE_BYTES)
	askFigures       = uint32(C.CGOHEAP_BRIDGE_ASK_FIGURES)
	askHeap          = uint32(C.CGOHEAP_BRIDGE_ASK_HEAP)
	figureLastGC     = int(C.CGOHEAP_GO_LAST_GC)
	figureCycles     = int(C.CGOHEAP_GO_GC_CYCLES)
	figurePause      = int(C.CGOHEAP_GO_GC_PAUSE)
	figurePercent    = int(C.CGOHEAP_GO_GC_PERCENT)
	figureBeforeLast = int(C.CGOHEAP_GO_GC_BEFORE_LAST)

	unknownFigure = ^uint64(0)
)

// figures answers the library's questions, one after the other.
type figures struct {
	conn    net.Conn
	samples []metrics.Sample
	places  []int // of samples, in an answer
	percent [1]metrics.Sample
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
	f.percent[0].Name = "/gc/gogc:percent"
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
	putHeader(f.message, askFigures, sequence, 0)
	for i := 0; i < figureCount; i++ {
		f.put(i, unknownFigure)
	}
	metrics.Read(f.samples)
	for i, s := range f.samples {
		if s.Value.Kind() == metrics.KindUint64 {
			f.put(f.places[i], s.Value.Uint64())
		}
	}
	debug.ReadGCStats(&f.gc)
	f.put(figureLastGC, f.ended(0))
	f.put(figureBeforeLast, f.ended(1))
	f.put(figureCycles, uint64(f.gc.NumGC))
	f.put(figurePause, uint64(f.gc.PauseTotal))
	f.put(figurePercent, f.gcPercent())
	_, err := f.conn.Write(f.message)
	return err
}

func (f *figures) put(place int, n uint64) {
	binary.NativeEndian.PutUint64(f.message[headerBytes+8*place:], n)
}

// ended is when the last collection ended, or one before it; 0: there was none.
func (f *figures) ended(before int) uint64 {
	if f.gc.NumGC <= int64(before) || before >= len(f.gc.PauseEnd) {
		return 0
	}
	return uint64(f.gc.PauseEnd[before].UnixNano())
}

// gcPercent is GOGC. The runtime says -1 if it is off, in an unsigned figure.
func (f *figures) gcPercent() uint64 {
	metrics.Read(f.percent[:])
	value := f.percent[0].Value
	switch {
	case value.Kind() != metrics.KindUint64:
		return unknownFigure
	case value.Uint64() > math.MaxInt32:
		return math.MaxInt64
	}
	return value.Uint64()
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
