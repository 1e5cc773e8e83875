package report

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const patience = 90 * time.Second // a browser that hangs must not hang the tests

// browser is one for all tests of a run.
func browser(t *testing.T) context.Context {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		t.Skip("chromium is not installed")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	must(t, chromedp.Run(ctx))
	return ctx
}

// tab is one page in the browser, and all that it complained about.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	wrongs []string
}

func (p *tab) wrong(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrongs = append(p.wrongs, fmt.Sprintf(format, args...))
}

// listen notes errors, dialogs, and requests of anything but the file.
func (p *tab) listen(url string) {
	chromedp.ListenTarget(p.ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			for _, arg := range e.Args {
				p.wrong("the console says %s %s", arg.Value, arg.Description)
			}
		case *runtime.EventExceptionThrown:
			p.wrong("an exception: %s", e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if !strings.HasPrefix(e.Entry.Text, "Canvas2D: Multiple readback") { // by picture
				p.wrong("the log says %s", e.Entry.Text)
			}
		case *page.EventJavascriptDialogOpening:
			p.wrong("a dialog: %s", e.Message)
			go chromedp.Run(p.ctx, page.HandleJavaScriptDialog(false))
		case *network.EventRequestWillBeSent:
			if u := e.Request.URL; u != url && !strings.HasPrefix(u, "data:") {
				p.wrong("a request of %s", u)
			}
		}
	})
}

// open makes the page of an input and opens it.
func open(t *testing.T, in context.Context, input string, before ...chromedp.Action) *tab {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	said, err := exec.Command("../../build/cgoheap", "report", input, "-o", path).CombinedOutput()
	if err != nil {
		t.Fatalf("cgoheap report: %v\n%s", err, said)
	}
	ctx, cancel := chromedp.NewContext(in)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	p.listen("file://" + path)
	must(t, chromedp.Run(ctx, log.Enable(), network.Enable()))
	must(t, chromedp.Run(ctx, before...))
	must(t, chromedp.Run(ctx, chromedp.Navigate("file://"+path),
		chromedp.WaitReady("html.drawn", chromedp.ByQuery)))
	// Canvases are drawn when they have a width.
	p.wants("[...document.querySelectorAll('#flame, #map, .plot canvas')].every((c) => "+
		"c.style.width || c.closest('.uplot'))", "true")
	t.Cleanup(func() {
		for _, w := range p.wrongs {
			t.Error(w)
		}
	})
	return p
}

// js evaluates an expression that gives a text.
func (p *tab) js(expression string) (text string) {
	p.t.Helper()
	err := chromedp.Run(p.ctx, chromedp.Evaluate("String("+expression+")", &text))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// until asks again for a while: a page is drawn some time after what it is told.
func until(done func() bool) bool {
	for range 100 {
		if done() {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

func (p *tab) wants(expression, want string) {
	p.t.Helper()
	got := ""
	if !until(func() bool { got = p.js(expression); return got == want }) {
		p.t.Errorf("%s is %q, not %q", expression, got, want)
	}
}

func (p *tab) contains(expression, want string) {
	p.t.Helper()
	got := ""
	if !until(func() bool { got = p.js(expression); return strings.Contains(got, want) }) {
		p.t.Errorf("%s is %q, which does not have %q", expression, got, want)
	}
}

// hover moves the pointer to a place in an element, given as shares of its width and height.
func (p *tab) hover(selector string, x, y float64) { p.mouse(selector, x, y, false) }

func (p *tab) click(selector string, x, y float64) { p.mouse(selector, x, y, true) }

func (p *tab) mouse(selector string, x, y float64, click bool) {
	p.t.Helper()
	p.js(fmt.Sprintf("document.querySelector(%q).scrollIntoView({block: 'nearest'})", selector))
	var at []float64
	must(p.t, chromedp.Run(p.ctx, chromedp.Evaluate(fmt.Sprintf("(() => { const b = document."+
		"querySelector(%q).getBoundingClientRect(); return [b.left + %g * b.width, "+
		"b.top + %g * b.height] })()", selector, x, y), &at)))
	must(p.t, chromedp.Run(p.ctx, chromedp.MouseEvent("mouseMoved", at[0], at[1])))
	if click {
		must(p.t, chromedp.Run(p.ctx, chromedp.MouseClickXY(at[0], at[1])))
	}
}

func (p *tab) focus(selector string) {
	p.t.Helper()
	p.js(fmt.Sprintf("document.querySelector(%q).focus()", selector))
}

func (p *tab) keys(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		must(p.t, chromedp.Run(p.ctx, chromedp.KeyEvent(key)))
	}
}

// picture is a number that changes with what a canvas shows.
func (p *tab) picture(selector string) string {
	p.t.Helper()
	return p.js(fmt.Sprintf(`(() => { const c = document.querySelector(%q);
		const d = new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer);
		let h = 0, n = new Set(); for (const x of d) { h = (h * 31 + x) | 0; n.add(x) }
		return n.size < 3 ? "blank" : h })()`, selector))
}

func (p *tab) hasColour(selector, colour string) {
	p.t.Helper()
	p.wants(fmt.Sprintf(`(() => { const c = document.querySelector(%q), k = document.createElement("canvas");
		const x = k.getContext("2d"); x.fillStyle = %q; x.fillRect(0, 0, 1, 1);
		const want = new Uint32Array(x.getImageData(0, 0, 1, 1).data.buffer)[0];
		return new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer)
			.includes(want) })()`, selector, colour), "true")
}

// changes says that a deed changed what a canvas shows.
func (p *tab) changes(selector, what string, deed func()) {
	p.t.Helper()
	before := p.picture(selector)
	deed()
	if !until(func() bool { now := p.picture(selector); return now != before && now != "blank" }) {
		p.t.Errorf("%s does not change %s", what, selector)
	}
}

// keep saves what the page looks like, where somebody wants to look at it.
func (p *tab) keep(name string) {
	dir := os.Getenv("REPORT_PICTURES")
	if dir == "" {
		return
	}
	var png []byte
	must(p.t, chromedp.Run(p.ctx, chromedp.FullScreenshot(&png, 100)))
	must(p.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

const tip = "document.querySelector('.tip').textContent"

// TestPages runs on one browser, a page at a time.
func TestPages(t *testing.T) {
	b := browser(t)
	t.Run("time", func(t *testing.T) { testTime(t, b) })
	t.Run("stacks", func(t *testing.T) { testStacks(t, b) })
	t.Run("space", func(t *testing.T) { testSpace(t, b) })
	t.Run("hostile", func(t *testing.T) { testHostile(t, b) })
	t.Run("dark", func(t *testing.T) { testDark(t, b) })
	t.Run("phone", func(t *testing.T) { testPhone(t, b) })
	t.Run("accessible", func(t *testing.T) { testAccessible(t, b) })
}

func testTime(t *testing.T, b context.Context) {
	p := open(t, b, hour(t))
	p.keep("hour")
	t.Logf("first paint after %s ms", p.js(
		`performance.getEntriesByName("first-contentful-paint")[0]?.startTime`))
	charts := p.js(`document.querySelectorAll(".plot canvas").length`)
	if charts != "8" {
		t.Errorf("%s charts", charts)
	}
	const first, readout = ".plot canvas", "document.querySelector('.readout').textContent"
	if p.picture(first) == "blank" {
		t.Error("the chart of owners is blank")
	}
	p.wants("document.querySelector('.panel h3').textContent", "Owners of the RSS")
	p.contains(readout, "2026-11-30 06:59:59 UTC: ")
	p.hover(".plot .u-over", 0.5, 0.5)
	p.contains(readout, "2026-11-30 06:29:")
	p.hover(".plot .u-over", 2400.0/3599, 0.5)
	p.contains(readout, "C live grows by 309 MiB an hour")
	p.contains("document.querySelector('.key').textContent", "C live")
	p.changes(first, "hiding an owner", func() { p.click(".key", 0.2, 0.5) })
	p.wants("document.querySelector('.key').getAttribute('aria-pressed')", "false")
	p.focus(".plot")
	p.changes(first, "zooming by a key", func() { p.keys("+") })
	p.keys(kb.Escape, kb.Home)
	p.contains(readout, "2026-11-30 06:00:00 UTC")
	p.keys(kb.ArrowRight)
	p.contains(readout, "2026-11-30 06:00:")
	p.js("document.querySelector('#raw').closest('details').open = true")
	p.wants("document.querySelectorAll('#raw tbody tr').length", "50")
	p.contains("document.querySelector('#raw th').textContent", "Time (UTC)")
	p.contains("document.body.textContent", "3,600 samples; ")
	p.contains("document.querySelector('#growth').closest('section').textContent", "+309.")
}

func testStacks(t *testing.T, b context.Context) {
	p := open(t, b, scene(t, "service", "/data/index", usual))
	p.keep("scene")
	const says = "document.querySelector('#flame-says').textContent"
	p.hasColour("#flame", "#b9d7f5")
	p.hasColour("#flame", "#ffcf8f")
	p.hover("#flame", 0.1, 0.2)
	p.contains(tip, "C live60.0 MiB, 66.7 % of all")
	p.changes("#flame", "a click", func() { p.click("#flame", 0.1, 0.2) })
	p.contains(says, "C live: 60.0 MiB")
	p.keys(kb.Escape)
	p.contains(says, "all: 90.0 MiB, 100.0 % of all")
	p.keys(kb.ArrowDown, kb.ArrowDown)
	p.contains(says, "main.main (Go): 60.0 MiB")
	p.keys(kb.ArrowDown, kb.ArrowDown, kb.ArrowRight)
	p.contains(says, "main.compress (Go): 20.0 MiB")
	p.changes("#flame", "Enter", func() { p.keys(kb.Enter) })
	p.contains(says, "main.compress (Go): 20.0 MiB, 22.2 % of all")
	p.keys(kb.Escape, "/")
	p.wants("document.activeElement.id", "flame-search")
	p.js("document.activeElement.value = ''") // the driver types the / although it was taken
	p.changes("#flame", "a search", func() { p.keys("a", "u", "d", "i", "t") })
	p.wants("document.querySelector('#flame-found').textContent", "3 frames, 40.0 MiB, 44.4 %")
	p.keys(kb.Enter)
	p.contains(says, "main.auditRecord (Go): 40.0 MiB")
	p.click("#flame-reset", 0.5, 0.5)
	p.contains(says, "all: 90.0 MiB")
	p.contains("document.querySelector('#stacks').closest('section').querySelector('table')"+
		".textContent", "main.auditRecord")
}

func testSpace(t *testing.T, b context.Context) {
	p := open(t, b, scene(t, "service", "/data/index", usual))
	const says = "document.querySelector('#map-says').textContent"
	p.hover("#map", 0.2, 0.7)
	p.contains(tip, "C allocator: 64.0 MiB, 32.0 MiB resident19000000-1d000000 rw-p [heap]")
	p.contains(tip, "Largest of this owner: malloc ← audit_actor ← main._Cfunc_audit_record")
	p.focus("#map")
	p.contains(says, "C allocator")
	p.keys(kb.End)
	before := p.js(says)
	p.keys(kb.ArrowLeft)
	if p.js(says) == before {
		t.Error("the arrow does not move")
	}
	p.changes("#map", "the other size", func() { p.click("#map-by-size", 0.5, 0.5) })
	p.js("document.querySelector('#map-table').closest('details').open = true")
	p.focus("#map-filter")
	p.keys("i", "n", "d", "e", "x")
	p.wants("document.querySelectorAll('#map-table tbody tr').length", "1")
	p.contains("document.querySelector('#map-table tbody').textContent",
		"7f0000000000-7f0001000000mapped files16.0 MiB8.0 MiBr--s/data/indexmmap ← openIndex")
}

// Names from the process are text, whatever they are.
func testHostile(t *testing.T, b context.Context) {
	const name = `</script><img src=x onerror="window.owned=1"><svg onload=owned=1>` +
		"\u2028'\"`${owned=1}\x01\xff{{.}}"
	list := []stack{{8 * mib, []string{"malloc", name, "main." + name, "[" + name + "]"}}}
	p := open(t, b, scene(t, name, "/data/"+strings.ReplaceAll(name, "\xff", ""), list))
	p.wants("typeof window.owned", "undefined")
	p.wants("document.images.length + document.querySelectorAll('svg, iframe').length", "0")
	p.contains("document.querySelector('h1').textContent", `</script><img src=x onerror=`)
	p.hover("#flame", 0.5, 0.9)
	p.contains(tip, "malloc")
	p.hover("#flame", 0.5, 0.7)
	p.contains(tip, `</script><img src=x`)
	p.hover("#map", 0.5, 0.5)
	p.js("document.querySelectorAll('details').forEach((d) => (d.open = true))")
	p.focus("#map-filter")
	p.keys("d", "a", "t", "a")
	p.contains("document.querySelector('#map-table tbody').textContent", "/data/</script><img")
	p.wants("typeof window.owned", "undefined")
	p.keep("hostile")
}

func dark() chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: "dark"}})
}

func testDark(t *testing.T, b context.Context) {
	const paper = "getComputedStyle(document.body).backgroundColor"
	p := open(t, b, scene(t, "service", "/data/index", usual))
	p.wants(paper, "rgb(255, 255, 255)")
	p.changes("#flame", "dark mode", func() { must(t, chromedp.Run(p.ctx, dark())) })
	p.wants(paper, "rgb(21, 25, 29)")
	p.hasColour("#flame", "#1d5289")
	p.hasColour("#flame", "#8a4a10")
	p.keep("dark")
}

func testPhone(t *testing.T, b context.Context) {
	phone := emulation.SetDeviceMetricsOverride(375, 740, 2, true)
	for name, input := range map[string]string{
		"hour": hour(t), "scene": scene(t, "service", "/data/index", usual),
	} {
		p := open(t, b, input, phone)
		p.wants("document.documentElement.scrollWidth", "375")
		p.wants("[...document.querySelectorAll('canvas')].every((c) => "+
			"c.getBoundingClientRect().right <= 375 && c.width > 500)", "true")
		p.keep("phone-" + name)
	}
}

// What a screen reader and a keyboard need.
func testAccessible(t *testing.T, b context.Context) {
	for _, input := range []string{hour(t), scene(t, "service", "/data/index", usual)} {
		p := open(t, b, input)
		p.js("document.querySelectorAll('details').forEach((d) => (d.open = true))")
		p.wants("document.documentElement.lang", "en")
		none := func(elements, without string) {
			t.Helper()
			p.wants("[...document.querySelectorAll('"+elements+"')].filter((e) => !("+without+
				")).length", "0")
		}
		none("input", "e.labels.length")
		none("canvas", "e.closest('[aria-label]')")
		none("th", "e.scope")
		none("section", "document.getElementById(e.getAttribute('aria-labelledby'))")
		p.wants(`document.querySelectorAll("main").length + document.querySelectorAll("h1").length`,
			"2")
		p.keys(kb.Tab)
		p.wants("document.activeElement.className", "skip")
		p.wants("getComputedStyle(document.activeElement).outlineStyle", "solid")
		p.wants("document.activeElement.getBoundingClientRect().left >= 0", "true")
	}
}
