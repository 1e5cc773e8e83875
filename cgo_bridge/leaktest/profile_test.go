package leaktest

import (
	"bytes"
	"compress/gzip"
	"io"
	"runtime/pprof"
	"strings"
	"testing"
)

// goProfile is one of Go's own: the same format, from another writer.
func goProfile(t *testing.T) []byte {
	t.Helper()
	kept = make([]byte, 8<<20)
	var body bytes.Buffer
	if err := pprof.Lookup("heap").WriteTo(&body, 0); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(&body)
	if err != nil {
		t.Fatal(err)
	}
	message, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

var kept []byte

func TestParseProfile(t *testing.T) {
	p, err := parseProfile(goProfile(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.types) != 4 || len(p.samples) == 0 || len(p.functions) == 0 {
		t.Errorf("%d types, %d samples, %d functions", len(p.types), len(p.samples),
			len(p.functions))
	}
	if _, err := p.snapshot(); err != nil {
		t.Error(err)
	}
	found := false
	for _, s := range p.samples {
		for _, f := range p.stack(s.locations) {
			found = found || f.line > 0 && strings.HasSuffix(f.Function, "/leaktest.goProfile")
		}
	}
	if !found {
		t.Error("the stack of 8 MiB is not there")
	}
}

// A profile that is cut off or changed is an error or another profile, and no panic.
func TestParseDamagedProfile(t *testing.T) {
	message := goProfile(t)
	for n := range message {
		if n > 2000 && n%97 != 0 {
			continue
		}
		cut, changed := message[:n], append([]byte(nil), message...)
		changed[n] ^= 0x55
		for _, m := range [][]byte{cut, changed} {
			if p, err := parseProfile(m); err == nil {
				_, _ = p.snapshot()
			}
		}
	}
}

func snapshotOf(list ...*held) snapshot {
	all := snapshot{}
	for _, h := range list {
		all.add(h)
	}
	return all
}

// What grew, by whose label it is.
func TestCompare(t *testing.T) {
	o := optionsOf(nil)
	c, sub, other := begin("TestA", o), begin("TestA/sub", o), begin("TestB", o)
	gone := begin("TestC", o)
	gone.forget()
	defer func() {
		c.forget()
		sub.forget()
		other.forget()
	}()
	if !c.isOverlapped || !other.isOverlapped || !sub.isOverlapped {
		t.Error("TestA and TestB are at one time")
	}
	c.before = snapshotOf(&held{bytes: 5, blocks: 1, label: c.label})
	after := snapshotOf(&held{bytes: 7, blocks: 2, label: c.label},
		&held{bytes: 10, label: sub.label},
		&held{bytes: 100, label: other.label}, &held{bytes: 1000, label: gone.label},
		&held{bytes: 10000}, &held{bytes: 100000, label: "a label that was not given out"})
	c.compare(after, false)
	if c.bytes() != 12 || c.unattributed.bytes != 111000 {
		t.Errorf("overlapped: %d bytes, unattributed %d", c.bytes(), c.unattributed.bytes)
	}
	c.isOverlapped = false
	if c.compare(after, false); c.bytes() != 111012 || c.unattributed.bytes != 0 {
		t.Errorf("alone: %d bytes, unattributed %d", c.bytes(), c.unattributed.bytes)
	}
	if c.compare(after, true); c.bytes() != 12 {
		t.Errorf("parallel: %d bytes", c.bytes())
	}
	// The subtest has judged its own: the test around it does not do so again.
	sub.handOn(after, true)
	if c.compare(after, true); c.bytes() != 2 {
		t.Errorf("after its subtest: %d bytes", c.bytes())
	}
}

func TestIsParallel(t *testing.T) {
	if isParallel(t) {
		t.Error("it is not")
	}
	t.Run("parallel", func(t *testing.T) {
		t.Parallel()
		t.Run("within", func(t *testing.T) {
			if !isParallel(t) {
				t.Error("its parent is")
			}
		})
	})
}

func TestSettle(t *testing.T) {
	if err := settle(); err != nil {
		t.Error(err)
	}
}
