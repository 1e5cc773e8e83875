package recorder

import (
	"hash/fnv"
	"unicode/utf8"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/termtext"
)

// Sets of goroutine labels, as shim/record/labelsets.h lays them out. A set has a hash of
// its texts; without a correct one it is not a set.

type label struct{ key, value string }

// ownLabels have a meaning in the library's profiles (profile_labels.c).
var ownLabels = map[string]bool{"origin": true, "bytes": true, "age": true, "freed_by": true,
	"allocated_by": true}

// labels reads a set once; if there is no set, it is nil and counts as a bad reference.
func (r *chains) labels(id uint32) []label {
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

func (r *chains) labelSet(at uint64) ([]label, bool) {
	set, ok := recordlayout.Get[recordlayout.Labelset](r.data, at)
	if !ok || at < r.start || at > r.end || r.end-at < recordlayout.LabelsetBytes {
		return nil, false
	}
	bytes, count := uint64(set.Bytes), int(set.Count)
	texts := r.data.At(at+recordlayout.LabelsetBytes, bytes)
	if bytes > r.end-at-recordlayout.LabelsetBytes || texts == nil ||
		count > recordlayout.MaxLabels {
		return nil, false
	}
	h := fnv.New64a()
	h.Write(texts)
	if h.Sum64() != set.Hash {
		return nil, false
	}
	var labels []label
	for ; count > 0; count-- {
		if len(texts) < 2 {
			return nil, false
		}
		keyByte, valueByte := texts[0], texts[1]
		key, value := int(keyByte&^recordlayout.TextCut), int(valueByte&^recordlayout.TextCut)
		if len(texts) < 2+key+value {
			return nil, false
		}
		labels = append(labels, label{
			labelText(texts[2:2+key], keyByte),
			labelText(texts[2+key:2+key+value], valueByte),
		})
		texts = texts[2+key+value:]
	}
	return labels, len(texts) == 0
}

// labelText is safe for a terminal, as in the live profile.  A text that was cut ends with
// dots, and not inside a character.
func labelText(text []byte, count byte) string {
	if count&recordlayout.TextCut == 0 {
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

// addLabels renames keys that have a meaning in the profile, and drops labels without a
// value, which pprof does not have.
func (s *stackRecord) addLabels(sample *profile.Sample) {
	for _, l := range s.labels {
		key := l.key
		if ownLabels[key] {
			key = "label." + key
		}
		if l.value != "" {
			sample.Label[key] = append(sample.Label[key], l.value)
		}
	}
}
