//go:build large

package e2e

import "testing"

// DuckDB, for its C++. Its module is half a gigabyte to download, so that this
// is built only when asked for: go test -tags large -run DuckDB.
func TestDuckDB(t *testing.T) {
	b := build{"1.26.8", "plain"}
	h := start(t, program(t, "go-duckdb", b), hostOptions{sampleBytes: 1,
		env: []string{"CGOHEAP_MAX_MEMORY=512MiB"}})
	wantComplete(t, h)
	if code := h.finish(); code != 0 {
		t.Errorf("exit code %d\n%s", code, h.stderr.String())
	}
}
