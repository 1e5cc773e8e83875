package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// What --json prints: one object, whose first member says what it is and in which
// version.  Within a version members are only added; docs/json.md and
// docs/json-schema say what is there, and a test that it is.

const schemaVersion = 1

func schemaName(kind string) string { return fmt.Sprintf("cgoheap.%s/%d", kind, schemaVersion) }

// writeDocument prints an object of one kind, which is the verb's name, or "error".
func writeDocument(w io.Writer, kind string, value any) error {
	var b bytes.Buffer
	if err := writeJSON(&b, value); err != nil {
		return err
	}
	o, err := parseObject(b.Bytes())
	if err != nil {
		return err
	}
	name, err := json.Marshal(schemaName(kind))
	if err != nil {
		return err
	}
	return writeJSON(w, append(object{{"schema", name}}, o...))
}

// writeJSON is for machines; <, > and & stay as they are, function names hold them.
func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
