package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/pprof/profile"
)

// labelledBlock is one allocation of programs/go-labels, with the labels that Go
// had for it.
type labelledBlock struct {
	Size   int64
	Labels []struct{ Key, Value []byte }
}

const (
	labelsKept     = 16
	labelBytesKept = 127
)

// labelBuilds has in make test-long the releases between, too: a goroutine's
// labels have no symbol, and where they lie is learnt of each.
func labelBuilds() []build {
	if !longTests || os.Getenv("CGOHEAP_E2E_GO") != "" {
		return everyBuild()
	}
	return eachWay([]string{"1.21.13", "1.22.12", "1.23.12", "1.24.13", "1.25.14", "1.26.8",
		"1.27.4"})
}

// labelText is what a profile shows of a label's key or value.
func labelText(raw []byte) string {
	end := ""
	if len(raw) > labelBytesKept {
		raw, end = raw[:labelBytesKept], "..."
		for !utf8.Valid(raw) { // the programs' long texts are UTF-8
			raw = raw[:len(raw)-1]
		}
	}
	var b strings.Builder
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, raw[0])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		raw = raw[n:]
	}
	return b.String() + end
}

// shown is the block's labels as its sample has them: the first 16 by key, and,
// as in all of pprof's profiles, none whose value is empty.
func (b labelledBlock) shown() map[string][]string {
	list := slices.Clone(b.Labels)
	slices.SortFunc(list,
		func(a, b struct{ Key, Value []byte }) int { return bytes.Compare(a.Key, b.Key) })
	m := map[string][]string{}
	for _, l := range list[:min(len(list), labelsKept)] {
		key := labelText(l.Key)
		if key == "origin" || key == "bytes" {
			key = "label." + key
		}
		if len(l.Value) > 0 {
			m[key] = append(m[key], labelText(l.Value))
		}
	}
	return m
}

func userLabels(s *profile.Sample) string {
	m := map[string][]string{}
	for key, values := range s.Label {
		if key != "origin" {
			m[key] = values
		}
	}
	return fmt.Sprint(m) // sorted by key
}

// wantLabels: every block has one sample of its size, and that has its labels.
func wantLabels(t *testing.T, p *profile.Profile, blocks []labelledBlock) {
	t.Helper()
	samples := map[int64][]*profile.Sample{}
	for _, s := range p.Sample {
		if s.Value[2] != 0 {
			samples[blockSize(s)] = append(samples[blockSize(s)], s)
		}
	}
	for _, b := range blocks {
		of := samples[b.Size]
		if len(of) != 1 || of[0].Value[2] != 1 || of[0].Value[3] != b.Size {
			t.Errorf("%d samples of %d bytes: %v", len(of), b.Size, of)
			continue
		}
		if got, want := userLabels(of[0]), fmt.Sprint(b.shown()); got != want {
			t.Errorf("%d bytes have labels\n%s, want\n%s", b.Size, got, want)
		}
	}
}

// Each C allocation has the labels of the goroutine that it was made for, as Go
// itself says them at that point.
func TestLabels(t *testing.T) {
	for _, b := range labelBuilds() {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			h := start(t, program(t, "go-labels", b), hostOptions{sampleBytes: 1})
			var blocks []labelledBlock
			h.fact("blocks", &blocks)
			if len(blocks) < 140 {
				t.Fatalf("%d blocks", len(blocks))
			}
			wantLabels(t, h.profile(""), withReadable(blocks))
			s := h.status()
			if s.GoroutineLabels == nil || *s.GoroutineLabels != "known" ||
				s.LabelSets["distinct"] < 30 || s.LabelSets["truncated"] < 1 {
				t.Errorf("sets %v; labels are\n%s", s.LabelSets, h.get("/v1/status"))
			}
			if emulatedArch == "" {
				h.wantNothingDropped()
			}
			wantTenants(t, b, h)
		})
	}
}

// withReadable is without the block whose label is a text in C's memory, where an emulator lacks
// process_vm_readv.
func withReadable(blocks []labelledBlock) []labelledBlock {
	if emulatedArch == "" {
		return blocks
	}
	return slices.DeleteFunc(slices.Clone(blocks), func(b labelledBlock) bool {
		return len(b.Labels) == 1 && string(b.Labels[0].Key) == "foreign"
	})
}

// What tenant a and b hold, to the byte, as people ask for it.
func wantTenants(t *testing.T, b build, h *host) {
	t.Helper()
	h.tell("do tenant a")
	var blocks []labelledBlock
	h.fact("blocks", &blocks)
	wantByTenant(t, b, h, "", blocks)
	time.Sleep(300 * time.Millisecond) // ages are counted in tenths of a second
	wantByTenant(t, b, h, "?older=0.000001s", blocks)
}

func wantByTenant(t *testing.T, b build, h *host, query string, blocks []labelledBlock) {
	t.Helper()
	want := map[string]int64{}
	for _, block := range blocks {
		for _, value := range block.shown()["tenant"] {
			want[value] += block.Size
		}
	}
	if len(want) != 2 || want["a"] <= want["b"] {
		t.Fatalf("the program's own count: %v", want)
	}
	dir := t.TempDir()
	path := save(t, h, dir, "cgo.pb.gz", query)
	roots := pprof(t, b, dir, "-top", "-unit=b", "-tagroot=tenant", path)
	tags := pprof(t, b, dir, "-tags", "-unit=b", path)
	for value, n := range want {
		wantCum(t, roots, value, fmt.Sprintf("%dB", n))
		if line := regexp.MustCompile(fmt.Sprintf(`(?m)^ *%d(\.0)?B \([ 0-9.]+%%\): %s$`, n,
			value)); !line.MatchString(tags) {
			t.Errorf("-tags does not show %d bytes of %s", n, value)
		}
		focused := pprof(t, b, dir, "-top", "-unit=b", "-tagfocus=tenant="+value, path)
		wantCum(t, focused, "main.take", fmt.Sprintf("%dB", n))
	}
}

// A program that has nothing to do with labels says so, and pays nothing.
func TestLabelsNoneUsed(t *testing.T) {
	h := start(t, program(t, "go-liveset", oneBuild()), hostOptions{sampleBytes: 1})
	if s := h.status(); s.GoroutineLabels == nil || *s.GoroutineLabels != "none_used" {
		t.Errorf("labels: %v", s.GoroutineLabels)
	}
}

func TestLabelsInOtherViews(t *testing.T) {
	b := oneBuild()
	h := start(t, program(t, "go-labels", b), hostOptions{sampleBytes: 1})
	text := string(h.get("/debug/pprof/cgoheap?debug=1"))
	for _, line := range []string{
		`# labels: {"endpoint":"/query", "tenant":"b"}`,
		`# labels: {"quoted":"a \"b\" \\c"}`,
		`# labels: {"control":"\x1b[31mred\r\n\x00\u0085\u202e"}`,
		`# labels: {"broken":"a\xff\xc3", "\xfe":"key"}`,
		`# labels: {"bytes":"12", "label":"x", "origin":"theirs"}`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("debug=1 lacks %s", line)
		}
	}
	if _, err := profile.ParseData([]byte(text)); err != nil {
		t.Errorf("debug=1: %v", err)
	}
	memory, err := profile.ParseData(h.get("/debug/pprof/memory"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, s := range memory.Sample {
		for _, value := range s.Label["tenant"] {
			found[value] = s.Value[0] > 0
		}
	}
	if !found["a"] || !found["b"] {
		t.Errorf("tenants in the memory profile: %v", found)
	}
	for name, text := range map[string]string{"cgoheap": strings.Join(p2strings(h.profile("")), ""),
		"memory": strings.Join(p2strings(memory), "")} {
		if strings.ContainsAny(text, "\x1b\r\x00") || !utf8.ValidString(text) {
			t.Errorf("a control character is in %s", name)
		}
	}
}

// p2strings is all text of labels.
func p2strings(p *profile.Profile) (list []string) {
	for _, s := range p.Sample {
		for key, values := range s.Label {
			list = append(append(list, key), values...)
		}
	}
	return list
}

// Growth under labels is growth of those labels.
func TestLabelsGrowth(t *testing.T) {
	h := start(t, program(t, "go-labels", oneBuild()), hostOptions{sampleBytes: 1})
	grown := make(chan *profile.Profile)
	go func() {
		p, _ := profile.ParseData(h.get("/debug/pprof/cgoheap?seconds=2"))
		grown <- p
	}()
	var before, after []labelledBlock
	h.fact("blocks", &before)
	var p *profile.Profile
	for p == nil { // until one falls into the two seconds, and whatever else does
		select {
		case p = <-grown:
		default:
			h.tell("do tenant grown")
		}
	}
	h.fact("blocks", &after)
	n := 0
	for _, s := range p.Sample {
		for _, b := range after[len(before):] {
			if blockSize(s) == b.Size && s.Value[2] != 0 {
				n++
				if got := userLabels(s); got != "map[tenant:[grown]]" {
					t.Errorf("%d bytes: %s", b.Size, got)
				}
			}
		}
		if slices.Contains(s.Label["tenant"], "a") && s.Value[2] != 0 {
			t.Errorf("tenant a has grown by %v", s.Value)
		}
	}
	if n == 0 {
		t.Error("no growth")
	}
}

// A label that is never the same twice costs the labels, not the samples.
func TestLabelsWithoutEnd(t *testing.T) {
	const requests = 20_000
	h := start(t, program(t, "go-labels", oneBuild()), hostOptions{sampleBytes: 1})
	var blocks []labelledBlock
	h.fact("blocks", &blocks)
	h.tell("requests %d", requests)
	s := h.status()
	p := h.profile("")
	var objects, labelled int64
	for _, sample := range p.Sample {
		if contains(sample, "main.take") {
			objects += sample.Value[2]
			if sample.Label["request"] != nil {
				labelled += sample.Value[2]
			}
		}
	}
	const byC = 4 // of the blocks: around calls of Go
	if want := int64(len(blocks)) - byC + requests; objects != want {
		t.Errorf("%d objects by main.take, want %d", objects, want)
	}
	// Others than main.take may allocate there: a thread that Go starts just then.
	if all := labelled + s.Dropped["labels"]; s.LabelSets["distinct"] > 4096 || labelled < 1000 ||
		all < requests || all > requests+100 {
		t.Errorf("%d of %d requests are labelled, dropped %v, sets %v", labelled, requests,
			s.Dropped, s.LabelSets)
	}
	if s.Dropped["live_full"] != 0 {
		t.Errorf("dropped: %v", s.Dropped)
	}
	if !strings.Contains(strings.Join(p.Comments, "\n"),
		fmt.Sprintf("%d samples recorded without their goroutine labels", s.Dropped["labels"])) {
		t.Errorf("comments: %q", p.Comments)
	}
}

// The recorder's file has the labels that the live profile had.
func TestLabelsInAutopsy(t *testing.T) {
	for _, b := range []build{oneBuild(), {goVersions()[0], "plain"}} {
		t.Run(b.String(), func(t *testing.T) {
			dir := boxDir(t)
			h := start(t, program(t, "go-labels", b), hostOptions{sampleBytes: 1,
				env: []string{"CGOHEAP_BLACKBOX=" + dir}})
			var blocks []labelledBlock
			h.fact("blocks", &blocks)
			h.cmd.Process.Kill()
			<-h.ended
			a := readAutopsy(t, dir)
			if len(a.Notes) != 0 {
				t.Errorf("notes: %q", a.Notes)
			}
			wantLabels(t, a.profile, blocks)
			out := filepath.Join(dir, "p.pb.gz")
			f, err := os.Create(out)
			if err == nil {
				err = a.profile.Write(f)
				f.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			var want int64
			for _, block := range blocks {
				if slices.Contains(block.shown()["tenant"], "a") {
					want += block.Size
				}
			}
			wantCum(t, pprof(t, b, dir, "-top", "-unit=b", "-tagroot=tenant", out), "a",
				fmt.Sprintf("%dB", want))
		})
	}
}
