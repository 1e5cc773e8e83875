package verbs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/difference"
	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/holders"
	figures "cgoheap.example/cli/internal/sampling"
)

// diffLook is a profile of a process with a leak of 60 samples, a stack that turns over as much as
// it holds, one that only just shrank, and a mapping.
func diffLook(later bool) *profile.Profile {
	const block, sample = 1024, 512 << 10
	b := fakeshim.NewProfileBuilder(sample)
	add := func(allocated, inUse int64, frames ...string) *profile.Sample {
		b.Add(1, block, frames...)
		s := b.Profile.Sample[len(b.Profile.Sample)-1]
		s.Value = []int64{allocated * sample / block, allocated * sample, inUse * sample / block,
			inUse * sample}
		return s
	}
	was := func(before, after int64) int64 {
		if later {
			return after
		}
		return before
	}
	add(was(100, 160), was(40, 100), "malloc", "main._Cfunc_CString@_cgo_gotypes.go",
		"main.(*log).audit@audit.go", "main.main@main.go")
	add(was(9000, 9500), was(800, 810), "malloc", "grow_table", "main._Cfunc_grow@_cgo_gotypes.go",
		"main.cache@main.go", "main.main@main.go")
	add(was(50, 50), was(20, 18), "malloc", "_ZN2ns4Pool4takeEm",
		"main._Cfunc_take@_cgo_gotypes.go", "main.pool@main.go", "main.main@main.go")
	add(300, 300, "malloc", "held", "main._Cfunc_held@_cgo_gotypes.go", "main.hold@main.go")
	add(was(2, 4), was(2, 4), "mmap", "pool_grow", "main._Cfunc_pool@_cgo_gotypes.go",
		"main.pool@main.go").Label["origin"] = []string{"mmap"}
	b.Profile.TimeNanos = was(1_767_323_045, 1_767_323_645) * 1e9
	b.Profile.Mapping = []*profile.Mapping{{ID: 1, Start: 0x400000, Limit: 0x500000,
		File: "/none/svc", BuildID: "ab", HasFunctions: true}}
	b.Profile.Comments = []string{"cgoheap 0.1.0",
		"process 4242, started 2026-01-02T03:00:00.000000000Z", "state: sampling"}
	return b.Profile
}

// diffFiles writes a.pb.gz and b.pb.gz, each as change leaves it, and moves there.
func diffFiles(t *testing.T, change func(a, b *profile.Profile)) {
	t.Helper()
	t.Chdir(t.TempDir())
	a, b := diffLook(false), diffLook(true)
	change(a, b)
	check0(os.WriteFile("a.pb.gz", fakeshim.Encode(a), 0o644))
	check0(os.WriteFile("b.pb.gz", fakeshim.Encode(b), 0o644))
}

func asTheyAre(a, b *profile.Profile) {}

func TestDiff(t *testing.T) {
	diffFiles(t, asTheyAre)
	cgoheap(t, "diff", "a.pb.gz", "b.pb.gz").want(t, 0, `svc (4242)  03:04:05 to 03:14:05 (10m)  sampled 1 in 512KiB
C memory in use ~581.0 MiB, then ~616.0 MiB: +35.0 MiB (+2.9 MiB to +67.2 MiB), +210.0 MiB an hour

   CHANGE                 BETWEEN        NOW  WHAT       GO CALLER          C LEAF
+30.0 MiB  +21.7 MiB to +39.9 MiB  ~50.0 MiB  in use by  main.(*log).audit  C.CString
 +1.0 MiB                 counted    2.0 MiB  mapped by  main.pool          pool_grow

2 stacks changed by less than their sampling error: +4.0 MiB together (-27.2 MiB to +35.2 MiB)
nothing came or went in 1 stack
with 95 % confidence no row is noise (2 stacks had samples enough to tell; each row is 97.5 % sure)
`, "")
	cgoheap(t, "diff", "a.pb.gz", "b.pb.gz", "--all", "--stacks", "--sample-index", "inuse_objects",
		"--confidence", "99%", "--filter", "pool").want(t, 0, `svc (4242)  03:04:05 to 03:14:05 (10m)  sampled 1 in 512KiB
objects of C memory in use ~594,944, then ~630,784: +35,840 (-7,280 to +79,100), +215,040 an hour

  CHANGE           BETWEEN     NOW  WHAT       GO CALLER  C LEAF
  +1,024           counted   2,048  mapped by  main.pool  pool_grow
    mmap
    pool_grow
    main._Cfunc_pool
    main.pool
(-1,024)  -4,750 to +1,860  ~9,216  in use by  main.pool  ns::Pool::take
    malloc
    ns::Pool::take
    main._Cfunc_take
    main.pool
    main.main

2 stacks changed by less than their sampling error: +4,096 together (-37,800 to +46,000)
nothing came or went in 1 stack
with 99 % confidence no row is noise (2 stacks had samples enough to tell; each row is 99.5 % sure)
`, "")
	r := cgoheap(t, "diff", "a.pb.gz", "b.pb.gz", "--sample-index", "alloc_space")
	for _, says := range []string{"C memory allocated ~", "  allocated by  main.(*log).audit  "} {
		if r.code != 0 || !strings.Contains(r.out, says) || strings.Contains(r.out, "in use") {
			t.Errorf("exit code %d, want %q\n%s%s", r.code, says, r.out, r.err)
		}
	}
	cgoheap(t, "diff", "a.pb.gz", "b.pb.gz", "--process", "two", "-n", "1").want(t, 0, `a.pb.gz: svc (4242), started 2026-01-02 03:00:00, taken 2026-01-02 03:04:05, sampled 1 in 512KiB
b.pb.gz: svc (4242), started 2026-01-02 03:00:00, taken 2026-01-02 03:14:05, sampled 1 in 512KiB
C memory in use ~581.0 MiB, then ~616.0 MiB: +35.0 MiB (-13.2 MiB to +83.3 MiB)

   CHANGE                 BETWEEN        NOW  WHAT       GO CALLER          C LEAF
+30.0 MiB  +15.1 MiB to +45.6 MiB  ~50.0 MiB  in use by  main.(*log).audit  C.CString
and 1 row more

3 stacks changed by less than their sampling error: +4.0 MiB together (-42.8 MiB to +50.8 MiB)
with 95 % confidence no row is noise (4 stacks had samples enough to tell; each row is 98.7 % sure)
`, "")
	cgoheap(t, "diff", "a.pb.gz", "a.pb.gz").want(t, 0, `svc (4242)  03:04:05 to 03:04:05 (0s)  sampled 1 in 512KiB
C memory in use ~581.0 MiB, then ~581.0 MiB: nothing changed, it is the same profile

nothing came or went in 5 stacks
`, "")
}

// A mistake is a sentence that says what to do.
func TestDiffErrors(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(a, b *profile.Profile)
		args   string
		code   int
		says   string
	}{
		{"other programs", func(a, b *profile.Profile) {
			b.Mapping[0].File, b.Mapping[0].BuildID = "/none/other", "cd"
		}, "a.pb.gz b.pb.gz", 1, `a.pb.gz is of the program "svc", b.pb.gz of "other"; ` +
			`--process two compares them all the same, by the names of functions`},
		{"the wrong order", asTheyAre, "b.pb.gz a.pb.gz", 2, "diff: a.pb.gz " +
			"(2026-01-02 03:04:05) is older than b.pb.gz (2026-01-02 03:14:05): name the " +
			"older one first; see cgoheap diff --help"},
		{"another type", func(a, b *profile.Profile) { b.SampleType[3].Type = "delay" },
			"a.pb.gz b.pb.gz", 1, "b.pb.gz is not a heap profile: it has the sample types " +
				"alloc_objects, alloc_space, inuse_objects, delay"},
		{"all memory", func(a, b *profile.Profile) { b.SampleType[3].Type = "memory_space" },
			"a.pb.gz b.pb.gz", 1, "b.pb.gz shows all resident memory, where stacks of sampled " +
				"blocks are scaled to an exact total, so its error is not known: compare the " +
				"profiles of C memory (cgoheap.pb.gz), or use go tool pprof -diff_base"},
		{"growth", func(a, b *profile.Profile) { b.DurationNanos = 60e9 }, "a.pb.gz b.pb.gz", 1,
			"b.pb.gz shows the growth within 1m (--seconds), not what is in use at a moment: " +
				"save two profiles without --seconds"},
		{"ages", func(a, b *profile.Profile) {
			b.Comments = append(b.Comments, "ages: 0s 2s; the last is")
		}, "a.pb.gz b.pb.gz", 1, "b.pb.gz shows each stack by age (--age), not by what it " +
			"allocated in all: save two profiles without --age"},
		{"Go's heap", func(a, b *profile.Profile) { b.Comments = nil }, "a.pb.gz b.pb.gz", 1,
			"a.pb.gz is of C memory, b.pb.gz of Go's heap: their difference would be neither's"},
		{"old blocks", func(a, b *profile.Profile) {
			b.Comments = append(b.Comments, "only blocks at least 600.000 s old; alloc_*")
		}, "a.pb.gz b.pb.gz", 1, "one of a.pb.gz and b.pb.gz has only old blocks (--older), the " +
			"other all: save both in the same way"},
		{"a file that is damaged", func(a, b *profile.Profile) {
			check0(os.WriteFile("c.pb.gz", fakeshim.Encode(a)[:100], 0o644))
		}, "a.pb.gz c.pb.gz", 1, "c.pb.gz is not a profile, or is damaged: unexpected EOF"},
		{"an empty file", func(a, b *profile.Profile) {
			check0(os.WriteFile("c.pb.gz", nil, 0o644))
		}, "c.pb.gz a.pb.gz", 1, "c.pb.gz is not a profile, or is damaged: it is empty"},
		{"a negative figure", func(a, b *profile.Profile) { b.Sample[0].Value[3] = -500 },
			"a.pb.gz b.pb.gz", 1, "b.pb.gz is damaged, or not of one moment: its inuse_space has " +
				"-500 at a stack"},
		{"a figure beyond all memory", func(a, b *profile.Profile) {
			b.Sample[0].Value[1] = 1 << 62
			b.Sample[1].Value[1] = 1 << 62
		}, "a.pb.gz b.pb.gz", 1, "b.pb.gz is damaged, or not of one moment: its alloc_space has " +
			"4611686018427387904 at a stack"},
		{"an output that cannot be", asTheyAre, "a.pb.gz b.pb.gz -o none/x.pb.gz", 1,
			`cannot write to "none" (no such file or directory): name another place with -o`},
		{"no file", asTheyAre, "a.pb.gz none.pb.gz", 1,
			"cannot read none.pb.gz: no such file or directory"},
		{"no profile in a directory", func(a, b *profile.Profile) { check0(os.Mkdir("d", 0o755)) },
			"d", 1, "d has no cgoheap.pb.gz: name a directory of cgoheap collect, or a profile"},
		{"a process first", asTheyAre, "service b.pb.gz", 2, "diff: service is not a file: the " +
			"first moment is a profile that was saved (cgoheap profile service -o before.pb.gz); " +
			"see cgoheap diff --help"},
		{"nothing", asTheyAre, "", 2, "diff: FILE is missing: the older profile; cgoheap profile " +
			"saves one; see cgoheap diff --help"},
		{"normalized growth", asTheyAre, "a.pb.gz b.pb.gz --normalize", 1, "--normalize is for " +
			"two processes: a.pb.gz and b.pb.gz are of one, and its growth would be scaled away"},
		{"a confidence", asTheyAre, "a.pb.gz b.pb.gz --confidence 1", 2, `diff: invalid ` +
			`--confidence "1": expected a number from 0.5 to 0.999999, such as 0.95 or ` +
			`99%; see cgoheap diff --help`},
		{"two of one", func(a, b *profile.Profile) {
			b.Comments[1] = "process 4243, started 2026-01-02T03:00:00.000000000Z"
		}, "a.pb.gz b.pb.gz --process one", 1, "the profiles say that they are of two processes: " +
			"leave --process one out"},
		{"a difference", func(a, b *profile.Profile) {
			b.SetLabel("pprof::base", []string{"true"})
		}, "a.pb.gz b.pb.gz", 1, "b.pb.gz is a difference already: name the two profiles that it " +
			"was made of"},
	} {
		t.Run(c.what, func(t *testing.T) {
			diffFiles(t, c.change)
			cgoheap(t, append([]string{"diff"}, strings.Fields(c.args)...)...).want(t, c.code, "",
				"cgoheap: "+c.says+"\n")
		})
	}
}

// -o leaves alone what is compared, under whatever name.
func TestDiffSparesInputs(t *testing.T) {
	diffFiles(t, asTheyAre)
	check0(os.Link("b.pb.gz", "c.pb.gz"))
	check0(os.Mkdir("d", 0o755))
	check0(os.Link("b.pb.gz", "d/cgoheap.pb.gz"))
	read := func() string {
		a, errA := os.ReadFile("a.pb.gz")
		b, errB := os.ReadFile("b.pb.gz")
		check0(errors.Join(errA, errB))
		return string(a) + string(b)
	}
	before := read()
	for _, args := range []string{"a.pb.gz b.pb.gz -o a.pb.gz", "a.pb.gz b.pb.gz -o ./b.pb.gz",
		"a.pb.gz b.pb.gz -o c.pb.gz", "a.pb.gz d -o b.pb.gz"} {
		output := args[strings.LastIndexByte(args, ' ')+1:]
		cgoheap(t, append([]string{"diff"}, strings.Fields(args)...)...).want(t, 1, "",
			fmt.Sprintf("cgoheap: %q is what is read, and would be overwritten: name another "+
				"file with -o\n", output))
	}
	if read() != before {
		t.Error("an input was changed")
	}
}

// What makes figures doubtful stands above them.
func TestDiffNotes(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(a, b *profile.Profile)
		says   string
	}{
		{"a restart", func(a, b *profile.Profile) {
			b.Comments[1] = "process 77, started 2026-01-02T03:10:00.000000000Z"
		}, "the process was restarted between the two: it is svc (77) since 2026-01-02 03:10:00; " +
			"what is in use now was allocated since then"},
		{"another build", func(a, b *profile.Profile) {
			b.Mapping[0].BuildID = "cd"
			b.Comments[1] = "process 77, started 2026-01-02T02:10:00.000000000Z"
		}, "the two are of different builds: stacks are matched by the names of functions"},
		{"another interval", func(a, b *profile.Profile) { b.Period = 65536 },
			"the interval changed between the two, from 1 in 512KiB to 1 in 64KiB: each block " +
				"counts as it was sampled"},
		{"two intervals", func(a, b *profile.Profile) {
			b.Period = 65536
			b.Comments[1] = "process 77, started 2026-01-02T02:10:00.000000000Z"
		}, "the two were sampled differently, 1 in 512KiB and 1 in 64KiB: each has its own error"},
		{"off", func(a, b *profile.Profile) {
			b.Comments = append(b.Comments, "WARNING: sampling was off for 30 s since the start")
		}, "sampling was off for 30s between the two: what was allocated then is not in here, so " +
			"growth is shown too small"},
		{"dropped", func(a, b *profile.Profile) {
			const full = " blocks dropped, no room for them (live_full); raise CGOHEAP_MAX_MEMORY"
			a.Comments, b.Comments = append(a.Comments, "3"+full), append(b.Comments, "10"+full)
		}, "7 blocks dropped, no room for them (live_full); raise CGOHEAP_MAX_MEMORY: figures " +
			"are off by what they held"},
		{"not said", func(a, b *profile.Profile) {
			a.Comments, b.Comments = a.Comments[:1], b.Comments[:1]
		}, "the profiles do not say whether they are of one process: they are taken for two, " +
			"whose errors add up; --process one says otherwise"},
		{"cut off", func(a, b *profile.Profile) {
			rest := fakeshim.NewProfileBuilder(524288)
			rest.Add(1, 1<<20, "[stacks not shown: out of time]")
			s, l := rest.Profile.Sample[0], rest.Profile.Location[0]
			l.ID, l.Line[0].Function.ID = 1000, 1000
			b.Sample = append(b.Sample[:1], s)
			b.Location = append(b.Location, l)
			b.Function = append(b.Function, l.Line[0].Function)
		}, "b.pb.gz was cut off for lack of time: stacks that it does not show are in [stacks " +
			"not shown: out of time]"},
	} {
		t.Run(c.what, func(t *testing.T) {
			diffFiles(t, c.change)
			r := cgoheap(t, "diff", "a.pb.gz", "b.pb.gz", "--json")
			if r.code != 0 || !strings.Contains(r.out, c.says) {
				t.Errorf("exit code %d, want %q\n%s%s", r.code, c.says, r.out, r.err)
			}
		})
	}
}

// The second moment is a process, or a service's page.
func TestDiffWithProcess(t *testing.T) {
	s := named(t, "service", "serve")
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pb.gz")
	t.Chdir(dir) // where the program itself lies
	check0(os.WriteFile("service", []byte("\x7fELF\x02"), 0o755))
	if r := cgoheap(t, "profile", s.arg(), "-o", path); r.code != 0 {
		t.Fatal(r.err)
	}
	for _, second := range []string{s.arg(), "service"} {
		r := cgoheap(t, "diff", path, second)
		want := fmt.Sprintf("unknown program (%d)  03:05:05 to 03:0", s.pid)
		if r.code != 0 || !strings.HasPrefix(r.out, want) ||
			!strings.Contains(r.out, "no stack changed by more than its sampling error") {
			t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
	}
	cgoheap(t, "diff", path, "--url", "http://127.0.0.1:1").want(t, 1, "", "cgoheap: "+
		"http://127.0.0.1:1/debug/pprof/cgoheap: no server listens there\n")
}

func TestDiffOfWhatCancels(t *testing.T) {
	diffFiles(t, func(a, b *profile.Profile) {
		for i := range a.Sample {
			b.Sample[i].Value = append([]int64(nil), a.Sample[i].Value...)
		}
		a.Period, b.Period = 1, 1
		b.Sample[0].Value[3] += 1 << 20
		b.Sample[3].Value[3] -= 1 << 20
	})
	got := cgoheap(t, "diff", "a.pb.gz", "b.pb.gz")
	if strings.Contains(got.out, "nothing changed") || !strings.Contains(got.out, "hold") {
		t.Errorf("two stacks changed:\n%s", got.out)
	}
}

func TestPercentage(t *testing.T) {
	for share, want := range map[float64]string{0.5: "50 %", 0.95: "95 %", 0.975: "97.5 %",
		1 - 0.05/3: "98.3 %", 1 - 0.05/1000: "99.995 %", 0.999999: "99.9999 %", 0.8: "80 %"} {
		if got := percentage(share); got != want {
			t.Errorf("%g: %s, want %s", share, got, want)
		}
	}
}

// Names shrink and columns go, figures stay.
func TestDiffNarrow(t *testing.T) {
	o := &diffOptions{}
	o.Figure = figures.InUseBytes
	row := difference.Row{RowKey: holders.RowKey{Origin: "malloc",
		GoCaller: "example.com/long/path/to/svc/internal/store.(*Store).lookup",
		CLeaf:    "sqlite3MemMalloc"}, Change: 20 << 20, Low: 10 << 20, High: 30 << 20,
		After: 100 << 20, Changed: true}
	for width, want := range map[int]string{
		40: "+20.0 MiB  store.(*Store).lookup",
		100: "+20.0 MiB  +10.0 MiB to +30.0 MiB  ~100.0 MiB  in use by  " +
			"store.(*Store).lookup  sqlite3MemMalloc",
	} {
		lines := fitTable([][]string{diffColumns, o.cells(&row)}, diffSpare, width)
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("%d columns: %q has %d", width, line, n)
			}
		}
		if strings.TrimSpace(lines[1]) != want {
			t.Errorf("%d columns: %q, want %q", width, lines[1], want)
		}
	}
}
