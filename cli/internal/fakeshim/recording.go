package fakeshim

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"hash/fnv"

	"cgoheap/cli/internal/recordlayout"
)

// Offsets in Recording.
const (
	RecordingAt       = 4096
	RecordingAccounts = RecordingAt + recordlayout.FixedBytes
	RecordingModules  = RecordingAccounts + 2*recordlayout.AccountBytes
	RecordingSeconds  = RecordingModules + 2*recordlayout.ModuleBytes
	recordingBytes    = RecordingSeconds + 4*recordlayout.SecondBytes
)

// labelSet is a record of these texts, each given as its count's byte and itself.
func labelSet(count int, texts string) []byte {
	h := fnv.New64a()
	h.Write([]byte(texts))
	d := binary.LittleEndian.AppendUint64(nil, h.Sum64())
	d = binary.LittleEndian.AppendUint32(d, 0)
	d = binary.LittleEndian.AppendUint16(d, uint16(len(texts)))
	return append(append(d, byte(count), 0), texts...)
}

// image is the bytes of a file.
type image []byte

func (d image) put64(at int, v uint64) { binary.LittleEndian.PutUint64(d[at:], v) }
func (d image) put32(at int, v uint32) { binary.LittleEndian.PutUint32(d[at:], v) }

// Recording is a whole file, small: two stacks in one bucket, one of them under labels, one module, four seconds, two
// accounts.
func Recording() []byte {
	d := make(image, recordingBytes)
	d.putHeader()
	d.putStack(1024, 1200/8, 1104/8, 0x1001, 0x1002)
	d.putSite(1104, 1024/8, 100, 11)
	d.putStack(1200, 0, 1264/8, 0x1001, 0x2003)
	d.putSite(1264, 1200/8, 10, 3)
	d.put32(1200+32, 1400/8)
	// A value that was cut in the middle of a character, a key of the profile's own, a terminal's escape.
	copy(d[1400:], labelSet(3, "\x04\x82longx\xc3"+"\x06\x03originown"+"\x06\x05tenanta\x1b[1m"))
	d.putFixed()
	copy(d[RecordingAccounts:], RecordedAccount(8))
	copy(d[RecordingAccounts+recordlayout.AccountBytes:], RecordedAccount(7))
	d.putModule()
	for i, seq := range []int{4, 1, 2, 3} { // the ring has come round
		d.putSecond(RecordingSeconds+i*recordlayout.SecondBytes, seq)
	}
	return d
}

func (d image) putHeader() {
	d.put64(0, recordlayout.Magic)
	d.put32(8, recordlayout.Version)
	d.put32(12, recordlayout.HeaderBytes)
	d.put64(16, uint64(len(d)))
	d.put64(24, 1_700_000_000_000_000_000)
	d.put32(40, 4242)
	d.put64(48, 1024) // arena
	d.put64(56, 1024)
	d.put64(64, 512) // buckets
	d.put64(72, 16)
	d.put64(160, 400) // used
	d.put64(168, RecordingAt)
	d.put32(512, 1024/8)
}

func (d image) putStack(at int, next, site uint32, frames ...uint64) {
	d.put32(at+8, next)
	d.put32(at+12, site)
	binary.LittleEndian.PutUint16(d[at+20:], uint16(len(frames)))
	for i, f := range frames {
		d.put64(at+recordlayout.StackBytes+8*i, f)
	}
}

func (d image) putSite(at int, stack, size uint32, objects uint64) {
	d.put32(at, stack)
	d.put64(at+8, uint64(size))
	d.put64(at+32, objects<<16)
	d.put64(at+40, objects*uint64(size)<<8)
	d.put64(at+48, 1<<16)
	d.put64(at+56, uint64(size)<<8)
}

func (d image) putFixed() {
	b := RecordingAt
	d.put32(b, recordlayout.ModuleBytes)
	d.put32(b+4, recordlayout.SecondBytes)
	d.put32(b+8, 2)
	d.put32(b+12, 4)
	d.put32(b+16, 1)
	d.put64(b+24, 5) // seconds
	copy(d[b+160:], "/bin/gone")
	copy(d[b+416:], "go1.26.8")
	copy(d[b+512:], "1GiB")
	copy(d[b+544:], "2")
	d.put32(b+576, recordlayout.AccountBytes)
	d.put32(b+580, 2)
}

func (d image) putModule() {
	m := RecordingModules
	d.put64(m, 0x1000)
	d.put64(m+8, 0x3000)
	d.put32(m+32, recordlayout.ModuleMain|recordlayout.ModuleHasELF)
	copy(d[m+40:], "abcd")
	copy(d[m+112:], "/nowhere/gone")
}

func (d image) putSecond(at, seq int) {
	d.put64(at, uint64(1_700_000_000+20*seq)*1e9)
	d.put64(at+8, uint64(seq)<<20)
	d.put64(at+56, recordlayout.Unknown)
	d.put32(at+112, 1)
	d.put64(at+120, uint64(seq)<<16)
	d.put64(at+176, uint64(RecordedTime+int64(seq-4)*20e9))
	for owner := range recordlayout.Owners {
		d.put32(at+184+4*owner, uint32(owner*10+seq))
	}
	d.put32(at+184, ^uint32(0))
	d.put32(at+264, 3)
}

// RecordedTime of the account.
const RecordedTime = 1_700_000_079_200_000_000 // 0.8 s before the recording's last second

// accountWriter writes field after field.
type accountWriter struct {
	bytes.Buffer
	n uint64
}

func (w *accountWriter) put(values ...any) {
	for _, v := range values {
		if err := binary.Write(w, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
}

// figures are the next n MiB, n+1 MiB and so on.
func (w *accountWriter) figures(count int) {
	for range count {
		w.n++
		w.put(w.n << 20)
	}
}

func (w *accountWriter) text(s string, size int) {
	w.WriteString(s)
	w.Write(make([]byte, size-len(s)))
}

// RecordedAccount has a different figure in nearly every field: field n has n MiB.
func RecordedAccount(sequence uint64) []byte {
	w := &accountWriter{}
	w.put(uint32(0), uint32(recordlayout.AccountBytes), sequence, uint64(RecordedTime))
	w.put(uint64(12_000_000), uint64(400<<20), uint64(2<<20)) // took_ns, rss, unexplained
	w.figures(2)
	w.put(uint64(985))
	w.figures(4)
	w.figures(6)
	w.text("glibc", 32)
	w.figures(6)
	w.text("runtime.gcController", 32)
	w.runtime()
	w.figures(9)
	w.put(recordlayout.Unknown)
	w.put(uint64(2))
	w.figures(6)
	w.text("/a.slice/b", 256)
	w.owners()
	w.put(uint64(1264/8), uint64(5<<20), uint64(6<<20))
	w.put(uint64(0), uint64(3<<20), uint64(4<<20))
	w.text("", (recordlayout.Top-2)*24)
	w.text("first", recordlayout.WarningBytes)
	w.text("second", recordlayout.WarningBytes)
	w.text("", (recordlayout.Warnings-2)*recordlayout.WarningBytes)
	w.put(uint64(6000), uint64(48000<<20)) // stacks of ended threads
	SealAccount(w.Bytes())
	return w.Bytes()
}

func (w *accountWriter) runtime() {
	w.put(uint64(77), recordlayout.Unknown) // metadata, memory_limit
	for i := uint64(0); i < recordlayout.GoFigures; i++ {
		switch {
		case i == recordlayout.GoLive:
			w.put(uint64(600))
		case i == recordlayout.GoLastGC:
			w.put(uint64(RecordedTime))
		case i > recordlayout.GoLastGC:
			w.put(recordlayout.Unknown)
		default:
			w.put(1000 + i)
		}
	}
}

func (w *accountWriter) owners() {
	owners := []struct {
		name             string
		bytes            uint64
		isKnown, isExact uint32
	}{{"go_heap", 80 << 20, 1, 1}, {"go_stacks", 0, 0, 1}, {"c_live", 300 << 20, 1, 0}, {"later", 18 << 20, 1, 1}}
	w.put(uint32(len(owners)), uint32(2))
	for _, o := range owners {
		w.text(o.name, recordlayout.OwnerNameBytes)
		w.put(o.bytes)
		w.figures(4)
		w.put(o.isKnown, o.isExact)
	}
	w.text("", (recordlayout.Owners-len(owners))*72)
}

// SealAccount corrects the checksum of an account that a test has changed.
func SealAccount(slot []byte) {
	binary.LittleEndian.PutUint32(slot, crc32.ChecksumIEEE(slot[recordlayout.AccountCRCBytes:]))
}

// SealAccounts does so for the accounts in a Recording.
func SealAccounts(data []byte) {
	for i := 0; i < 2; i++ {
		if at := RecordingAccounts + i*recordlayout.AccountBytes; at+recordlayout.AccountBytes <= len(data) {
			SealAccount(data[at : at+recordlayout.AccountBytes])
		}
	}
}

// RecordedAccountBody is what /v1/account would have answered for RecordedAccount.
const RecordedAccountBody = `{"rss_bytes":419430400,"owners":[` +
	`{"name":"go_heap","bytes":83886080,"exact":true,"huge_bytes":35651584,"lazy_free_bytes":36700160,"swap_bytes":37748736,"mapped_bytes":38797312},` +
	`{"name":"go_stacks","bytes":null,"exact":true,"huge_bytes":null,"lazy_free_bytes":null,"swap_bytes":null,"mapped_bytes":null},` +
	`{"name":"c_live","bytes":314572800,"exact":false,"huge_bytes":44040192,"lazy_free_bytes":45088768,"swap_bytes":46137344,"mapped_bytes":47185920},` +
	`{"name":"later","bytes":18874368,"exact":true,"huge_bytes":48234496,"lazy_free_bytes":49283072,"swap_bytes":50331648,"mapped_bytes":51380224}],` +
	`"unexplained_bytes":2097152,"took_ns":12000000,"time":"2023-11-14T22:14:39.2Z",` +
	`"allocator":{"name":"glibc","in_use_bytes":7340032,"free_bytes":8388608,"mapped_bytes":9437184,"system_bytes":10485760,"arenas":11534336,"nanoseconds":12582912},` +
	`"c_live_estimate":{"bytes":1048576,"standard_error_bytes":2097152,"sample_bytes":3145728},"c_blocks_resident_ratio":0.985,` +
	`"go":{"source":"runtime.gcController","heap_in_use_bytes":13631488,"heap_free_bytes":14680064,"heap_released_bytes":15728640,` +
	`"stacks_bytes":16777216,"mapped_ready_bytes":17825792,"total_alloc_bytes":18874368,"metadata_bytes":77,` +
	`"heap_objects_bytes":1001,"heap_live_bytes":600,"heap_dead_or_new_bytes":401,"heap_unused_bytes":1004,"gc_goal_bytes":1015,` +
	`"memory_limit_bytes":null,"goroutines":1018,"last_gc_time":"2023-11-14T22:14:39.2Z","runtime_metrics":{` +
	`"/memory/classes/heap/free:bytes":1000,"/memory/classes/heap/objects:bytes":1001,"/memory/classes/heap/released:bytes":1002,` +
	`"/memory/classes/heap/stacks:bytes":1003,"/memory/classes/heap/unused:bytes":1004,"/memory/classes/metadata/mcache/free:bytes":1005,` +
	`"/memory/classes/metadata/mcache/inuse:bytes":1006,"/memory/classes/metadata/mspan/free:bytes":1007,` +
	`"/memory/classes/metadata/mspan/inuse:bytes":1008,"/memory/classes/metadata/other:bytes":1009,"/memory/classes/os-stacks:bytes":1010,` +
	`"/memory/classes/other:bytes":1011,"/memory/classes/profiling/buckets:bytes":1012,"/memory/classes/total:bytes":1013,` +
	`"/gc/heap/live:bytes":600,"/gc/heap/goal:bytes":1015,"/gc/heap/allocs:bytes":1016,"/gc/gomemlimit:bytes":1017,` +
	`"/sched/goroutines:goroutines":1018}},` +
	`"process":{"vm_rss_bytes":19922944,"rss_anon_bytes":20971520,"rss_file_bytes":22020096,"rss_shmem_bytes":23068672,"vm_data_bytes":24117248,` +
	`"vm_stk_bytes":25165824,"vm_size_bytes":26214400,"vm_swap_bytes":27262976,"vm_hwm_bytes":28311552,"threads":null},` +
	`"cgroup":{"version":2,"path":"/a.slice/b","current_bytes":29360128,"limit_bytes":30408704,"anon_bytes":31457280,"file_bytes":32505856,` +
	`"kernel_bytes":33554432,"swap_bytes":34603008},"mappings":4194304,"split_mappings":5242880,"thread_stacks":6291456,"thread_stacks_ended":6000,"thread_stacks_ended_bytes":50331648000,` +
	`"c_mmap_top":[{"bytes":5242880,"mapped_bytes":6291456,"frames":["gone+0x0","gone+0x1002"]},{"bytes":3145728,"mapped_bytes":4194304,"frames":[]}],"mapped_top":[],` +
	`"warnings":["first","second"]}`
