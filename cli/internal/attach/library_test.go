package attach

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFindLibrary(t *testing.T) {
	lib := filepath.Join(t.TempDir(), LibraryName)
	if _, err := FindLibrary(lib); err == nil {
		t.Error("found what is not there")
	}
	if err := os.WriteFile(lib, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := FindLibrary(lib); err != nil || got != lib {
		t.Error(got, err)
	}
}
