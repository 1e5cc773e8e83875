package memlimit

import (
	"os"
	"reflect"
	"runtime"
	"strconv"
	"testing"
)

func TestArenaMappings(t *testing.T) {
	maps := []byte(`00563000-00595000 rw-p 00000000 00:00 0
01000000-01021000 rw-p 00000000 00:00 0                          [heap]
23bfec000000-23bfee400000 ---p 00000000 00:00 0
23bfee400000-23c06e800000 rw-p 00000000 00:00 0                  [anon: Go: heap]
23c06e800000-23c070000000 ---p 00000000 00:00 0
7fc9bdf80000-7fc9be154000 rw-p 00000000 00:00 0
7fc9be154000-7fc9be254000 r--p 00000000 08:01 77                 /lib/x.so
`)
	heap := []mapping{{0x23bfec000000, 0x23bfee400000, false}, {0x23bfee400000, 0x23c06e800000,
		true}, {0x23c06e800000, 0x23c070000000, false}}
	for _, c := range []struct {
		inside uint64
		want   []mapping
	}{
		{0x23bfee400000, heap}, {0x23c06e7ffff8, heap},
		{0x7fc9bdf80008, []mapping{{0x7fc9bdf80000, 0x7fc9be154000, true}}},
		{0x7fc9be154000, nil}, {0x1000000, nil}, {0x10, nil},
	} {
		if got := arenaMappings(maps, c.inside); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%x: %+v", c.inside, got)
		}
	}
}

// What is made and not written is not resident, also when the collector has read it.
func TestResidentHeap(t *testing.T) {
	if _, err := os.Stat("/proc/self/pagemap"); err != nil {
		t.Skip(err)
	}
	if strconv.IntSize == 32 {
		t.Skip("arenas lie apart in 32 bits: what is not seen is taken to be resident")
	}
	inHeap = new([64]byte)
	look := func() int64 {
		runtime.GC()
		g := readGo()
		resident, seen := residentHeap()
		if seen < g.spans {
			t.Errorf("%s of %s was seen", size(seen), size(g.spans+g.released))
		}
		return g.untouched(resident, seen)
	}
	anonymous := func() int64 {
		n, err := processUsed("")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// Go may write zeros itself, where it is not sure that memory is new. Then it is resident.
	var kept [][]*int
	for i := 0; i < 10; i++ {
		before, rss := look(), anonymous()
		big := make([]*int, 200*mib/8)
		kept = append(kept, big)
		made, grown := look()-before, anonymous()-rss
		t.Logf("200 MiB made: RSS grew by %s, not resident is %s more", size(grown), size(made))
		if missing := made + grown - 200*mib; missing < -10*mib || missing > 20*mib {
			t.Errorf("200 MiB made: RSS grew by %s, not resident is %s more", size(grown),
				size(made))
		}
		if grown > 20*mib {
			continue
		}
		for i := 0; i < len(big); i += 512 {
			big[i] = new(int)
		}
		touched := look() - before
		t.Logf("written: not resident is %s more than before", size(touched))
		if touched > 10*mib {
			t.Errorf("200 MiB written: %s is said to be not resident", size(touched))
		}
		runtime.KeepAlive(kept)
		return
	}
	t.Error("Go wrote to all that it made")
}
