package main

import (
	"hash/fnv"
	"unicode/utf8"

	"github.com/google/pprof/profile"

	"cgoheap/cli/internal/termtext"
)

// Sets of goroutine labels, as shim/labelsets.h lays them out. A set's hash is
// over all its texts: what does not have it is none.

const (
	boxLabelSetBytes = 16
	boxMaxLabels     = 16
	boxTextCut       = 0x80
)

type boxLabel struct{ key, value string }

// labels reads a set once; nil and one more bad reference where there is none.
func (r *boxReader) labels(id uint32) []boxLabel {
	if id == 0 {
		return nil
	}
	if labels, ok := r.labelSets[id]; ok {
		return labels
	}
	labels, ok := r.labelSet(uint64(id) * 8)
	if !ok {
		r.bad++
		labels = nil
	}
	r.labelSets[id] = labels
	return labels
}

func (r *boxReader) labelSet(at uint64) ([]boxLabel, bool) {
	if at < r.start || at > r.end || r.end-at < boxLabelSetBytes {
		return nil, false
	}
	bytes, count := uint64(r.data.U16(at+12)), int(r.data[at+14])
	texts := r.data.At(at+boxLabelSetBytes, bytes)
	if bytes > r.end-at-boxLabelSetBytes || texts == nil || count > boxMaxLabels {
		return nil, false
	}
	h := fnv.New64a()
	h.Write(texts)
	if h.Sum64() != r.data.U64(at) {
		return nil, false
	}
	var labels []boxLabel
	for ; count > 0; count-- {
		if len(texts) < 2 {
			return nil, false
		}
		keyByte, valueByte := texts[0], texts[1]
		key, value := int(keyByte&^boxTextCut), int(valueByte&^boxTextCut)
		if len(texts) < 2+key+value {
			return nil, false
		}
		labels = append(labels, boxLabel{boxLabelText(texts[2:2+key], keyByte), boxLabelText(texts[2+key:2+key+value], valueByte)})
		texts = texts[2+key+value:]
	}
	return labels, len(texts) == 0
}

// boxLabelText is safe for a terminal, as in the live profile; a text that was
// cut says so, and does not end in the middle of a character.
func boxLabelText(text []byte, count byte) string {
	if count&boxTextCut == 0 {
		return termtext.Escape(string(text))
	}
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				text = text[:len(text)-n]
			}
			break
		}
	}
	return termtext.Escape(string(text)) + "..."
}

// addLabels: a key that the profile has a meaning for of its own is renamed; a
// label without a value is none in pprof's profiles.
func (s *boxStack) addLabels(sample *profile.Sample) {
	for _, l := range s.labels {
		key := l.key
		if key == "origin" || key == "bytes" {
			key = "label." + key
		}
		if l.value != "" {
			sample.Label[key] = append(sample.Label[key], l.value)
		}
	}
}
