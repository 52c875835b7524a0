package netboot

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// DHCPServer answers DHCP on links: a [Responder] with sockets, a clock and a
// [Journal].
type DHCPServer struct {
	journal  *Journal
	machines *Machines
	notify   func(Event)
	links    []*dhcpLink
	counters Counters

	mu     sync.Mutex // over core
	core   *Responder
	proxy  bool
	others map[netip.Addr]time.Time // servers that were told of, and when
}

// DHCPOptions are what a DHCPServer is made of.
type DHCPOptions struct {
	Config     DHCPConfig
	Interfaces []string // their names; at least one
	Store      Store
	Journal    *Journal    // writes to the store
	Machines   *Machines   // gets to know who asks
	Notify     func(Event) // must not add to Journal, which calls it and would wait for itself
}

// Counters are what a server has done since its start.
type Counters struct {
	Received  atomic.Uint64 // packets
	Malformed atomic.Uint64 // of them, no requests
	Sent      atomic.Uint64
	Lost      atomic.Uint64 // answers that the kernel did not take
}

// Counters returns the running figures.
func (s *DHCPServer) Counters() *Counters { return &s.counters }

// ListenDHCP opens all that needs privileges. Serve does the rest without any.
func ListenDHCP(o DHCPOptions) (*DHCPServer, error) {
	if len(o.Interfaces) == 0 {
		return nil, errors.New("dhcp: no interface to answer on")
	}
	core, err := NewResponder(o.Config, o.Store)
	if err != nil {
		return nil, err
	}
	s := &DHCPServer{
		journal: o.Journal, machines: o.Machines, notify: o.Notify, core: core, proxy: o.Config.Proxy,
		others: map[netip.Addr]time.Time{},
	}
	if s.notify == nil {
		s.notify = func(Event) {}
	}
	for _, name := range o.Interfaces {
		l, err := s.openLink(name)
		if err != nil {
			s.close()
			return nil, err
		}
		s.links = append(s.links, l)
	}
	return s, nil
}

// Configure takes a new configuration, and the addresses that the links have by
// now. Which links these are, and whether the server is a proxy, stays as it is
// until the next start.
func (s *DHCPServer) Configure(c DHCPConfig, links []*Link) error {
	if c.Proxy != s.proxy {
		return errors.New("dhcp: between proxy and server only a restart changes")
	}
	if err := s.sameLinks(links); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.core.Configure(c); err != nil {
		return err
	}
	for i, l := range s.links {
		l.link.Store(links[i])
	}
	return nil
}

// sameLinks tells whether links are those of the sockets.
func (s *DHCPServer) sameLinks(links []*Link) error {
	if len(links) != len(s.links) {
		return errors.New("dhcp: other interfaces: only a restart changes that")
	}
	for i, l := range s.links {
		switch have := l.link.Load(); {
		case links[i].Name != have.Name:
			return fmt.Errorf("dhcp: interface %s in the place of %s: only a restart changes that", links[i].Name, have.Name)
		case links[i].Index != have.Index:
			return fmt.Errorf("dhcp: interface %s is a new one of that name: only a restart changes that", have.Name)
		}
	}
	return nil
}

// Links are the links, with the addresses that they had last.
func (s *DHCPServer) Links() []*Link {
	var links []*Link
	for _, l := range s.links {
		links = append(links, l.link.Load())
	}
	return links
}

// Serve answers until the context ends, or a socket fails. When it returns,
// every request that it has read is answered and every lease stored.
func (s *DHCPServer) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var readers sync.WaitGroup
	run := func(f func() error) {
		readers.Go(func() {
			if err := f(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, os.ErrClosed) {
				cancel(err)
			}
		})
	}
	for _, l := range s.links {
		for _, p := range l.ports {
			run(func() error { return s.answer(l, p) })
		}
		run(func() error { return s.hearServers(l) })
		run(func() error { return l.prober.hear(l.arp) })
		run(func() error { return s.hearSeekers(l) })
		run(func() error { return s.askServers(ctx, l) })
	}
	<-ctx.Done()
	for _, l := range s.links {
		l.wake()
	}
	readers.Wait()
	for _, l := range s.links {
		l.prober.stop()
	}
	s.drain()
	s.close()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("dhcp: %w", err)
	}
	return nil
}

// drain waits until the journal has done all that it was given.
func (s *DHCPServer) drain() {
	done := make(chan struct{})
	if s.journal.Add(Batch{}, func([]netip.Addr, error) { close(done) }) {
		<-done
	}
}

func (s *DHCPServer) close() {
	for _, l := range s.links {
		l.close()
	}
}

// answer takes requests from a port.
func (s *DHCPServer) answer(l *dhcpLink, p *dhcpPort) error {
	in, err := newReader(p.conn)
	if err != nil {
		return err
	}
	for {
		n, err := in.read()
		if err != nil {
			return err
		}
		s.counters.Received.Add(uint64(n))
		b := newDelivery(s, l, p)
		now := time.Now()
		s.mu.Lock()
		link := l.link.Load()
		for i := range n {
			packet, from, to := in.packet(i)
			b.reply(now, packet, Source{Link: link, From: from, To: to, Port: p.port})
		}
		s.mu.Unlock()
		b.send()
	}
}

// delivery is the answers to one batch of requests.
type delivery struct {
	s      *DHCPServer
	l      *dhcpLink
	p      *dhcpPort
	now    []Answer // may go at once
	stored []Answer // when their leases are on the disk
	batch  Batch
	probes []probe
}

func newDelivery(s *DHCPServer, l *dhcpLink, p *dhcpPort) *delivery {
	return &delivery{s: s, l: l, p: p}
}

// reply asks the core, whose lock is held.
func (d *delivery) reply(now time.Time, packet []byte, from Source) {
	a, err := d.s.core.Reply(now, packet, from)
	switch {
	case err != nil:
		d.s.counters.Malformed.Add(1)
	case a.Probe.IsValid() && d.l.prober.room():
		d.probes = append(d.probes, probe{answer: a, request: append([]byte(nil), packet...), from: from, port: d.p})
	case len(a.Leases) > 0:
		d.stored = append(d.stored, a)
		d.batch.Leases = append(d.batch.Leases, a.Leases...)
		for _, e := range a.Events {
			if e.Kind == EventLeased {
				n := d.s.machines.Leased(now, *e.Client, a.Leases[len(a.Leases)-1].Hostname, e.Addr)
				d.batch.Nodes = append(d.batch.Nodes, n.Nodes...)
			}
		}
	case a.Packet != nil || len(a.Events) > 0:
		d.now = append(d.now, a)
	}
	for _, e := range a.Events {
		if e.Kind == EventSeen {
			d.s.machines.Seen(now, *e.Client)
			d.l.seekers.seen(now, *e.Client)
		}
	}
}

// send sends what may go, has the leases written, and begins the probes.
func (d *delivery) send() {
	d.s.transmit(d.l, d.p, d.now)
	for _, p := range d.probes {
		d.l.prober.start(p)
	}
	if d.batch.Empty() {
		return
	}
	s := d.s
	s.journal.Add(d.batch, func(refused []netip.Addr, err error) {
		if err != nil {
			s.notify(Event{Kind: EventStore, Link: d.l.name, Text: err.Error()})
			return // the clients ask again
		}
		if len(refused) > 0 {
			d.stored = s.withoutRefused(d.stored, refused)
		}
		s.transmit(d.l, d.p, d.stored)
	})
}

// withoutRefused drops the answers whose leases the store did not take.
func (s *DHCPServer) withoutRefused(answers []Answer, refused []netip.Addr) []Answer {
	gone := map[netip.Addr]bool{}
	s.mu.Lock()
	for _, a := range refused {
		gone[a] = true
		s.core.Refused(time.Now(), a)
	}
	s.mu.Unlock()
	var kept []Answer
	for _, a := range answers {
		lost := false
		for _, l := range a.Leases {
			if gone[l.Addr] {
				lost = true
				s.notify(Event{Kind: EventConflict, Addr: l.Addr, Text: "another server of the store has leased it"})
			}
		}
		if !lost {
			kept = append(kept, a)
		}
	}
	return kept
}

// transmit sends answers and tells their events.
func (s *DHCPServer) transmit(l *dhcpLink, p *dhcpPort, answers []Answer) {
	if len(answers) == 0 {
		return
	}
	sent := uint64(0)
	l.mu.Lock()
	for _, a := range answers {
		if a.Packet == nil {
			continue
		}
		sent++
		if a.To.HW == nil {
			p.out.add(a.Packet, a.To.Addr)
			continue
		}
		from := netip.AddrPortFrom(l.sender(a.Packet), p.port)
		l.frames.add(udpFrame(l.hw, a.To.HW, from, a.To.Addr, a.Packet), netip.AddrPort{})
	}
	p.out.flush()
	l.frames.flush()
	l.mu.Unlock()
	s.counters.Sent.Add(sent)
	for _, a := range answers {
		for _, e := range a.Events {
			if e.Kind == EventOtherServer {
				s.foreign(l, e.Addr)
				continue
			}
			s.notify(e)
		}
	}
}
