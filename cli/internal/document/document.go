// Package document writes what --json prints: one object, whose first member
// says what it is and in which version.  Within a version members are only
// added; docs/json.md and docs/json-schema say what is there, and a test checks
// that it is.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

const schemaVersion = 1

func schemaName(kind string) string { return fmt.Sprintf("cgoheap.%s/%d", kind, schemaVersion) }

// Write prints an object of one kind, which is the verb's name, or "error".
func Write(w io.Writer, kind string, value any) error {
	var b bytes.Buffer
	if err := writeJSON(&b, value); err != nil {
		return err
	}
	o, err := ParseObject(b.Bytes())
	if err != nil {
		return err
	}
	name, err := json.Marshal(schemaName(kind))
	if err != nil {
		return err
	}
	return writeJSON(w, append(Object{{"schema", name}}, o...))
}

// writeJSON is for machines; <, > and & stay as they are, function names hold them.
func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
