package program

import (
	"os"
	"testing"

	"cgoheap.example/cli/internal/fixture"
)

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }
