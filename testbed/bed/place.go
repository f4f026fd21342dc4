package bed

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Beds live in 127.64.0.0 to 127.127.255.255, a block of 65,536 addresses
// each. Most other programs use 127.0.0.1 alone.
const (
	firstBlock = 64
	lastBlock  = 127
)

// claimPort is the port whose listener holds a block. Who listens there owns
// the block's addresses; the kernel gives it back when the last process that
// has the listener is gone, whatever way it went, and nothing is left on disk.
const claimPort = 7070

// A place is a block of addresses that this bed owns.
type place struct {
	net      byte // first byte of every address
	block    int  // second byte
	port     int
	listener *net.TCPListener
}

// claim takes the first block of 127 or 10 that nobody has.
func claim(first byte) (*place, error) {
	for block := firstBlock; block <= lastBlock; block++ {
		address := &net.TCPAddr{IP: net.IPv4(first, byte(block), 0, 1), Port: claimPort}
		l, err := net.ListenTCP("tcp", address)
		if err == nil {
			return &place{net: first, block: block, port: claimPort, listener: l}, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("claim addresses: %w", err)
		}
	}
	return nil, fmt.Errorf("claim addresses: every block from %d.%d.0.0 to %d.%d.0.0 is taken (port %d of its first address)",
		first, firstBlock, first, lastBlock, claimPort)
}

// free is the wanted port, or another one where some other program listens at
// the wanted port on all addresses.
func (p *place) free(wanted int) int {
	for _, port := range []int{wanted, 0} {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(p.net, byte(p.block), 0, 1), Port: port})
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	return wanted
}

// unblock makes the listener's Accept end with its Close again. Handing a copy
// to another process sets both to blocking, and a blocked Accept holds the
// listener for as long as nobody connects.
func (p *place) unblock() error {
	conn, err := p.listener.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = conn.Control(func(fd uintptr) { setErr = syscall.SetNonblock(int(fd), true) })
	return errors.Join(err, setErr)
}

// file is a copy of the listener for another process, which then holds the
// place too.
func (p *place) file() (*os.File, error) { return p.listener.File() }
