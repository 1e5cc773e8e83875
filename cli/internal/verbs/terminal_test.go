package verbs

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal runs a command in a pseudo terminal.  The leader of its session is a process that
// outlives the command: when a leader ends, the kernel hangs the terminal up and drops the output
// that is on its way to the reader.
type terminal struct {
	master *os.File
	pid    int      // of the command
	report *os.File // from the leader: the command's pid, then its exit code
}

const endOfCommand = "\x00ended"

// leadSession is the leader; it ends with the terminal.
func leadSession() int {
	const report = 3
	syscall.CloseOnExec(report)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTSTP) // the command's
	c := command(nil, os.Args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		return 1
	}
	out := os.NewFile(report, "report")
	fmt.Fprintln(out, c.Process.Pid)
	_ = c.Wait()
	os.Stdout.WriteString(endOfCommand)
	fmt.Fprintln(out, c.ProcessState.ExitCode())
	select {}
}

func openTerminal(t *testing.T, width, height int, args ...string) *terminal {
	t.Helper()
	master, slave := openPseudoTerminal(t)
	defer slave.Close()
	report, reportEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reportEnd.Close()
	term := &terminal{master: master, report: report}
	term.resize(t, width, height)
	c := command([]string{"TERM=xterm", partVariable + "=leader"}, args...)
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.ExtraFiles = []*os.File{reportEnd}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { term.close(c) })
	term.pid = term.reported(t)
	return term
}

func openPseudoTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func (term *terminal) close(leader *exec.Cmd) {
	_ = syscall.Kill(-leader.Process.Pid, syscall.SIGKILL) // the command is in its group
	_ = leader.Wait()
	term.master.Close()
	term.report.Close()
}

func (term *terminal) reported(t *testing.T) int {
	t.Helper()
	var n int
	if _, err := fmt.Fscanln(term.report, &n); err != nil {
		t.Fatal("the session's leader ended: ", err)
	}
	return n
}

func (term *terminal) resize(t *testing.T, width, height int) {
	t.Helper()
	err := unix.IoctlSetWinsize(int(term.master.Fd()), unix.TIOCSWINSZ,
		&unix.Winsize{Col: uint16(width), Row: uint16(height)})
	if err != nil {
		t.Fatal(err)
	}
}

// end reads what is left and returns it with the exit code.
func (term *terminal) end(t *testing.T) (string, int) {
	t.Helper()
	rest := strings.TrimSuffix(readUntil(t, term.master, endOfCommand), endOfCommand)
	return rest, term.reported(t)
}

// readUntil reads no further than that.
func readUntil(t *testing.T, r io.Reader, end string) string {
	t.Helper()
	var text strings.Builder
	buf := make([]byte, 1)
	for !strings.HasSuffix(text.String(), end) {
		n, err := r.Read(buf)
		if n == 0 || err != nil {
			t.Fatalf("%q, then %v; waited for %q", text.String(), err, end)
		}
		text.Write(buf)
	}
	return text.String()
}
