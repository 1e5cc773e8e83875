package fakeshim

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// What the fake library answers about its memory.

// Account is the answer to look n, an hour after the one before; C live grows by 40 MiB.
func Account(part string, n int64) string {
	switch part {
	case "empty account":
		return "{}"
	case "hostile":
		return `{"rss_bytes":100,"owners":[{"name":"c_mmap","bytes":90,"exact":true},{"name":"\u001b[2Jx_y","bytes":10},{"name":""}],
			"c_mmap_top":[{"bytes":90,"mapped_bytes":90,"frames":["mmap","_Z3\u001bgrab"]}],"warnings":["\u001b]0;x"],
			"allocator":{"name":"\u001b[1m","in_use_bytes":1,"free_bytes":1},"cgroup":{"version":2,"path":"/\u001b","current_bytes":1},
			"go":{"source":"\u001bgo","heap_in_use_bytes":1}}`
	case "contradiction":
		return `{"rss_bytes":-1,"owners":[{"name":"c_live","bytes":-5}],` +
			`"unexplained_bytes":-9223372036854775808}`
	case "not an account":
		return `{"rss_bytes":"many"}`
	}
	grown := (n - 1) * 40 << 20
	text := accountText
	for key, value := range map[string]int64{
		"RSS": 901<<20 + grown, "LIVE": 572<<20 + grown, "INUSE": 580<<20 + grown,
		"DAY": 2 + n/10, "HOUR": n % 10,
	} {
		text = strings.ReplaceAll(text, "$"+key, fmt.Sprint(value))
	}
	if part == "rings" { // C live's bytes, but a driver's
		text = strings.Replace(text, `{"name":"c_live",`, `{"name":"device_maps",`, 1)
	}
	if part == "why" {
		text = strings.Replace(text, `"go":{`, `"go":{"heap_goal_bytes":67108864,`+
			`"heap_now_bytes":62914560,"last_gc":"2026-01-02T00:54:00Z",`, 1)
	}
	if part == "package" {
		text = withGo(text, `"source":"runtime/metrics",`+
			`"heap_in_use_bytes":62914560,"heap_free_bytes":20971520,`+
			`"heap_released_bytes":41943040,"stacks_bytes":2097152,`+
			`"mapped_ready_bytes":94371840,"metadata_bytes":7340032,`+
			`"heap_live_bytes":52428800,"heap_dead_or_new_bytes":8388608,`+
			`"heap_unused_bytes":2097152,"goroutines":311`)
	}
	if part == "stripped" {
		text = strings.Replace(text, `{"name":"go_stacks","bytes":2097152,`,
			`{"name":"go_stacks","bytes":null,`, 1)
		text = strings.Replace(text, `"bytes":83886080`, `"bytes":85983232`, 1)
		text = withGo(text, `"source":"","heap_in_use_bytes":null,"heap_free_bytes":null,`+
			`"heap_released_bytes":null,"stacks_bytes":null,"mapped_ready_bytes":null`)
	}
	return text
}

// withGo is an account with these figures of Go's.
func withGo(text, figures string) string {
	from, to := strings.Index(text, `"go":`), strings.Index(text, `"process"`)
	return text[:from] + `"go":{` + figures + `},` + text[to:]
}

// 901 MiB: Go 80 + 2 + 3, C 572 + 100 + 101, 4, program 12, libraries 9, files 10, 0, shim 7.5,
// 0.5.
const accountText = `{"rss_bytes":$RSS,"owners":[
{"name":"go_heap","bytes":83886080,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":134217728},
{"name":"go_stacks","bytes":2097152,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":4194304},
{"name":"go_metadata","bytes":3145728,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":9437184},
{"name":"c_live","bytes":$LIVE,"exact":false,"huge_bytes":2097152,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":608174080},
{"name":"c_retained","bytes":104857600,"exact":false,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":209715200},
{"name":"c_mmap","bytes":105906176,"exact":true,"huge_bytes":0,"lazy_free_bytes":1048576,"swap_bytes":0,"mapped_bytes":268435456},
{"name":"thread_stacks","bytes":4194304,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":4096,"mapped_bytes":117440512},
{"name":"program","bytes":12582912,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":20971520},
{"name":"libraries","bytes":9437184,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":20971520},
{"name":"mapped_files","bytes":10485760,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":10485760},
{"name":"shared_memory","bytes":0,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":0},
{"name":"shim","bytes":7864320,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":33554432},
{"name":"untracked_mmap","bytes":0,"exact":true,"huge_bytes":0,"lazy_free_bytes":0,"swap_bytes":0,"mapped_bytes":0}],
"unexplained_bytes":524288,"took_ns":12000000,"time":"2026-01-0$DAYT0$HOUR:00:00Z",
"allocator":{"name":"glibc","in_use_bytes":$INUSE,"free_bytes":107374182,"mapped_bytes":0,"system_bytes":713031680,"arenas":37,"nanoseconds":45000},
"c_live_estimate":{"bytes":583008256,"standard_error_bytes":12582912,"sample_bytes":524288},"c_blocks_resident_ratio":0.98,
"go":{"source":"runtime.gcController","heap_in_use_bytes":62914560,"heap_free_bytes":20971520,"heap_released_bytes":41943040,"stacks_bytes":3145728,"mapped_ready_bytes":94371840},
"process":{"vm_rss_bytes":944766976,"rss_anon_bytes":911212544,"rss_file_bytes":33554432,"rss_shmem_bytes":0,"vm_data_bytes":2147483648,"vm_stk_bytes":135168,"vm_size_bytes":4294967296,"vm_swap_bytes":4096,"threads":14},
"cgroup":{"version":2,"path":"/system.slice/service.service","current_bytes":1181116006,"limit_bytes":2147483648,"anon_bytes":944766976,"file_bytes":209715200,"kernel_bytes":12582912,"swap_bytes":4096},
"mappings":412,"split_mappings":7,"thread_stacks":14,
"c_mmap_top":[{"bytes":94371840,"mapped_bytes":134217728,"frames":["mmap","os_pages_map","pages_map","extent_alloc_mmap","main._Cfunc_duckdb_query","main.query","main.main"]},
{"bytes":8388608,"mapped_bytes":8388608,"frames":["mmap","_ZN2v88internal10PageMemory4GrowEm","main.render"]},
{"bytes":2097152,"mapped_bytes":2097152,"frames":["mmap64","cache_open"]},{"bytes":1048576,"mapped_bytes":1048576,"frames":[]}],
"warnings":["not all of the C allocator's big blocks were found: the rest of them is in untracked_mmap"],"later":{"key":"<kept>"}}`

var fakeFigures = regexp.MustCompile(`("in_use_bytes":|"free_bytes":)[0-9]+`) // of the allocator

// answerTrim returns all but 20 MiB of the retained memory, or nothing of it.
func (f *Shim) answerTrim(w http.ResponseWriter) {
	before := Account(f.part, 1)
	after := before
	released := 0
	switch f.part {
	case "no trim":
		http.Error(w, "cgoheap knows no trim function of snmalloc", http.StatusNotImplemented)
		return
	case "trims nothing":
	case "trims in silence":
		after = fakeFigures.ReplaceAllString(after, "${1}null")
	default:
		released = 80 << 20
		rss := func(mib int) string { return fmt.Sprintf(`"rss_bytes":%d`, mib<<20) }
		after = strings.Replace(after, rss(901), rss(821), 1)
		after = strings.Replace(after, `"bytes":104857600`, `"bytes":20971520`, 1)
	}
	fmt.Fprintf(w, `{"before":%s,"after":%s,"released_bytes":%d,"what":"malloc_trim"}`,
		before, after, released)
}
