//go:build linux

package network

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"rambox/internal/vmtest"
)

// patience is how long a test waits for what has to come.
const patience = 60 * time.Second

// The network that lan is, and the guest's first card in it.
var (
	server    = netip.MustParseAddr("10.9.0.1")
	client    = netip.MustParseAddr("10.9.0.10")
	broadcast = netip.MustParseAddr("255.255.255.255")
	serverHW  = hw{0x52, 0x54, 0, 0, 9, 1}
)

// lanLease is what a guest has of lan, and lanRoutes what ip route shows of it.
const (
	lanRoutes = "default via 10.9.0.1 dev eth0  src 10.9.0.10 \n10.9.0.0/24 dev eth0 scope link  src 10.9.0.10 \n"
	lanLease  = "lo 127.0.0.1/8\neth0 10.9.0.10/24\n" + lanRoutes + "nameserver 10.9.0.1\n"
)

// lan is a network with one server on it, which speaks ARP, UDP echo and DHCP.
type lan struct {
	t    *testing.T
	wire *vmtest.Wire
	vlan uint16 // the tag of the server's frames; 0: none

	mu     sync.Mutex
	answer answer
	heard  []message
	news   chan struct{} // closed at the next message
}

// message is what a guest has asked.
type message struct {
	*dhcpv4.DHCPv4
	at   time.Time
	from datagram
	dst  hw     // of the frame
	vlan uint16 // its tag
}

// unicast reports whether the message was for the server alone.
func (m message) unicast() bool { return m.dst == serverHW && m.from.dst.Addr() == server }

func (m message) String() string {
	return fmt.Sprintf("%s from %v to %v (%v), vlan %d: %v, transaction %v, client %v, wants %v of %v",
		m.at.Format("05.000"), m.from.src, m.from.dst, net.HardwareAddr(m.dst[:]), m.vlan,
		m.MessageType(), m.TransactionID, m.ClientIPAddr, m.RequestedIPAddress(), m.ServerIdentifier())
}

// answer is what the server says to a message; nil is nothing.
type answer func(asked message) *dhcpv4.DHCPv4

// silence answers nothing.
func silence(message) *dhcpv4.DHCPv4 { return nil }

// newLAN makes a network with a server that answers so.
func newLAN(t *testing.T, a answer) *lan {
	t.Helper()
	return newVLAN(t, 0, a)
}

// newVLAN makes one whose server is in a VLAN.
func newVLAN(t *testing.T, vlan uint16, a answer) *lan {
	t.Helper()
	l := &lan{t: t, wire: vmtest.NewWire(t), vlan: vlan, answer: a, news: make(chan struct{})}
	go func() {
		for {
			frame, err := l.wire.Read()
			if err != nil {
				return
			}
			l.receive(frame)
		}
	}()
	t.Cleanup(func() {
		if t.Failed() {
			heard := l.messages()
			for _, m := range heard[max(0, len(heard)-10):] {
				t.Log("the server heard: ", m)
			}
		}
	})
	return l
}

// card is what QEMU needs for a card on this network, the guest's nth, from 0.
func (l *lan) card(n int) []string {
	return []string{
		"-netdev", l.wire.Netdev(fmt.Sprintf("n%d", n)),
		"-device", fmt.Sprintf("virtio-net-pci,netdev=n%d,id=card%d,mac=52:54:00:00:00:%02x,romfile=", n, n, n+1),
	}
}

// serve changes what the server answers.
func (l *lan) serve(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = a
}

// receive does what a frame asks for.
func (l *lan) receive(frame []byte) {
	if len(frame) < 18 {
		return
	}
	dst, src := hw(frame[:6]), hw(frame[6:12])
	kind, packet, vlan := binary.BigEndian.Uint16(frame[12:]), frame[14:], uint16(0)
	if kind == typeVLAN {
		vlan, kind, packet = binary.BigEndian.Uint16(packet)&0xfff, binary.BigEndian.Uint16(packet[2:]), packet[4:]
	}
	switch kind {
	case typeARP:
		l.arp(src, vlan, packet)
	case typeIPv4:
		if d, ok := readDatagram(packet); ok && d.dst.Port() == portServer {
			l.dhcp(dst, src, vlan, d)
		} else if ok && d.dst == netip.AddrPortFrom(server, portEcho) && vlan == l.vlan {
			l.send(ether(src, serverHW, l.vlan, typeIPv4, ipv4(d.dst, d.src, d.payload)))
		}
	}
}

// arp says that every address but the guest's own is the server's.
func (l *lan) arp(src hw, vlan uint16, request []byte) {
	const length = 28
	if len(request) < length || request[7] != 1 || vlan != l.vlan {
		return
	}
	sender, target := request[8:18], request[24:28]
	if bytes.Equal(sender[6:], target) || bytes.Equal(sender[6:], []byte{0, 0, 0, 0}) {
		return // a guest that looks who has its own address
	}
	reply := bytes.Clone(request[:length])
	reply[7] = 2
	copy(reply[8:], serverHW[:])
	copy(reply[14:], target)
	copy(reply[18:], sender)
	l.send(ether(src, serverHW, l.vlan, typeARP, reply))
}

// dhcp takes note of a message and answers it.
func (l *lan) dhcp(dst, src hw, vlan uint16, d datagram) {
	packet, err := dhcpv4.FromBytes(d.payload)
	if err != nil {
		l.t.Errorf("the guest sends what is no DHCP: %v", err)
		return
	}
	m := message{packet, time.Now(), d, dst, vlan}
	l.mu.Lock()
	a := l.answer
	l.heard = append(l.heard, m)
	close(l.news)
	l.news = make(chan struct{})
	l.mu.Unlock()
	if vlan != l.vlan {
		return
	}
	if reply := a(m); reply != nil {
		l.reply(m, reply)
	}
}

// reply sends a reply to where it belongs (RFC 2131, section 4.1).
func (l *lan) reply(asked message, reply *dhcpv4.DHCPv4) {
	dst, to := hw(asked.ClientHWAddr), broadcast
	switch {
	case reply.MessageType() == dhcpv4.MessageTypeNak:
		dst = everyone
	case !asked.ClientIPAddr.IsUnspecified():
		to = netip.AddrFrom4([4]byte(asked.ClientIPAddr.To4()))
	case asked.IsBroadcast():
		dst = everyone
	default:
		to = netip.AddrFrom4([4]byte(reply.YourIPAddr.To4()))
	}
	l.send(ether(dst, serverHW, l.vlan, typeIPv4,
		ipv4(netip.AddrPortFrom(server, portServer), netip.AddrPortFrom(to, portClient), reply.ToBytes())))
}

// send writes frames. It fails only when the machine is gone.
func (l *lan) send(frames ...[]byte) { _ = l.wire.Write(frames...) }

// messages are all that the server has heard.
func (l *lan) messages() []message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}

// next is closed when the server hears something.
func (l *lan) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.news
}

// await waits for the nth message that matches, from 1.
func (l *lan) await(what string, n int, match func(message) bool) message {
	l.t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		heard, news := l.heard, l.news
		l.mu.Unlock()
		found := 0
		for _, m := range heard {
			if match(m) {
				if found++; found == n {
					return m
				}
			}
		}
		select {
		case <-news:
		case <-deadline:
			l.t.Fatalf("the server has not heard %d × %s within %v", n, what, patience)
		}
	}
}

// of matches messages of a type.
func of(kind dhcpv4.MessageType) func(message) bool {
	return func(m message) bool { return m.MessageType() == kind }
}

// lease gives client for an hour, with a router and a name server, unless more
// says otherwise; and refuses every other address.
func lease(more ...dhcpv4.Modifier) answer {
	return func(asked message) *dhcpv4.DHCPv4 {
		kind := dhcpv4.MessageTypeOffer
		switch asked.MessageType() {
		case dhcpv4.MessageTypeDiscover:
		case dhcpv4.MessageTypeRequest:
			kind = dhcpv4.MessageTypeAck
			if wanted := asked.RequestedIPAddress(); wanted == nil && !asked.ClientIPAddr.Equal(client.AsSlice()) ||
				wanted != nil && !wanted.Equal(client.AsSlice()) {
				kind = dhcpv4.MessageTypeNak
			}
			if s := asked.ServerIdentifier(); s != nil && !s.Equal(server.AsSlice()) {
				return nil // for another server
			}
		default:
			return nil
		}
		options := []dhcpv4.Modifier{
			dhcpv4.WithMessageType(kind), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server.AsSlice())),
		}
		if kind != dhcpv4.MessageTypeNak {
			options = append(options, dhcpv4.WithYourIP(client.AsSlice()), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
				dhcpv4.WithRouter(server.AsSlice()), dhcpv4.WithDNS(server.AsSlice()), dhcpv4.WithLeaseTime(3600))
			options = append(options, more...)
		}
		reply, err := dhcpv4.NewReplyFromRequest(asked.DHCPv4, options...)
		if err != nil {
			panic(err) // only crypto/rand's
		}
		return reply
	}
}
