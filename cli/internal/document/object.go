package document

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Object is a JSON object whose members keep their order, so that what the shim
// says passes through unchanged, including members that this command does not know.
type Object []Member

// Member is one key and its value, as it was sent.
type Member struct {
	Key   string
	Value json.RawMessage
}

// ParseObject reads one object; what follows it is ignored.
func ParseObject(text []byte) (Object, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var o Object
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := Member{}
		m.Key, _ = key.(string)
		if err := d.Decode(&m.Value); err != nil {
			return nil, err
		}
		o = append(o, m)
	}
	return o, nil
}

// Set replaces a member, or adds it at the end.
func (o *Object) Set(key string, value any) error {
	var b bytes.Buffer
	if err := writeJSON(&b, value); err != nil {
		return err
	}
	text := json.RawMessage(bytes.TrimSpace(b.Bytes()))
	for i := range *o {
		if (*o)[i].Key == key {
			(*o)[i].Value = text
			return nil
		}
	}
	*o = append(*o, Member{key, text})
	return nil
}

// Merge sets in the member of that name, an object, the members of value.
func (o *Object) Merge(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	from, err := ParseObject(text)
	if err != nil {
		return err
	}
	for i := range *o {
		if (*o)[i].Key != key {
			continue
		}
		into, err := ParseObject((*o)[i].Value)
		if err != nil {
			return err
		}
		for _, m := range from {
			if err := into.Set(m.Key, m.Value); err != nil {
				return err
			}
		}
		return o.Set(key, into)
	}
	return o.Set(key, from)
}

// MarshalJSON writes the members in their order.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.Key)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(m.Value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
