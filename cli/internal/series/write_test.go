package series

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCreateInPipe: what is written to a pipe that nothing reads would be lost, and so would what
// follows the end of its reader.
func TestCreateInPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	want := path + " is a pipe that nothing reads"
	if w, err := Create(path, Header{}); err == nil || err.Error() != want {
		t.Fatalf("%v, %v, want %q", w, err, want)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Create(path, Header{Program: "service"})
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil || !strings.Contains(line, `"service"`) {
		t.Errorf("%q, %v", line, err)
	}
	if reader.Close(); w.write(&Header{}) == nil {
		t.Error("no error once the reader has gone")
	}
}
