package leaktest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"cgoheap.example/cgo_bridge"
	"cgoheap.example/cgo_bridge/leaktest/suppress"
)

// A frame also has its line in the file.
type frame struct {
	suppress.Frame
	line uint64
}

// held is what one stack holds.
type held struct {
	bytes, blocks int64
	origin, label string
	stack         []frame // leaf first
}

// A snapshot has the stacks that hold C memory, by what tells them apart.
type snapshot map[string]*held

// takeSnapshot asks the library.
func takeSnapshot() (snapshot, error) {
	var body bytes.Buffer
	if err := cgo_bridge.Profile(&body, cgo_bridge.ProfileOptions{}); err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(&body)
	if err != nil {
		return nil, err
	}
	message, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	p, err := parseProfile(message)
	if err != nil {
		return nil, fmt.Errorf("the library's profile: %w", err)
	}
	return p.snapshot()
}

// The parts of a profile (profile.proto) that are needed here. The module has no dependency,
// and the standard library's reader is internal.

var errMalformed = errors.New("malformed")

// fields calls use for each field of a message: number for a varint, bytes for the rest.
func fields(message []byte, use func(field int, number uint64, bytes []byte) error) error {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return errMalformed
		}
		message = message[n:]
		number, n := binary.Uvarint(message)
		if n <= 0 {
			return errMalformed
		}
		message = message[n:]
		var part []byte
		switch tag & 7 {
		case 0:
		case 2:
			if number > uint64(len(message)) {
				return errMalformed
			}
			part, message = message[:number], message[number:]
		default:
			return errMalformed // the library writes no other kind
		}
		if err := use(int(tag>>3), number, part); err != nil {
			return err
		}
	}
	return nil
}

// numbers appends a repeated field, packed or not.
func numbers(list []uint64, number uint64, packed []byte) ([]uint64, error) {
	if packed == nil {
		return append(list, number), nil
	}
	for len(packed) > 0 {
		v, n := binary.Uvarint(packed)
		if n <= 0 {
			return nil, errMalformed
		}
		list, packed = append(list, v), packed[n:]
	}
	return list, nil
}

type (
	sample struct {
		locations, values []uint64
		labels            [][2]uint64 // key, value: indexes of strings
	}
	location struct {
		mapping, address uint64
		lines            [][2]uint64 // function, line
	}
	function struct{ name, file uint64 }
	mapping  struct{ start, offset, file uint64 }
)

type parsed struct {
	types     []uint64 // names of the values
	samples   []sample
	locations map[uint64]location
	functions map[uint64]function
	mappings  map[uint64]mapping
	strings   []string
}

func parseProfile(message []byte) (*parsed, error) {
	p := &parsed{locations: map[uint64]location{}, functions: map[uint64]function{},
		mappings: map[uint64]mapping{}}
	return p, fields(message, func(field int, _ uint64, part []byte) error {
		switch field {
		case 1:
			var name uint64
			err := fields(part, func(field int, n uint64, _ []byte) error {
				if field == 1 {
					name = n
				}
				return nil
			})
			p.types = append(p.types, name)
			return err
		case 2:
			return p.addSample(part)
		case 3:
			return p.addMapping(part)
		case 4:
			return p.addLocation(part)
		case 5:
			return p.addFunction(part)
		case 6:
			p.strings = append(p.strings, string(part))
		}
		return nil
	})
}

func (p *parsed) addSample(message []byte) error {
	var s sample
	err := fields(message, func(field int, n uint64, part []byte) (err error) {
		switch field {
		case 1:
			s.locations, err = numbers(s.locations, n, part)
		case 2:
			s.values, err = numbers(s.values, n, part)
		case 3:
			var label [2]uint64
			err = fields(part, func(field int, n uint64, _ []byte) error {
				if field == 1 || field == 2 {
					label[field-1] = n
				}
				return nil
			})
			s.labels = append(s.labels, label)
		}
		return err
	})
	p.samples = append(p.samples, s)
	return err
}

func (p *parsed) addLocation(message []byte) error {
	var id uint64
	var l location
	err := fields(message, func(field int, n uint64, part []byte) (err error) {
		switch field {
		case 1:
			id = n
		case 2:
			l.mapping = n
		case 3:
			l.address = n
		case 4:
			var line [2]uint64
			err = fields(part, func(field int, n uint64, _ []byte) error {
				if field == 1 || field == 2 {
					line[field-1] = n
				}
				return nil
			})
			l.lines = append(l.lines, line)
		}
		return err
	})
	p.locations[id] = l
	return err
}

func (p *parsed) addFunction(message []byte) error {
	var id uint64
	var f function
	err := fields(message, func(field int, n uint64, _ []byte) error {
		switch field {
		case 1:
			id = n
		case 2:
			f.name = n
		case 4:
			f.file = n
		}
		return nil
	})
	p.functions[id] = f
	return err
}

func (p *parsed) addMapping(message []byte) error {
	var id uint64
	var m mapping
	err := fields(message, func(field int, n uint64, _ []byte) error {
		switch field {
		case 1:
			id = n
		case 2:
			m.start = n
		case 4:
			m.offset = n
		case 5:
			m.file = n
		}
		return nil
	})
	p.mappings[id] = m
	return err
}

func (p *parsed) text(index uint64) string {
	if index < uint64(len(p.strings)) {
		return p.strings[index]
	}
	return ""
}

// snapshot sums blocks of all sizes by stack. Threads' stacks are left out: they are Go's.
func (p *parsed) snapshot() (snapshot, error) {
	bytesAt, blocksAt := -1, -1
	for i, name := range p.types {
		switch p.text(name) {
		case "inuse_space":
			bytesAt = i
		case "inuse_objects":
			blocksAt = i
		}
	}
	if bytesAt < 0 || blocksAt < 0 {
		return nil, errMalformed
	}
	all := snapshot{}
	for _, s := range p.samples {
		if len(s.values) != len(p.types) {
			return nil, errMalformed
		}
		h := &held{bytes: int64(s.values[bytesAt]), blocks: int64(s.values[blocksAt])}
		for _, l := range s.labels {
			switch p.text(l[0]) {
			case "origin":
				h.origin = p.text(l[1])
			case labelKey:
				h.label = p.text(l[1])
			}
		}
		if h.origin == "thread_stack" || h.bytes == 0 && h.blocks == 0 {
			continue
		}
		h.stack = p.stack(s.locations)
		all.add(h)
	}
	return all, nil
}

func (all snapshot) add(h *held) {
	key := fmt.Sprint(h.origin, "\x00", h.label, "\x00", h.stack)
	if known := all[key]; known != nil {
		known.bytes += h.bytes
		known.blocks += h.blocks
		return
	}
	all[key] = h
}

func (p *parsed) stack(ids []uint64) (stack []frame) {
	for _, id := range ids {
		l := p.locations[id]
		m := p.mappings[l.mapping]
		file := p.text(m.file)
		if len(l.lines) == 0 {
			name := fmt.Sprintf("%s+%#x", file[strings.LastIndexByte(file, '/')+1:],
				l.address-m.start+m.offset)
			stack = append(stack, frame{suppress.Frame{Function: name, Module: file}, 0})
		}
		for i, line := range l.lines {
			f := p.functions[line[0]]
			stack = append(stack, frame{suppress.Frame{Function: p.text(f.name),
				File: p.text(f.file), Module: file, Inlined: i+1 < len(l.lines)}, line[1]})
		}
	}
	return stack
}
