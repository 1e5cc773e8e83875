// Package recordlayout is how the bytes of a recording lie, as the library's headers say
// (layout.go), and what its figures are.
package recordlayout

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"
)

// Unknown is the figure that the library has for what it does not know.
const Unknown = Figure(^uint64(0))

// Figure is a number that may be Unknown, which is null in JSON.
type Figure uint64

// IsKnown is false too for what no machine has.
func (f Figure) IsKnown() bool { return f <= 1<<62 }

// MarshalJSON prints it.
func (f Figure) MarshalJSON() ([]byte, error) {
	if !f.IsKnown() {
		return []byte("null"), nil
	}
	return strconv.AppendUint(nil, uint64(f), 10), nil
}

// Time is in nanoseconds since 1970.
type Time uint64

// Time is the same for Go.
func (t Time) Time() time.Time { return time.Unix(int64(t/1e9), int64(t%1e9)) }

// MarshalJSON prints it in UTC.
func (t Time) MarshalJSON() ([]byte, error) {
	return json.Marshal(t.Time().UTC().Format(time.RFC3339Nano))
}

// Text ends at its NUL.
func Text(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

// Get is a struct of this package at an offset.
// False: not all of it is there, and what is read is zero.
func Get[T any](data []byte, offset uint64) (v T, ok bool) {
	n := uint64(binary.Size(v))
	if offset > uint64(len(data)) || n > uint64(len(data))-offset {
		return v, false
	}
	_, err := binary.Decode(data[offset:], binary.LittleEndian, &v)
	return v, err == nil
}

// Put writes one there, gaps as zeros.
func Put(data []byte, offset uint64, v any) {
	if _, err := binary.Encode(data[offset:], binary.LittleEndian, v); err != nil {
		panic(err)
	}
}
