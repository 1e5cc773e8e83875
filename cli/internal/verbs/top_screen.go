package verbs

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// screen is the terminal while `top` or `watch` runs: the alternate screen, no cursor, keys
// without Enter and echo.  However the verb ends, it restores the terminal.
type screen struct {
	out     *os.File
	saved   *unix.Termios // of stdin, nil where that is not a terminal
	keys    chan byte
	signals chan os.Signal
	closed  bool
}

const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

func openScreen(out *os.File) (*screen, error) {
	s := &screen{out: out, keys: make(chan byte), signals: make(chan os.Signal, 4)}
	signal.Notify(s.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTSTP,
		syscall.SIGCONT, syscall.SIGWINCH)
	if _, err := out.WriteString(enterScreen); err != nil {
		return nil, err
	}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		s.takeKeys()
		go s.readKeys()
	}
	return s, nil
}

// takeKeys leaves signals on, so that Ctrl-C and Ctrl-Z work.
func (s *screen) takeKeys() {
	fd := int(os.Stdin.Fd())
	saved, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return
	}
	s.saved = saved
	mode := *saved
	mode.Lflag &^= unix.ICANON | unix.ECHO
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	_ = unix.IoctlSetTermios(fd, unix.TCSETS, &mode)
}

func (s *screen) readKeys() {
	buf := make([]byte, 1)
	for {
		if n, err := os.Stdin.Read(buf); n == 0 || err != nil {
			return
		}
		s.keys <- buf[0]
	}
}

// close may be called twice.
func (s *screen) close() {
	if s.closed {
		return
	}
	s.closed = true
	signal.Stop(s.signals)
	s.giveBack()
}

func (s *screen) giveBack() {
	if s.saved != nil {
		_ = unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, s.saved)
	}
	_, _ = s.out.WriteString(leaveScreen)
}

// handle says whether a signal ends the verb; other signals redraw at most.
func (s *screen) handle(sig os.Signal) bool {
	switch sig {
	case syscall.SIGWINCH, syscall.SIGCONT:
		return false
	case syscall.SIGTSTP:
		s.suspend()
		return false
	}
	return true
}

func orderOf(key byte, order string) string {
	switch key {
	case 'i':
		return "inuse"
	case 'g':
		return "growth"
	case 'o':
		return "objects"
	}
	return order
}

// suspend stops the command for Ctrl-Z, with the terminal restored for the shell.
func (s *screen) suspend() {
	s.giveBack()
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	_, _ = s.out.WriteString(enterScreen)
	if s.saved != nil {
		s.takeKeys()
	}
}

func (s *screen) size() (width, height int) { return sizeOf(s.out) }

func sizeOf(terminal *os.File) (width, height int) {
	width, height, err := term.GetSize(int(terminal.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

func (s *screen) draw(v *view, rows int, order, note string) {
	width, height := s.size()
	_, _ = s.out.Write(drawView(v, rows, order, note, width, height))
}

// drawView is one frame, in one write: no flicker.
func drawView(v *view, rows int, order, note string, width, height int) []byte {
	lines := v.header()
	if note != "" {
		lines = append(lines, "! "+note)
	}
	lines = append(lines, "")
	room := max(height-len(lines)-2, 1)
	if rows == 0 || rows > room {
		rows = room
	}
	if len(v.summary.Rows) == 0 {
		lines = append(lines, v.summary.NoRows())
	} else if v.why != nil {
		var table []string
		table, rows = v.whyFrame(width, room+1, rows)
		lines = append(lines, table...)
	} else {
		lines = append(lines, fitTable(v.cells(rows), spareColumns, width)...)
	}
	footer := fmt.Sprintf("sorted by %s   q quits, i g o sort", order)
	if left := len(v.summary.Rows) - rows; left > 0 {
		footer = "and " + termtext.CountOf(left, "row more", "rows more") + "   " + footer
	}
	return frame(lines, footer, width, height)
}

// frame is a screen full of lines, which are cut to it, above a footer.
func frame(lines []string, footer string, width, height int) []byte {
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:max(height-1, 0)], footer)
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(termtext.CutEnd(line, width) + "\x1b[K")
	}
	b.WriteString("\x1b[J")
	return b.Bytes()
}

// Columns to drop on a narrow screen, in this order, and the width that names need.
var (
	spareColumns = []string{"OBJECTS", errorColumn, "GROWTH", "C LEAF"}
	namesWidth   = 34
)

// fitColumns drops spare columns until the names have room.
func fitColumns(cells [][]string, right []bool, spare []string, name string, width,
	room int) ([][]string, []bool) {
	for _, column := range spare {
		if figuresWidth(cells, name)+room <= width {
			break
		}
		cells, right = withoutColumn(cells, right, column)
	}
	return cells, right
}

// withoutColumn drops the column of that name if there is one.
func withoutColumn(cells [][]string, right []bool, name string) ([][]string, []bool) {
	at := slices.Index(cells[0], name)
	if at < 0 {
		return cells, right
	}
	fewer := make([][]string, len(cells))
	for i, row := range cells {
		fewer[i] = slices.Delete(slices.Clone(row), at, at+1)
	}
	return fewer, slices.Delete(slices.Clone(right), at, at+1)
}

// figuresWidth is the width of the columns before the names.
func figuresWidth(cells [][]string, name string) int {
	width := 0
	for i := range slices.Index(cells[0], name) {
		width += termtext.ColumnWidth(cells, i) + 2
	}
	return width
}

// fitTable makes the rows fit the width.  Figures stay whole; the Go caller loses its import
// path, then both names are cut.
func fitTable(cells [][]string, spare []string, width int) []string {
	cells, right := fitColumns(cells, rightOf(cells), spare, "GO CALLER", width, namesWidth)
	caller := slices.Index(cells[0], "GO CALLER")
	leaf, hasLeaf := caller+1, len(right) > caller+1
	room, end := width-figuresWidth(cells, "GO CALLER"), 0
	if hasLeaf {
		room, end = max(room-2, 20), termtext.ColumnWidth(cells, leaf)
	}
	if termtext.ColumnWidth(cells, caller)+end > room {
		for _, row := range cells[1:] {
			row[caller] = stacks.ShortGoName(row[caller])
		}
	}
	if termtext.ColumnWidth(cells, caller)+end > room {
		end = min(end, max(room/3, room-termtext.ColumnWidth(cells, caller)))
		for _, row := range cells[1:] {
			row[caller] = termtext.CutStart(row[caller], room-end)
			if hasLeaf {
				row[leaf] = termtext.CutEnd(row[leaf], end)
			}
		}
	}
	var b bytes.Buffer
	termtext.WriteTable(&b, right, cells)
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}
