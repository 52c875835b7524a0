package netboot

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// TestNoAddressTwice lets clients of all kinds do anything in any order, with
// restarts, and keeps a book of its own on who holds what by its ACK.
func TestNoAddressTwice(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		b := newBench(t, func(c *DHCPConfig) {
			c.Subnets[0].Pools = []Range{{netip.MustParseAddr("10.9.0.10"), netip.MustParseAddr("10.9.0.25")}}
			c.Subnets[0].Lease = 10 * time.Minute
			c.Book = testBook{"52:54:00:00:00:01": {Address: netip.MustParseAddr("10.9.0.50")}, "52:54:00:00:00:02": {Address: netip.MustParseAddr("10.9.0.12")}}
			c.DeclineHold, c.RapidCommit, c.Authoritative = 5*time.Minute, seed%2 == 0, seed%3 == 0
			c.Limit.PerClient = 1 << 30
		})
		type hold struct {
			client  int
			expires time.Time
		}
		held := map[netip.Addr]hold{}
		has := map[int]netip.Addr{}
		for step := range 3000 {
			client := 1 + rng.IntN(24)
			a := netip.AddrFrom4([4]byte{10, 9, 0, byte(9 + rng.IntN(18))})
			if own, ok := has[client]; ok && rng.IntN(3) > 0 {
				a = own
			}
			line := [...]string{
				"discover %02x", "discover %02x ip=%[2]s", "discover %02x rapid", "request %02x ip=%[2]s server=10.9.0.1", "request %02x ip=%[2]s server=10.9.0.2",
				"request %02x ip=%[2]s", "request %02x ci=%[2]s unicast", "request %02x ci=%[2]s", "release %02x ci=%[2]s", "decline %02x ip=%[2]s server=10.9.0.1",
			}[rng.IntN(10)]
			ask := fmt.Sprintf(line+"%.0[2]s", client, a)
			answer := b.answer(ask)
			d := b.read(answer)
			switch {
			case d == nil:
			case d.MessageType() == dhcpv4.MessageTypeOffer:
				has[client], _ = netip.AddrFromSlice(d.YourIPAddr.To4())
			case d.MessageType() == dhcpv4.MessageTypeAck:
				got, _ := netip.AddrFromSlice(d.YourIPAddr.To4())
				if h, ok := held[got]; ok && h.client != client && b.now.Before(h.expires) {
					t.Fatalf("seed %d, step %d: %s: %s is client %02x's until %s, now %s", seed, step, ask, got, h.client, h.expires, b.now)
				}
				held[got], has[client] = hold{client, b.now.Add(d.IPAddressLeaseTime(0))}, got
			}
			// Released and declined addresses, and those that their client has
			// changed for another, are held no more.
			for _, l := range answer.Leases {
				if l.State != LeaseActive {
					delete(held, l.Addr)
				}
			}
			switch rng.IntN(60) {
			case 0:
				b.now = b.now.Add(time.Duration(rng.IntN(700)) * time.Second)
			case 1:
				core, err := NewResponder(b.core.config, b.store)
				if err != nil {
					t.Fatal(err)
				}
				b.core = core
			case 2:
				if err := b.core.Configure(b.core.config); err != nil {
					t.Fatal(err)
				}
			}
			if step%16 == 0 {
				b.check()
			}
			if t.Failed() {
				t.Fatalf("seed %d, step %d: %s", seed, step, ask)
			}
		}
	}
}

// TestSharedStore has two servers with one store, neither of which hears of the
// other's leases: the second to give an address is told, and gives another.
func TestSharedStore(t *testing.T) {
	a, b := newBench(t, nil), newBench(t, nil)
	b.store = a.store
	a.answer("request 01 ip=10.9.0.10")
	packet, from := b.ask("request 02 ip=10.9.0.10")
	second, err := b.core.Reply(b.now, packet, from)
	if err != nil || len(second.Leases) != 1 {
		t.Fatalf("%+v, %v", second, err)
	}
	refused, err := b.store.Commit(Batch{Leases: second.Leases})
	if err != nil || len(refused) != 1 || refused[0] != second.Leases[0].Addr {
		t.Fatalf("refused %v, %v", refused, err)
	}
	b.core.Refused(b.now, refused[0])
	b.check()
	if got := b.brief(b.answer("request 02 ip=10.9.0.10 server=10.9.0.1")); got != "nak to all" {
		t.Errorf("asked again: %s", got)
	}
	if got := b.brief(b.answer("discover 02")); got != "offer 10.9.0.11 to hw" {
		t.Errorf("discover: %s", got)
	}
	// A client of the first rebinds: the second cannot know.
	if got := b.brief(b.answer("request 01 ci=10.9.0.10")); got != "silence" {
		t.Errorf("renewal: %s", got)
	}
}

// TestLargePool empties a pool of 65,534 addresses: each goes once, and each
// is found when it is free again.
func TestLargePool(t *testing.T) {
	b := newBench(t, func(c *DHCPConfig) {
		c.Subnets[0].Prefix = netip.MustParsePrefix("10.8.0.0/15")
		c.Subnets[0].Pools = []Range{{netip.MustParseAddr("10.8.0.0"), netip.MustParseAddr("10.8.255.255")}}
	})
	packet, from := b.ask("discover 01 rapid")
	b.core.config.RapidCommit = true
	given := map[netip.Addr]bool{}
	ask := func(i int) netip.Addr {
		packet[offsetHW+3], packet[offsetHW+4], packet[offsetHW+5] = byte(i>>16), byte(i>>8), byte(i)
		a, err := b.core.Reply(b.now, packet, from)
		if err != nil || len(a.Leases) != 1 {
			return netip.Addr{}
		}
		return a.Leases[0].Addr
	}
	for i := range 65535 { // 10.8.0.0 is the network's
		a := ask(i)
		if !a.IsValid() || given[a] {
			t.Fatalf("client %d: %s", i, a)
		}
		given[a] = true
	}
	if a := ask(1 << 17); a.IsValid() {
		t.Errorf("one too many: %s", a)
	}
	b.now = b.now.Add(time.Hour)
	for i := range 65535 {
		if a := ask(1<<17 + i); !given[a] {
			t.Fatalf("second round, client %d: %s", i, a)
		} else {
			delete(given, a)
		}
	}
	b.check()
}

// FuzzReply gives the core any packets, with a clock that goes on, and looks
// whether answers are well-formed and the table is of one mind.
func FuzzReply(f *testing.F) {
	b := newBench(&testing.T{}, nil)
	for _, test := range exchanges() {
		for _, line := range splitPlay(test.play) {
			packet, from := b.ask(line)
			f.Add(packet, from.Port == pxePort, from.To.IsValid(), len(packet)%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, pxe, unicast, proxy bool) {
		b := newBench(t, func(c *DHCPConfig) {
			c.RapidCommit, c.Probe, c.Book = true, true, testBook{"52:54:00:00:00:01": {Hostname: "node1", Address: netip.MustParseAddr("10.9.0.50")}}
			if proxy {
				proxied(c)
			}
		})
		from := Source{Link: &b.link, From: netip.MustParseAddrPort("10.9.0.77:68"), Port: dhcpServerPort}
		if pxe {
			from.Port = pxePort
		}
		if unicast {
			from.To = testServer
		}
		copied := string(packet)
		for range 3 {
			a, err := b.core.Reply(b.now, packet, from)
			if string(packet) != copied {
				t.Fatal("the request has changed")
			}
			if err != nil && (a.Packet != nil || len(a.Leases) > 0) {
				t.Fatalf("an answer with the error %v", err)
			}
			if a.Packet != nil {
				if _, err := dhcpv4.FromBytes(a.Packet); err != nil || len(a.Packet) > maxMessage || len(a.Packet) < minMessage {
					t.Fatalf("answer of %d bytes: %v\n%x", len(a.Packet), err, a.Packet)
				}
				if !a.To.Addr.IsValid() {
					t.Fatal("an answer to nobody")
				}
			}
			if err := b.core.table.check(); err != nil {
				t.Fatal(err)
			}
			if a.Probe.IsValid() {
				b.core.Conflict(b.now, a.Probe)
			}
			b.now = b.now.Add(31 * time.Second)
		}
	})
}

// BenchmarkFourMessages is the core alone, for clients without end.
func BenchmarkFourMessages(b *testing.B) {
	l := newBench(&testing.T{}, func(c *DHCPConfig) {
		c.Subnets[0].Prefix = netip.MustParsePrefix("10.8.0.0/15")
		c.Subnets[0].Pools = []Range{{netip.MustParseAddr("10.8.0.0"), netip.MustParseAddr("10.8.255.255")}}
		c.Limit.PerClient = 1 << 30
	})
	discover, from := l.ask("discover 01 want=1,3,6,15")
	request, _ := l.ask("request 01 want=1,3,6,15 server=10.9.0.1 ip=10.8.0.0")
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		for _, p := range [][]byte{discover, request} {
			p[offsetHW+4], p[offsetHW+5] = byte(i%50000>>8), byte(i%50000)
		}
		a, err := l.core.Reply(l.now, discover, from)
		if err != nil || a.Packet == nil {
			b.Fatalf("%d: %+v %v", i, a, err)
		}
		at := requestedAt(request)
		copy(request[at:at+4], a.Packet[offsetYour:])
		if a, err = l.core.Reply(l.now, request, from); err != nil || len(a.Leases) != 1 {
			b.Fatalf("%d: %+v %v", i, a, err)
		}
	}
}

// requestedAt finds the data of option 50.
func requestedAt(packet []byte) int {
	for i := headerLen; ; i += 2 + int(packet[i+1]) {
		if packet[i] == optRequested {
			return i + 2
		}
	}
}

// splitPlay returns a play's requests.
func splitPlay(play string) []string {
	var all []string
	for line := range strings.Lines(play) {
		if ask, _, ok := strings.Cut(strings.TrimSpace(line), " -> "); ok {
			all = append(all, ask)
		}
	}
	return all
}
