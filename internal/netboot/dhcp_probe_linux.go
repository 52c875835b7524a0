package netboot

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How an address is looked for before its first offer: by ARP on the link,
// where a machine that is up answers within a few milliseconds. Clients of a
// relay look for themselves (RFC 2131, section 4.4.1), for ARP does not go so
// far, and an echo request is answered by few hosts today.
const (
	probeWait  = 200 * time.Millisecond
	maxProbes  = 512 // at a time: beyond that offers go without
	probeTries = 8   // addresses that turn out to be taken, for one request
)

// probe is an offer that waits.
type probe struct {
	answer  Answer
	request []byte
	from    Source
	port    *dhcpPort
	tries   int
	timer   *time.Timer
}

// prober asks whether somebody has the addresses that are about to be offered.
type prober struct {
	s *DHCPServer
	l *dhcpLink

	mu      sync.Mutex
	waiting map[netip.Addr]*probe
	stopped bool
}

func newProber(s *DHCPServer, l *dhcpLink) *prober {
	return &prober{s: s, l: l, waiting: map[netip.Addr]*probe{}}
}

// room tells whether another offer may wait.
func (p *prober) room() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) < maxProbes
}

// start asks, and sends the offer when nobody has answered for a while.
func (p *prober) start(q probe) {
	a := q.answer.Probe
	if len(p.l.hw) != 6 || q.answer.To.HW == nil {
		p.s.transmit(p.l, q.port, []Answer{q.answer})
		return
	}
	p.mu.Lock()
	if p.stopped || p.waiting[a] != nil {
		p.mu.Unlock()
		return
	}
	p.waiting[a] = &q
	q.timer = time.AfterFunc(probeWait, func() {
		if q, ok := p.take(a); ok {
			p.s.transmit(p.l, q.port, []Answer{q.answer})
		}
	})
	p.mu.Unlock()
	if _, err := p.l.raw.Write(arpRequest(p.l.hw, p.l.sender(q.answer.Packet), a)); err != nil {
		p.s.counters.Lost.Add(1)
	}
}

// take ends the wait for an address; only one caller gets it.
func (p *prober) take(a netip.Addr) (*probe, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q, ok := p.waiting[a]
	delete(p.waiting, a)
	return q, ok
}

// hear reads the answers.
func (p *prober) hear(arp *os.File) error {
	buf := make([]byte, frameLength)
	for {
		n, err := arp.Read(buf)
		if errors.Is(err, unix.ENETDOWN) {
			continue // said once, when the link goes down
		}
		if err != nil {
			return err
		}
		a, hw, ok := arpSender(buf[:n])
		if !ok {
			continue
		}
		p.mu.Lock()
		q := p.waiting[a]
		p.mu.Unlock()
		// The client itself may still have the address.
		if q == nil || bytes.Equal(hw, q.request[offsetHW:offsetHW+6]) {
			continue
		}
		if q, ok := p.take(a); ok {
			q.timer.Stop()
			p.conflict(q, hw.String())
		}
	}
}

// conflict sets the address aside and answers the request once more.
func (p *prober) conflict(q *probe, hw string) {
	a, now := q.answer.Probe, time.Now()
	p.s.notify(Event{Kind: EventConflict, Link: p.l.name, Addr: a, Text: "in use by " + hw})
	d := newDelivery(p.s, p.l, q.port)
	p.s.mu.Lock()
	d.batch.Leases = p.s.core.Conflict(now, a)
	if q.tries+1 < probeTries {
		d.reply(now, q.request, q.from)
		for i := range d.probes {
			d.probes[i].tries = q.tries + 1
		}
	}
	p.s.mu.Unlock()
	d.send()
}

// stop forgets what waits: the clients ask again.
func (p *prober) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for a, q := range p.waiting {
		q.timer.Stop()
		delete(p.waiting, a)
	}
}
