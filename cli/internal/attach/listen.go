package attach

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CGOHEAP_LISTEN, for a process without a socket in its file system.  TCP has no credentials: the
// kernel's tables say which process listens.

// errNoListener says that the process does not listen where it was told to.
var errNoListener = errors.New("it does not listen there")

// tcpPatience is for a process whose queue of connections is full.
const tcpPatience = 3 * time.Second

// connectTCP connects to where CGOHEAP_LISTEN says, in the process's network.
func (p *Process) connectTCP(listen string) (fd int, err error) {
	listeners, err := p.listeners(listen)
	if err != nil {
		return -1, err
	}
	if len(listeners) == 0 {
		return -1, errNoListener
	}
	connect := func() error {
		fd, err = dialTCP(listeners[0])
		return err
	}
	if sameNamespace(p.PID, "net") {
		err = connect()
	} else {
		err = onThread(func() error { return enterNetwork(p.PID) }, connect)
	}
	if err != nil {
		return -1, err
	}
	return fd, p.stillThere(fd)
}

func dialTCP(to netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	patience := unix.NsecToTimeval(tcpPatience.Nanoseconds())
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// listeners are the process's own sockets that listen at such an address.  Port 0 is any port: the
// library's descriptors are the highest, so its socket is the first.
func (p *Process) listeners(listen string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	wanted, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	table, err := os.ReadFile(ProcPath(p.PID, "net/tcp"))
	if err != nil {
		return nil, err
	}
	owned, err := p.socketInodes()
	if err != nil {
		return nil, err
	}
	found := listeningIn(string(table), wanted, owned)
	return found, nil
}

// listeningIn reads /proc/PID/net/tcp; owned has descriptors by inode.
func listeningIn(table string, wanted netip.AddrPort, owned map[string]int) []netip.AddrPort {
	type listener struct {
		at netip.AddrPort
		fd int
	}
	var found []listener
	for _, line := range strings.Split(table, "\n") {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" { // TCP_LISTEN
			continue
		}
		fd, isOwned := owned[f[9]]
		at, err := parseKernelAddress(f[1])
		isWanted := at.Addr() == wanted.Addr() && (wanted.Port() == 0 || at.Port() == wanted.Port())
		if err == nil && isOwned && isWanted {
			found = append(found, listener{at, fd})
		}
	}
	slices.SortFunc(found, func(a, b listener) int { return cmp.Compare(b.fd, a.fd) })
	var addresses []netip.AddrPort
	for _, l := range found {
		addresses = append(addresses, l.at)
	}
	return addresses
}

// parseKernelAddress reads "0100007F:17AD": the address as a number of this machine's byte order.
func parseKernelAddress(text string) (netip.AddrPort, error) {
	hexHost, hexPort, _ := strings.Cut(text, ":")
	host, err1 := strconv.ParseUint(hexHost, 16, 32)
	port, err2 := strconv.ParseUint(hexPort, 16, 16)
	if err := errors.Join(err1, err2); err != nil {
		return netip.AddrPort{}, err
	}
	address := [4]byte{byte(host), byte(host >> 8), byte(host >> 16), byte(host >> 24)}
	return netip.AddrPortFrom(netip.AddrFrom4(address), uint16(port)), nil
}

// socketInodes has the highest descriptor of each of the process's sockets, by its inode.
func (p *Process) socketInodes() (map[string]int, error) {
	dir := ProcPath(p.PID, "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	inodes := map[string]int{}
	for _, entry := range entries {
		link, err := os.Readlink(filepath.Join(dir, entry.Name()))
		fd, notNumber := strconv.Atoi(entry.Name())
		inode, isSocket := strings.CutPrefix(link, "socket:[")
		if err == nil && notNumber == nil && isSocket {
			inode = strings.TrimSuffix(inode, "]")
			inodes[inode] = max(inodes[inode], fd)
		}
	}
	return inodes, nil
}

// explainTCP continues a sentence on the socket: why TCP was no help either.
func (p *Process) explainTCP(err error, listen string) string {
	shown := fmt.Sprintf("; nor can its CGOHEAP_LISTEN, %q, be reached", listen)
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return fmt.Sprintf("%s: it is in another network namespace: run this as root, or "+
			"nsenter --net -t %d go tool pprof http://%s/debug/pprof/cgoheap", shown, p.PID, listen)
	}
	return fmt.Sprintf("%s: %v", shown, err)
}
