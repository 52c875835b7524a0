//go:build linux

package netcfg_test

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/pkg/netcfg"
)

// replies is how many mutated replies the hostile server sends.
const replies = 10000

// TestHostileServer answers with thousands of mutated replies to whatever the
// client last asked. The client must go on: hear commands, write nothing into
// its files but what belongs there, and end when it is told to.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	server := l.dhcpSocket()
	n := l.run("ip=dhcp")

	rng := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 2048)
	var asked netcfg.Message
	for sent := 0; sent < replies; {
		if sent%500 == 0 {
			select {
			case n.commands <- netcfg.RenewNow:
			case <-time.After(patience):
				t.Fatal("Run hears no command")
			}
		}
		wait := time.Millisecond
		if asked.XID == 0 {
			wait = patience
		}
		server.SetReadDeadline(time.Now().Add(wait))
		if size, _, err := server.ReadFrom(buf); err == nil {
			if m, err := netcfg.ParseMessage(buf[:size]); err == nil {
				asked = m
			}
		} else if asked.XID == 0 {
			t.Fatal("the client asks for nothing")
		}
		for range 50 {
			if _, err := server.WriteTo(mutate(rng, reply(rng, asked)), &net.UDPAddr{IP: net.IPv4bcast, Port: 68}); err != nil {
				t.Fatal(err)
			}
			sent++
		}
	}

	configured := 0
	for len(n.events) > 0 {
		if e := <-n.events; e.Kind == netcfg.Configured {
			configured++
		}
	}
	if configured == 0 {
		t.Error("not one reply got through: the test tests nothing")
	} else {
		for line := range strings.Lines(n.file("run/net-eth0.conf")) {
			if name, value, ok := strings.Cut(line, "="); !ok || strings.ContainsAny(name, " '$`") || !strings.HasSuffix(value, "'\n") {
				t.Errorf("lease file has %q", line)
			}
		}
	}
	select {
	case n.commands <- netcfg.ReleaseAll:
	case <-time.After(patience):
		t.Error("Run hears no command")
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	t.Logf("%d replies, configured %d times", replies, configured)
}

// dhcpSocket opens the server's port on s0.
func (l *lab) dhcpSocket() net.PacketConn {
	l.t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			if failed = unix.BindToDevice(int(fd), "s0"); failed == nil {
				failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
			}
		})
		if err != nil {
			return err
		}
		return failed
	}}
	var conn net.PacketConn
	err := l.server.Inside(func() (err error) {
		conn, err = config.ListenPacket(l.t.Context(), "udp4", ":67")
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	return conn
}

// reply is a good answer to a client's message, now and then of the wrong type.
func reply(rng *rand.Rand, asked netcfg.Message) netcfg.Message {
	kind := netcfg.Offer
	if asked.Type() != netcfg.Discover {
		kind = netcfg.Ack
	}
	if rng.IntN(20) == 0 {
		kind = netcfg.MessageType(rng.IntN(256))
	}
	return netcfg.Message{
		Reply: true, XID: asked.XID, HW: asked.HW, Your: netip.AddrFrom4([4]byte{10, 9, 0, byte(rng.IntN(256))}),
		Options: map[byte][]byte{
			53: {byte(kind)}, 54: {10, 9, 0, 1}, 1: {255, 255, 255, 0}, 3: {10, 9, 0, 1}, 6: {10, 9, 0, 1}, 51: {0, 0, 0, 30},
			12: []byte("node7"), 15: []byte("example.org"), 17: []byte("/srv"), 119: []byte("\x01a\x00"), 121: {8, 11, 10, 9, 0, 1},
		},
	}
}

// mutate spoils an option or a few bytes.
func mutate(rng *rand.Rand, m netcfg.Message) []byte {
	options := [...]byte{1, 3, 6, 12, 15, 17, 26, 42, 51, 54, 58, 59, 67, 80, 119, 121, 249}
	for range rng.IntN(4) {
		v := make([]byte, rng.IntN(40))
		for i := range v {
			v[i] = [...]byte{byte(rng.IntN(256)), 0, 255, '\'', '\n', '$', 'a', 0xc0}[rng.IntN(8)]
		}
		m.Options[options[rng.IntN(len(options))]] = v
	}
	b := m.Bytes()
	for range rng.IntN(3) {
		b[rng.IntN(len(b))] = byte(rng.IntN(256))
	}
	if rng.IntN(10) == 0 {
		b = b[:rng.IntN(len(b))]
	}
	return b
}
