//go:build linux

package vmtest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Wire is the far end of the cable of a guest's network card: the test is all
// that the guest's network has. It carries whole Ethernet frames without their
// checksum, each after its length as 32 bits, big-endian (net/stream.c of
// QEMU).
type Wire struct {
	path      string
	listener  net.Listener
	connected chan struct{} // closed when QEMU is at the other end, or never will be
	conn      net.Conn      // nil: it never was
	writing   sync.Mutex
}

// NewWire makes a wire for one card. It ends with the test.
func NewWire(t testing.TB) *Wire {
	t.Helper()
	w := &Wire{connected: make(chan struct{})}
	w.path, w.listener = listen(t, "wire")
	go func() {
		defer close(w.connected)
		w.conn, _ = w.listener.Accept()
	}()
	t.Cleanup(func() {
		w.listener.Close()
		if <-w.connected; w.conn != nil {
			w.conn.Close()
		}
	})
	return w
}

// listen opens a socket for QEMU to connect to. The tests' own directories
// have names too long for sun_path (unix(7)).
func listen(t testing.TB, name string) (path string, l net.Listener) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vmtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, name)
	if l, err = net.Listen("unix", path); err != nil {
		t.Fatal(err)
	}
	return path, l
}

// Netdev is the value of QEMU's -netdev.
func (w *Wire) Netdev(id string) string {
	return fmt.Sprintf("stream,id=%s,server=off,addr.type=unix,addr.path=%s", id, w.path)
}

// Read waits for the next frame of the guest. The error is io.EOF when the
// machine is gone.
func (w *Wire) Read() ([]byte, error) {
	if <-w.connected; w.conn == nil {
		return nil, io.EOF
	}
	var length [4]byte
	if _, err := io.ReadFull(w.conn, length[:]); err != nil {
		return nil, io.EOF
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(w.conn, frame); err != nil {
		return nil, io.EOF
	}
	return frame, nil
}

// Write sends frames to the guest. It waits while the guest takes none.
func (w *Wire) Write(frames ...[]byte) error {
	if <-w.connected; w.conn == nil {
		return io.ErrClosedPipe
	}
	var b []byte
	for _, f := range frames {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(f))), f...)
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	_, err := w.conn.Write(b)
	return err
}
