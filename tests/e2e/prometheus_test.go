package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A prometheus is a real server that scrapes one service.
type prometheus struct {
	t      *testing.T
	base   string
	client http.Client
}

func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	return startPrometheusWith(t, target, "")
}

// startPrometheusWith also sets what is global, and reads files with rules.
func startPrometheusWith(t *testing.T, target, global string, rules ...string) *prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed (Debian's package prometheus)")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, %s}\nrule_files: [%s]\n"+
		"scrape_configs: [{job_name: service, static_configs: [{targets: [%q]}]}]\n",
		global, strings.Join(rules, ", "), target)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir,
		"data"),
		"--web.listen-address=127.0.0.1:0")
	cmd.Env = cleanEnviron()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := &lockedBuffer{}
	address, ended := make(chan string, 1), make(chan bool)
	go func() {
		defer close(ended)
		listens := regexp.MustCompile(`"Listening on".* address=(\S+)`)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(said, lines.Text())
			if m := listens.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus said:\n%s", said)
		}
	})
	select {
	case a := <-address:
		return &prometheus{t, "http://" + a, http.Client{Timeout: patience}}
	case <-ended:
	case <-time.After(patience):
	}
	t.Fatal("prometheus does not listen")
	return nil
}

// query is the value of an instant query with one result; false where it has none (yet).
func (p *prometheus) query(expression string) (float64, bool) {
	p.t.Helper()
	response, err := p.client.Get(p.base + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	err = json.NewDecoder(response.Body).Decode(&answer)
	if response.StatusCode == http.StatusServiceUnavailable {
		return 0, false // it listens before it is ready
	}
	if err != nil || answer.Status != "success" {
		p.t.Fatalf("%s: %d %s, %v", expression, response.StatusCode, answer.Error, err)
	}
	if len(answer.Data.Result) == 0 {
		return 0, false
	}
	value, err := strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
	if err != nil || len(answer.Data.Result) != 1 {
		p.t.Fatalf("%s is %v", expression, answer.Data.Result)
	}
	return value, true
}

// queries fails the test where the expression is not valid, with or without results.
func (p *prometheus) queries(expression string) {
	p.t.Helper()
	p.query("count(" + expression + ")")
}

// awaitUnit waits until the server knows the unit of a metric.
func (p *prometheus) awaitUnit(metric, unit string) {
	p.t.Helper()
	var answer struct{ Data []struct{ Unit string } }
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		response, err := p.client.Get(p.base + "/api/v1/targets/metadata?metric=" + metric)
		if err != nil {
			p.t.Fatal(err)
		}
		err = json.NewDecoder(response.Body).Decode(&answer)
		response.Body.Close()
		if err == nil && len(answer.Data) == 1 && answer.Data[0].Unit == unit {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the unit of %s: %+v, %v", metric, answer, err)
		}
	}
}

// await asks until a later scrape has what is wanted.
func (p *prometheus) await(expression string, isWanted func(float64) bool) float64 {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		value, ok := p.query(expression)
		if ok && isWanted(value) {
			return value
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s stays %v (there: %v)", expression, value, ok)
		}
	}
}

func is(want float64) func(float64) bool { return func(got float64) bool { return got == want } }

// wantSum: of one scrape, in which the owners are the RSS.
func (p *prometheus) wantSum() {
	p.t.Helper()
	const difference = `sum by (instance) (cgoheap_memory_bytes) - on (instance) cgoheap_rss_bytes`
	if value, ok := p.query(difference); !ok || value != 0 {
		p.t.Errorf("owners less the RSS: %.0f (there: %v)", value, ok)
	}
}

func promService(t *testing.T, o hostOptions) (*host, *prometheus) {
	t.Helper()
	root := repositoryRoot()
	dir := filepath.Join(root, "tests", "programs", "go-prom")
	inputs := []string{dir, filepath.Join(filepath.Dir(dir), "go-steps"),
		filepath.Join(root, "cgo_bridge")}
	h := start(t, buildPackage(t, dir, inputs, oneBuild(), "."), o)
	var address string
	h.fact("address", &address)
	return h, startPrometheus(t, address)
}

// A service with cgo_bridge/prom, scraped by Prometheus itself.
func TestPrometheus(t *testing.T) {
	h, p := promService(t, hostOptions{})
	p.await("cgoheap_up", is(1))
	p.await(`up{job="service"}`, is(1))
	p.wantSum()
	const live = `cgoheap_memory_bytes{owner="c_live"}`
	before, ok := p.query(live)
	if !ok {
		t.Fatalf("no %s", live)
	}

	const leaked, block = 100 << 20, 4096
	h.tell("leak %d %d", leaked/block, block)
	p.await(live, func(now float64) bool { return math.Abs(now-before-leaked) < leaked/10 })
	p.wantSum()

	p.await("cgoheap_sampling_enabled", is(1))
	for i, state := range []string{"off", "on"} {
		if code, _, body := h.request("POST", "/v1/sampling?state="+state); code != 200 {
			t.Fatalf("sampling %s: %d %s", state, code, body)
		}
		p.await("cgoheap_sampling_enabled", is(float64(i)))
	}
	if value, ok := p.query("cgoheap_scrape_errors_total"); !ok || value != 0 {
		t.Errorf("cgoheap_scrape_errors_total is %v (there: %v)", value, ok)
	}
	if text := h.stderr.String(); text != "" {
		t.Errorf("the service said:\n%s", text)
	}
}

// The same service without the library: the rest of its metrics are there.
func TestPrometheusWithoutLibrary(t *testing.T) {
	_, p := promService(t, hostOptions{noShim: true})
	p.await("cgoheap_up", is(0))
	p.await(`up{job="service"}`, is(1))
	p.await(`count({__name__=~"cgoheap_.+"})`, is(1))
	p.await("go_goroutines", func(n float64) bool { return n > 0 })
}
