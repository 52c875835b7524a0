//go:build linux

package qemu

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// GDBServer is a socket on which QEMU lets a debugger in. We listen and QEMU inherits the socket, so what is wrong with the
// address is known before the start, and a socket's file does not stay behind a QEMU that was killed.
type GDBServer struct {
	Addr     string // what gdb's "target remote" takes: 127.0.0.1:1234, or a path
	listener net.Listener
	file     *os.File
}

// ListenGDB listens on a TCP port of 127.0.0.1, where 0 is a free one, or, for a word with a slash, on a unix socket.
func ListenGDB(where string) (*GDBServer, error) {
	network, address := "unix", where
	if !strings.Contains(where, "/") {
		if port, err := strconv.ParseUint(where, 10, 16); err != nil {
			return nil, errors.New("want a TCP port, or the path of a unix socket with a / in it")
		} else {
			network, address = "tcp4", fmt.Sprintf("127.0.0.1:%d", port)
		}
	} else if err := removeStale(where); err != nil {
		return nil, err
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, inner(err))
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		l.Close()
		return nil, err
	}
	return &GDBServer{Addr: l.Addr().String(), listener: l, file: f}, nil
}

// removeStale removes a socket on which nobody listens any more.
func removeStale(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil // nothing to remove, and Listen says the rest
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("another program listens on %s", path)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return nil
}

// inner is the kernel's error within one of package net, whose address we name ourselves.
func inner(err error) error {
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err
	}
	return err
}

// Close removes the socket.
func (g *GDBServer) Close() {
	g.file.Close()
	g.listener.Close()
}

// gdbFD is Machine.GDB for an inherited listening socket.
func gdbFD(fd int) string { return fmt.Sprintf("fd=%d", fd) }
