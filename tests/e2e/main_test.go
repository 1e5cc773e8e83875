package e2e

import (
	"flag"
	"os"
	"testing"
)

// More hosts at once than this would only wait for each other.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "2")
	flag.Parse()
	os.Exit(m.Run())
}
