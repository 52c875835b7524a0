package netboot

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// dhcpLink is a link with its sockets.
type dhcpLink struct {
	name    string
	hw      net.HardwareAddr
	link    atomic.Pointer[Link] // with the addresses that it has by now
	ports   []*dhcpPort
	replies *os.File // packet socket that hears other servers
	arp     *os.File // packet socket that hears who has an address
	routers *os.File // packet socket that hears who looks for a router
	raw     *os.File // packet socket for sending
	prober  *prober
	seekers seekers

	mu     sync.Mutex // over the writers
	frames *writer    // to clients without an address, on raw
}

// dhcpPort is a UDP port of a link.
type dhcpPort struct {
	port uint16
	conn *net.UDPConn
	out  *writer
}

// openLink opens a link's sockets.
func (s *DHCPServer) openLink(name string) (*dhcpLink, error) {
	link, err := findLink(name)
	if err != nil {
		return nil, err
	}
	l := &dhcpLink{name: link.Name, hw: link.HW}
	l.link.Store(link)
	l.prober = newProber(s, l)
	if err := s.openSockets(l); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (s *DHCPServer) openSockets(l *dhcpLink) (err error) {
	lost, link := func(error) { s.counters.Lost.Add(1) }, l.link.Load()
	for _, port := range []uint16{dhcpServerPort, pxePort} {
		conn, err := listenUDP(link, port, s.proxy)
		if err != nil {
			return err
		}
		p := &dhcpPort{port: port, conn: conn}
		l.ports = append(l.ports, p)
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		p.out = &writer{raw: raw, lost: lost}
	}
	for _, socket := range []struct {
		file     **os.File
		protocol uint16
		filter   []unix.SockFilter
	}{
		{&l.raw, 0, nil}, {&l.replies, etherIPv4, replyFilter()}, {&l.arp, etherARP, arpFilter()}, {&l.routers, etherIPv6, seekerFilter()},
	} {
		if *socket.file, err = listenPacket(link, socket.protocol, socket.filter); err != nil {
			return err
		}
	}
	if err := hearMulticast(l.routers, link, allRouters()); err != nil {
		return err
	}
	raw, err := l.raw.SyscallConn()
	if err != nil {
		return err
	}
	l.frames = &writer{raw: raw, lost: lost}
	return nil
}

// wake ends all reads.
func (l *dhcpLink) wake() {
	for _, p := range l.ports {
		p.conn.SetReadDeadline(time.Now())
	}
	for _, f := range []*os.File{l.replies, l.arp, l.routers} {
		f.SetReadDeadline(time.Now())
	}
}

func (l *dhcpLink) close() {
	for _, p := range l.ports {
		p.conn.Close()
	}
	for _, f := range []*os.File{l.raw, l.replies, l.arp, l.routers} {
		if f != nil {
			f.Close()
		}
	}
}

// sender is the address that an answer comes from: the server identifier in it,
// which the core puts behind the type.
func (l *dhcpLink) sender(packet []byte) netip.Addr {
	const at = headerLen + 3
	if packet[at] == optServerID && packet[at+1] == 4 {
		return addr4(packet[at+2:])
	}
	return l.link.Load().Addrs[0].Addr()
}

// How often other servers are asked for, and told of.
const (
	askFirst    = 3 * time.Second
	askAgain    = 10 * time.Minute
	tellAgain   = time.Hour
	maxForeign  = 64
	frameLength = 2048
)

// askServers sends a DISCOVER now and then, for most servers answer clients by
// unicast, which nobody else hears. A proxy expects another server.
func (s *DHCPServer) askServers(ctx context.Context, l *dhcpLink) error {
	if s.proxy || len(l.hw) != 6 {
		return nil
	}
	none := netip.AddrPortFrom(netip.IPv4Unspecified(), dhcpClientPort)
	all := netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), dhcpServerPort)
	for wait := askFirst; ; wait = askAgain {
		frame := udpFrame(l.hw, etherBroadcast(), none, all, probeDiscover(l.hw, rand.Uint32()))
		if _, err := l.raw.Write(frame); err != nil {
			s.counters.Lost.Add(1)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// hearServers looks for replies of other servers.
func (s *DHCPServer) hearServers(l *dhcpLink) error {
	buf := make([]byte, frameLength)
	for {
		n, err := l.replies.Read(buf)
		if errors.Is(err, unix.ENETDOWN) {
			continue // said once, when the link goes down; it may come back
		}
		if err != nil {
			return err
		}
		if id, ok := otherServer(buf[:n]); ok {
			s.foreign(l, id)
		}
	}
}

// foreign tells of another server, now and then.
func (s *DHCPServer) foreign(l *dhcpLink, id netip.Addr) {
	for _, mine := range s.links {
		for _, p := range mine.link.Load().Addrs {
			if p.Addr() == id {
				return
			}
		}
	}
	now := time.Now()
	s.mu.Lock()
	last, known := s.others[id]
	tell := !s.proxy && (known && now.Sub(last) >= tellAgain || !known && len(s.others) < maxForeign)
	if tell {
		s.others[id] = now
	}
	s.mu.Unlock()
	if tell {
		s.notify(Event{Kind: EventOtherServer, Link: l.name, Addr: id})
	}
}
