//go:build linux

package netboot

import (
	"context"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// tftpSocket is a client that says what it is told to.
type tftpSocket struct {
	t      *testing.T
	conn   *net.UDPConn
	server netip.AddrPort
}

func newTFTPSocket(t *testing.T, server netip.AddrPort) *tftpSocket {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &tftpSocket{t, c, server}
}

func (c *tftpSocket) send(to netip.AddrPort, packet string) {
	c.t.Helper()
	if _, err := c.conn.WriteToUDPAddrPort([]byte(packet), to); err != nil {
		c.t.Fatal(err)
	}
}

// expect waits for a packet and returns where it is from.
func (c *tftpSocket) expect(want string) netip.AddrPort {
	c.t.Helper()
	b := make([]byte, 600)
	if err := c.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	n, from, err := c.conn.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != want {
		c.t.Fatalf("got %q, %v, want %q", b[:n], err, want)
	}
	return from
}

// startTFTP serves two files of a block and a byte.
func startTFTP(t *testing.T, limits TFTPLimits) (s *TFTPServer, at netip.AddrPort, done chan Transfer) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(dir+"/"+name, []byte(name+"234567890"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	free := newTFTPSocket(t, netip.AddrPort{})
	at = free.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	free.conn.Close()
	conn, err := ListenTFTP(t.Context(), at, "")
	if err != nil {
		t.Fatal(err)
	}
	done = make(chan Transfer, 100)
	s = &TFTPServer{Open: (&Shelf{Root: root}).Open, Limits: limits, Done: func(r Transfer) { done <- r }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, conn, "") }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, at, done
}

const (
	askA = "\x00\x01a\x00octet\x00blksize\x008\x00"
	askB = "\x00\x01b\x00octet\x00blksize\x008\x00"
	oack = "\x00\x06blksize\x008\x00"
)

func TestTFTPServer(t *testing.T) {
	s, at, done := startTFTP(t, TFTPLimits{PerClient: 1})
	one, two := newTFTPSocket(t, at), newTFTPSocket(t, at)
	one.send(at, askA)
	session := one.expect(oack)
	if session == at {
		t.Error("the transfer has no port of its own")
	}
	// The same again is no other transfer, and another client has to wait. An
	// error, which is answered, says that both have been read.
	one.send(at, askA)
	two.send(at, askA)
	two.send(at, "\x00\x02a\x00octet\x00")
	two.expect("\x00\x05\x00\x02this server is read-only\x00")
	s.mu.Lock()
	if len(s.sessions) != 1 {
		t.Errorf("%d sessions, want 1", len(s.sessions))
	}
	s.mu.Unlock()
	one.send(session, "\x00\x04\x00\x00")
	one.expect("\x00\x03\x00\x01a2345678")
	// A packet of a stranger has no effect.
	two.send(session, "\x00\x05\x00\x00stop\x00")
	one.send(session, "\x00\x04\x00\x01")
	one.expect("\x00\x03\x00\x0290")
	one.send(session, "\x00\x04\x00\x02")
	if r := <-done; r.Err != nil || r.Name != "a" || r.Sent != 10 {
		t.Errorf("%+v", r)
	}
	two.send(at, askB)
	session = two.expect(oack)
	// A machine that has been switched off and on again uses the same port for
	// another file.
	two.send(at, askA)
	if again := two.expect(oack); again == session {
		t.Error("the request was taken for the one before")
	}
	if r := <-done; r.Err != context.Canceled || r.Name != "b" {
		t.Errorf("%+v", r)
	}
}

// TestTFTPNobody: who asks in the name of somebody else makes us send three
// packets at most.
func TestTFTPNobody(t *testing.T) {
	_, at, done := startTFTP(t, TFTPLimits{})
	c := newTFTPSocket(t, at)
	c.send(at, askA)
	c.conn.Close()
	if r := <-done; r.Err == nil || r.Resent > 2 {
		t.Errorf("%+v", r)
	}
}
