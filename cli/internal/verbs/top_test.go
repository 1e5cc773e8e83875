package verbs

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTopOnce(t *testing.T) {
	s := startShim(t, "serve")
	cgoheap(t, "top", s.arg()).normal(s).want(t, 0, `service (PID)  sampling 1 in 512KiB  up 4m10s  RSS 12.3 MiB
C memory in use ~812.0 MiB ±4.6 % in ~81,206 objects
more is in use than resident: blocks that were never touched or are swapped out are not in the RSS

     BYTES   ERROR  GROWTH  OBJECTS  WHAT       GO CALLER                                           C LEAF
~640.0 MiB  ±5.6 %       -  ~81,003  in use by  cgoheap.example/cli/internal/store.(*Store).lookup  sqlite3MemMalloc
~172.0 MiB  ±6.9 %       -     ~200  in use by  main.compress                                       ZSTD_createCCtx
     ~96 B  >999 %       -       ~3  in use by  main.header                                         C.CString
`, "")
}

func TestTopExactHasNoTilde(t *testing.T) {
	s := startShim(t, "exact")
	r := cgoheap(t, "top", "-n", "1", s.arg()).normal(s)
	r.want(t, 0, `service (PID)  sampling every allocation  up 4m10s  RSS 12.3 MiB
C memory in use 812.0 MiB in 81,206 objects
more is in use than resident: blocks that were never touched or are swapped out are not in the RSS

    BYTES  GROWTH  OBJECTS  WHAT       GO CALLER                                           C LEAF
640.0 MiB       -   81,003  in use by  cgoheap.example/cli/internal/store.(*Store).lookup  sqlite3MemMalloc
and 2 rows more
`, "")
}

func TestTopFilterAndStacks(t *testing.T) {
	s := startShim(t, "exact")
	r := cgoheap(t, "top", "--stacks", "--filter", "^main[.]|ZSTD", "-n", "1", s.arg()).normal(s)
	r.want(t, 0, `service (PID)  sampling every allocation  up 4m10s  RSS 12.3 MiB
C memory in use 812.0 MiB in 81,206 objects
more is in use than resident: blocks that were never touched or are swapped out are not in the RSS

    BYTES  GROWTH  OBJECTS  WHAT       GO CALLER      C LEAF
172.0 MiB       -      200  in use by  main.compress  ZSTD_createCCtx
    malloc
    ZSTD_createCCtx
    main._Cfunc_ZSTD_createCCtx
    main.compress
    main.main
    runtime.main
    runtime.goexit
and 1 row more
`, "")
	r = cgoheap(t, "top", "--filter", "nobody", s.arg())
	if !strings.HasSuffix(r.out, "\n\nno row's caller or leaf matches --filter\n") {
		t.Errorf("%+v", r)
	}
	r = cgoheap(t, "top", "--filter", "a(", s.arg())
	if r.code != 2 ||
		!strings.Contains(r.err, `invalid --filter "a(": expected a regular expression (`) {
		t.Errorf("%+v", r)
	}
}

func TestTopGrowth(t *testing.T) {
	s := startShim(t, "exact")
	r := cgoheap(t, "top", "--json", "--sort", "growth", "--interval", "100ms", s.arg())
	var v topJSON
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != 0 {
		t.Fatal(err, r)
	}
	if v.Growth == nil || *v.Growth != 1<<20 || len(v.Rows) != 3 || *v.Rows[0].Growth != 1<<20 ||
		*v.Rows[1].Growth != 0 {
		t.Errorf("%s", r.out)
	}
}

func TestTopJSON(t *testing.T) {
	s := startShim(t, "serve")
	cgoheap(t, "top", "--json", "-n", "1", s.arg()).normal(s).want(t, 0, `{
  "schema": "cgoheap.top/1",
  "pid": PID,
  "program": "service",
  "time": "T",
  "state": "sampling",
  "sample_bytes": 524288,
  "estimated": true,
  "rss_bytes": 1,
  "in_use_bytes": 851443808,
  "in_use_objects": 81206,
  "growth_bytes": null,
  "standard_error_bytes": 19609876,
  "standard_error_objects": 2266,
  "in_use_low_bytes": 813764306,
  "in_use_high_bytes": 890643030,
  "notes": [
    "more is in use than resident: blocks that were never touched or are swapped out are not in the RSS"
  ],
  "mapped": {},
  "rows": [
    {
      "origin": "malloc",
      "go_caller": "cgoheap.example/cli/internal/store.(*Store).lookup",
      "c_leaf": "sqlite3MemMalloc",
      "in_use_bytes": 671088640,
      "mapped_bytes": null,
      "growth_bytes": null,
      "in_use_objects": 81003,
      "stacks": 1,
      "standard_error_bytes": 18683452,
      "standard_error_objects": 2255,
      "in_use_low_bytes": 635221470,
      "in_use_high_bytes": 708469063
    }
  ],
  "rows_left_out": 2
}
`, "")
}

func TestTopSaysDormant(t *testing.T) {
	s := startShim(t, "serve")
	cgoheap(t, "sampling", s.arg(), "off")
	r := cgoheap(t, "top", s.arg()).normal(s)
	if !strings.Contains(r.out, "\ndormant: new allocations are not recorded; cgoheap "+
		"sampling PID on\n") {
		t.Error(r.out)
	}
}
