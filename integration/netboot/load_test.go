//go:build linux

package netboot_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"rambox/internal/netboot"
)

// load is many clients behind a relay, which is a socket of c0.
type load struct {
	l       *lab
	conn    *net.UDPConn
	next    int                   // client
	leases  map[netip.Addr]uint32 // by the ACKs: whose the address is
	offered int
}

// How many clients ask at a time, and how many there are: fewer than addresses.
const (
	window   = 200
	machines = 45000
)

// newLoad opens the relay's port.
func (l *lab) newLoad() *load {
	l.t.Helper()
	l.clients.IP("addr", "add", "10.9.0.2/16", "dev", "c0")
	o := &load{l: l, leases: map[netip.Addr]uint32{}}
	err := l.clients.Inside(func() (err error) {
		o.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 2), Port: 67})
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { o.conn.Close() })
	return o
}

// send sends a client's message. A server that is dead refuses, which is as
// good as silence.
func (o *load) send(client uint32, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) {
	o.l.t.Helper()
	hw := binary.BigEndian.AppendUint32(net.HardwareAddr{0x52, 0x54}, client)
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithHwAddr(hw), dhcpv4.WithMessageType(kind), dhcpv4.WithGatewayIP(net.IPv4(10, 9, 0, 2)),
	}, more...)...)
	if err != nil {
		o.l.t.Fatal(err)
	}
	o.conn.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: 67})
}

// begin has a client ask: a new one, or now and then one that has a lease.
func (o *load) begin() {
	client := uint32(o.next)
	if o.next++; o.next%4 == 0 || o.next > machines {
		client = uint32(rand.IntN(min(o.next, machines)))
	}
	o.send(client, dhcpv4.MessageTypeDiscover)
}

// run has clients ask until so many ACKs have come, calls stop, and takes what
// still comes.
func (o *load) run(acks int, stop func()) {
	o.l.t.Helper()
	for range window {
		o.begin()
	}
	buf := make([]byte, 2048)
	quiet := patience
	for got := 0; ; {
		o.conn.SetReadDeadline(time.Now().Add(quiet))
		n, err := o.conn.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && got >= acks:
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			o.l.t.Fatalf("%d of %d ACKs, and no answer within %s", got, acks, quiet)
		case err != nil:
			continue // the dead server's port
		}
		if !o.answer(buf[:n]) {
			continue
		}
		if got++; got == acks {
			stop()
			quiet = 200 * time.Millisecond
		}
		if got < acks {
			o.begin()
		}
	}
}

// answer takes an answer and tells whether it was an ACK.
func (o *load) answer(packet []byte) bool {
	o.l.t.Helper()
	m, err := dhcpv4.FromBytes(packet)
	if err != nil {
		o.l.t.Fatal(err)
	}
	client := binary.BigEndian.Uint32(m.ClientHWAddr[2:])
	switch m.MessageType() {
	case dhcpv4.MessageTypeOffer:
		o.offered++
		o.send(client, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(m.ServerIdentifier())),
			dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(m.YourIPAddr)))
	case dhcpv4.MessageTypeAck:
		a, _ := netip.AddrFromSlice(m.YourIPAddr.To4())
		if other, ok := o.leases[a]; ok && other != client {
			o.l.t.Errorf("%s is client %d's, and is given to client %d", a, other, client)
		}
		o.leases[a] = client
		return true
	}
	return false
}

// until has clients ask until an event has come and no answer comes any more.
func (o *load) until(event <-chan netboot.Event) {
	o.l.t.Helper()
	buf := make([]byte, 2048)
	for seen := false; ; {
		o.conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := o.conn.Read(buf)
		if err != nil {
			if seen {
				return
			}
			o.begin()
		} else if o.answer(buf[:n]) && !seen {
			o.begin()
		}
		select {
		case e := <-event:
			o.l.t.Logf("the store: %s", e.Text)
			seen = true
		default:
		}
	}
}

// TestKillServer kills a server under load, at any moment, again and again: no
// lease is lost, and none given twice. RAMBOX_KILLS sets how often.
func TestKillServer(t *testing.T) {
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("RAMBOX_KILLS")); err == nil {
		kills = n
	}
	l := newLab(t, 1)
	o := l.newLoad()
	c := config(200 * 256)
	c.Limit.PerClient = 1 << 30
	store := filepath.Join(t.TempDir(), "leases.db")
	for i := range kills {
		p := l.serve(c, store)
		o.run(1+rand.IntN(1500), func() { p.ends() })
		if t.Failed() {
			break
		}
		if err := o.compare(store); err != nil {
			t.Fatalf("after kill %d: %v", i+1, err)
		}
	}
	t.Logf("%d kills, %d offers, %d leases", kills, o.offered, len(o.leases))
}

// TestStop ends a server by SIGTERM under load: it ends without an error, and
// what it has acknowledged is stored.
func TestStop(t *testing.T) {
	l := newLab(t, 1)
	o := l.newLoad()
	c := config(200 * 256)
	c.Limit.PerClient = 1 << 30
	store := filepath.Join(t.TempDir(), "leases.db")
	p := l.serve(c, store)
	o.run(500, func() {
		if err := p.terminate(); err != nil {
			t.Errorf("the server ends with %v", err)
		}
	})
	if err := o.compare(store); err != nil {
		t.Error(err)
	}
}

// compare looks for each lease in the store.
func (o *load) compare(path string) error {
	db, err := netboot.OpenBolt(path)
	if err != nil {
		return err
	}
	defer db.Close()
	stored := map[netip.Addr]uint32{}
	err = db.Leases(func(l netboot.Lease) bool {
		stored[l.Addr] = binary.BigEndian.Uint32(l.MAC[2:])
		return true
	})
	if err != nil {
		return err
	}
	for a, client := range o.leases {
		if got, ok := stored[a]; !ok || got != client {
			return fmt.Errorf("%s was given to client %d; stored is %d, %v", a, client, got, ok)
		}
	}
	return nil
}
