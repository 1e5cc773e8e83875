package main

import (
	"bytes"
	"encoding/json"
	"errors"
)

// object is a JSON object whose members keep their order, so that what the shim
// says passes through unchanged, also what this command does not know.
type object []member

type member struct {
	key   string
	value json.RawMessage
}

func parseObject(text []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var o object
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{}
		m.key, _ = key.(string)
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		o = append(o, m)
	}
	return o, nil
}

// set replaces a member, or adds it at the end.
func (o *object) set(key string, value any) error {
	var b bytes.Buffer
	if err := writeJSON(&b, value); err != nil {
		return err
	}
	text := json.RawMessage(bytes.TrimSpace(b.Bytes()))
	for i := range *o {
		if (*o)[i].key == key {
			(*o)[i].value = text
			return nil
		}
	}
	*o = append(*o, member{key, text})
	return nil
}

// merge sets in the member of that name, an object, the members of value.
func (o *object) merge(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	from, err := parseObject(text)
	if err != nil {
		return err
	}
	for i := range *o {
		if (*o)[i].key != key {
			continue
		}
		into, err := parseObject((*o)[i].value)
		if err != nil {
			return err
		}
		for _, m := range from {
			if err := into.set(m.key, m.value); err != nil {
				return err
			}
		}
		return o.set(key, into)
	}
	return o.set(key, from)
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
