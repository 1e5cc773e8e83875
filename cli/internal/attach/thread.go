package attach

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// What a process of another namespace asks of its caller is set on one thread, which is never used
// again: a goroutine that ends without unlocking it takes it along.

// onThread calls prepare and do on such a thread.
func onThread(prepare, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread never ends, and what is set on it shows in /proc/self.
			done <- onThread(prepare, do)
			runtime.UnlockOSThread()
			return
		}
		err := prepare()
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

// becomeUser sets the effective user of this thread alone (package syscall would set it on all),
// and keeps the capabilities that a user but root loses.
func becomeUser(uid int) error {
	const unchanged = ^uintptr(0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return err
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, unchanged, uintptr(uid), unchanged)
	if errno != 0 {
		return errno
	}
	return unix.Capset(&header, &caps[0])
}

// enterNetwork moves this thread to the network of a process.
func enterNetwork(pid int) error {
	file, err := os.Open(ProcPath(pid, "ns/net"))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering its network: %w", err)
	}
	return nil
}
