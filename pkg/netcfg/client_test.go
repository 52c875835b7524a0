package netcfg

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// bench drives a client with a clock of its own.
type bench struct {
	*testing.T
	c   *client
	now time.Time
}

func newBench(t *testing.T) *bench {
	n := uint32(0)
	return &bench{t, &client{
		hw: MAC{0x52, 0x54, 0, 0, 0, 1}, id: []byte{1, 0x52, 0x54, 0, 0, 0, 1}, class: "rambox", hostname: "node7",
		// Jitter in the middle, ids that differ.
		random: func() uint32 { n++; return 1<<31 + n },
	}, time.Unix(1000, 0)}
}

// sent checks that a step sends one message of a type, and returns it.
func (b *bench) sent(s step, want MessageType) packet {
	b.Helper()
	if len(s.send) != 1 || s.send[0].Type() != want {
		b.Fatalf("the step sends %+v, want one message of type %d", s.send, want)
	}
	if s.send[0].XID != b.c.xid && want != Release {
		b.Errorf("transaction %x, want %x", s.send[0].XID, b.c.xid)
	}
	return s.send[0]
}

// fire moves the clock to the timer and ticks.
func (b *bench) fire() step {
	b.Helper()
	if b.c.due().IsZero() {
		b.Fatal("nothing is due")
	}
	b.now = b.c.due()
	return b.c.tick(b.now)
}

// reply is a server's answer to the client's transaction.
func (b *bench) reply(kind MessageType, lease uint32) Message {
	m := ack(map[byte]string{optMask: mask24, optLeaseTime: seconds(lease)})
	m.XID, m.Options[optType] = b.c.xid, []byte{byte(kind)}
	return m
}

func (b *bench) receive(m Message) step { return b.c.receive(b.now, m) }

// bind takes the client to BOUND.
func (b *bench) bind(lease uint32) {
	b.Helper()
	b.sent(b.c.up(b.now), Discover)
	b.sent(b.receive(b.reply(Offer, lease)), Request)
	if s := b.receive(b.reply(Ack, lease)); s.lease == nil || b.c.state != stateBound {
		b.Fatalf("no lease after an ACK: %+v", s)
	}
}

func TestClientHandshake(t *testing.T) {
	b := newBench(t)
	d := b.sent(b.c.up(b.now), Discover)
	if d.to.IsValid() || d.Broadcast || string(d.Options[optParameters]) != parameters || string(d.Options[optHostname]) != "node7" ||
		string(d.Options[optClass]) != "rambox" || d.Options[optRapidCommit] == nil {
		t.Errorf("DISCOVER %+v", d)
	}
	xid := b.c.xid
	// 1, 2, 4 … 32 s, the same transaction, by broadcast from the third on.
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 32} {
		before := b.now
		p := b.sent(b.fire(), Discover)
		if got := b.now.Sub(before); got < want*time.Second*3/4 || got > want*time.Second*5/4 {
			t.Errorf("try %d after %s, want %d s, a quarter more or less", i+2, got, want)
		}
		if p.XID != xid || p.Broadcast != (i >= 1) {
			t.Errorf("try %d: transaction %x, broadcast %t", i+2, p.XID, p.Broadcast)
		}
	}
	r := b.sent(b.receive(b.reply(Offer, 3600)), Request)
	if r.XID != xid || string(r.Options[optRequested]) != "\x0a\x00\x02\x0f" || string(r.Options[optServerID]) != gateway || r.Client.IsValid() {
		t.Errorf("REQUEST %+v", r)
	}
	s := b.receive(b.reply(Ack, 3600))
	if s.lease == nil || s.lease.Addr != prefix("10.0.2.15/24") || len(s.send) != 0 {
		t.Fatalf("after ACK: %+v", s)
	}
	// T1, less half of a sixteenth.
	if got, want := b.c.due().Sub(b.now), 30*time.Minute*31/32; got.Round(time.Second) != want.Round(time.Second) {
		t.Errorf("renewal due in %s, want %s", got, want)
	}
}

func TestClientIgnores(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Message)
	}{
		{"another transaction", func(m *Message) { m.XID++ }},
		{"another machine", func(m *Message) { m.HW[5]++ }},
		{"a request", func(m *Message) { m.Reply = false }},
		{"an offer without server", func(m *Message) { delete(m.Options, optServerID) }},
		{"an offer of no address", func(m *Message) { m.Your = netip.Addr{} }},
		{"an offer of a broadcast address", func(m *Message) { m.Your = addr("255.255.255.255") }},
		{"an ACK without rapid commit", func(m *Message) { m.Options[optType] = []byte{byte(Ack)} }},
		{"a NAK", func(m *Message) { m.Options[optType] = []byte{byte(Nak)} }},
		{"no type", func(m *Message) { delete(m.Options, optType) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.c.up(b.now)
			m := b.reply(Offer, 60)
			test.change(&m)
			if s := b.receive(m); len(s.send) != 0 || s.lease != nil || s.lost || b.c.state != stateSelecting {
				t.Errorf("step %+v, state %d", s, b.c.state)
			}
		})
	}
}

func TestClientRapidCommit(t *testing.T) {
	b := newBench(t)
	b.c.up(b.now)
	m := b.reply(Ack, 60)
	m.Options[optRapidCommit] = []byte{}
	if s := b.receive(m); s.lease == nil || b.c.state != stateBound {
		t.Errorf("step %+v, state %d, want a lease", s, b.c.state)
	}
}

// TestClientOtherServer hears, after an offer was taken, the ACK and the NAK of
// another server.
func TestClientOtherServer(t *testing.T) {
	b := newBench(t)
	b.c.up(b.now)
	b.receive(b.reply(Offer, 60))
	for _, kind := range []MessageType{Ack, Nak} {
		m := b.reply(kind, 60)
		m.Options[optServerID] = []byte{10, 0, 2, 9}
		if s := b.receive(m); s.lease != nil || b.c.state != stateRequesting {
			t.Errorf("type %d of another server: %+v", kind, s)
		}
	}
}

// TestClientOfferIsGone asks for an offer in vain, and begins again.
func TestClientOfferIsGone(t *testing.T) {
	b := newBench(t)
	b.c.up(b.now)
	b.receive(b.reply(Offer, 60))
	for range maxTries - 1 {
		b.sent(b.fire(), Request)
	}
	b.sent(b.fire(), Discover)
}

func TestClientRenews(t *testing.T) {
	b := newBench(t)
	b.bind(3600)
	expiry := b.now.Add(time.Hour)
	for range 5 {
		p := b.sent(b.fire(), Request)
		if p.to != addr("10.0.2.2") || p.Client != addr("10.0.2.15") || p.Options[optServerID] != nil || p.Options[optRequested] != nil {
			t.Fatalf("renewal %+v", p)
		}
		if !b.now.Before(expiry) {
			t.Fatal("renewed after the end")
		}
		if s := b.receive(b.reply(Ack, 3600)); s.lease == nil {
			t.Fatalf("renewal brings no lease: %+v", s)
		}
		expiry = b.now.Add(time.Hour)
	}
}

// TestClientRebinds loses its server: unicast up to T2, broadcast up to the
// end, then a new beginning.
func TestClientRebinds(t *testing.T) {
	b := newBench(t)
	b.bind(3600)
	start := b.now
	unicast, broadcast := 0, 0
	for range 100 {
		s := b.fire()
		if s.lost {
			if got := b.now.Sub(start); got != time.Hour {
				t.Errorf("lost after %s, want 1h", got)
			}
			b.sent(s, Discover)
			if unicast < 4 || broadcast < 4 || unicast > 20 || broadcast > 20 {
				t.Errorf("%d unicast and %d broadcast tries", unicast, broadcast)
			}
			return
		}
		if len(s.send) == 0 {
			continue
		}
		p := b.sent(s, Request)
		at := b.now.Sub(start)
		if p.to.IsValid() {
			unicast++
			if at > 52*time.Minute+30*time.Second {
				t.Errorf("unicast after %s", at)
			}
		} else {
			broadcast++
			if at < 52*time.Minute+30*time.Second || p.Client != addr("10.0.2.15") {
				t.Errorf("broadcast after %s from %s", at, p.Client)
			}
		}
	}
	t.Error("the lease never ends")
}

func TestClientRebindsWithAnotherServer(t *testing.T) {
	b := newBench(t)
	b.bind(3600)
	for b.c.state != stateRebinding {
		b.fire()
	}
	m := b.reply(Ack, 60)
	m.Options[optServerID] = []byte{10, 0, 2, 9}
	if s := b.receive(m); s.lease == nil || s.lease.Server != addr("10.0.2.9") {
		t.Errorf("step %+v, want a lease of the other server", s)
	}
}

func TestClientNak(t *testing.T) {
	b := newBench(t)
	b.bind(3600)
	b.fire()
	m := b.reply(Nak, 0)
	m.Options[optText] = []byte("wrong network")
	s := b.receive(m)
	if !s.lost || !strings.Contains(s.note, "refused by 10.0.2.2: wrong network") {
		t.Errorf("step %+v, want the lease lost", s)
	}
	b.sent(s, Discover)
	// A server that refuses what it offers must not be asked in a tight loop.
	var waits []time.Duration
	for range 5 {
		if b.c.state == stateBackoff {
			before := b.now
			b.sent(b.fire(), Discover)
			waits = append(waits, b.now.Sub(before).Round(time.Second))
		}
		b.receive(b.reply(Offer, 60))
		if s := b.receive(b.reply(Nak, 0)); s.lost {
			t.Error("lost without a lease")
		}
	}
	if len(waits) != 4 || waits[3] < 7*time.Second {
		t.Errorf("waits after NAKs: %v", waits)
	}
}

// TestClientLinkFlaps keeps the lease over a short loss of carrier, and asks
// whether it is still good.
func TestClientLinkFlaps(t *testing.T) {
	b := newBench(t)
	b.bind(3600)
	b.c.down()
	if got := b.c.due().Sub(b.now); got != time.Hour {
		t.Errorf("without carrier the timer is in %s, want the end of the lease", got)
	}
	b.now = b.now.Add(time.Minute)
	p := b.sent(b.c.up(b.now), Request)
	if p.Client.IsValid() || string(p.Options[optRequested]) != "\x0a\x00\x02\x0f" || p.Options[optServerID] != nil {
		t.Errorf("INIT-REBOOT %+v", p)
	}
	if s := b.receive(b.reply(Ack, 3600)); s.lease == nil {
		t.Errorf("no lease: %+v", s)
	}

	b.c.down()
	b.c.up(b.now)
	for b.c.state == stateRebooting {
		if s := b.fire(); s.lost {
			t.Fatal("the lease is lost while it runs")
		}
	}
	if b.c.state != stateBound || b.c.due().Sub(b.now) > 30*time.Minute {
		t.Errorf("state %d, due in %s", b.c.state, b.c.due().Sub(b.now))
	}

	b.c.down()
	if s := b.fire(); !s.lost || len(s.send) != 0 || !b.c.due().IsZero() {
		t.Errorf("the end without carrier: %+v, due %s", s, b.c.due())
	}
	b.sent(b.c.up(b.now), Discover)
}

func TestClientRelease(t *testing.T) {
	b := newBench(t)
	b.bind(3600)
	s := b.c.release()
	p := b.sent(s, Release)
	if !s.lost || p.to != addr("10.0.2.2") || p.Client != addr("10.0.2.15") || string(p.Options[optServerID]) != gateway {
		t.Errorf("release %+v", s)
	}
	if !b.c.due().IsZero() || len(b.c.release().send) != 0 {
		t.Error("something is left to do after a release")
	}
	// An offer that was asked for may have become a lease.
	b.c.up(b.now)
	b.receive(b.reply(Offer, 60))
	if s := b.c.release(); s.lost || b.sent(s, Release).to.IsValid() {
		t.Errorf("release of an offer: %+v", s)
	}
}

func TestClientForever(t *testing.T) {
	b := newBench(t)
	b.bind(1<<32 - 1)
	if !b.c.due().IsZero() {
		t.Errorf("due %s, want never", b.c.due())
	}
	b.sent(b.c.renew(b.now), Request)
	for range maxTries {
		b.fire()
	}
	if b.c.state != stateBound || !b.c.due().IsZero() {
		t.Errorf("state %d after renewals in vain, want bound", b.c.state)
	}
}

// FuzzClient gives a client any sequence of events: it must neither fail nor
// stop to be due while it has a carrier and no lease.
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 2, 3, 6, 3})
	f.Add([]byte{0, 2, 3, 1, 0, 4, 6, 6, 6, 5, 7})
	f.Fuzz(func(t *testing.T, events []byte) {
		b := newBench(t)
		b.c.up(b.now)
		for _, e := range events {
			switch kind := e & 7; kind {
			case 0:
				b.c.up(b.now)
			case 1:
				b.c.down()
			case 2, 3, 4:
				types := [...]MessageType{Offer, Ack, Nak}
				b.receive(b.reply(types[kind-2], uint32(e>>3)*10))
			case 5:
				b.c.renew(b.now)
			case 6:
				if !b.c.due().IsZero() {
					before := b.c.due()
					b.fire()
					b.c.tick(b.now)
					b.c.tick(b.now)
					if b.c.due().Equal(before) {
						t.Fatalf("due again at once, in state %d", b.c.state)
					}
				}
			case 7:
				b.c.release()
				b.c.up(b.now)
			}
			if b.c.carrier && !b.c.hasLease && b.c.due().IsZero() {
				t.Fatalf("nothing to do without a lease in state %d", b.c.state)
			}
			_ = b.c.String()
		}
	})
}
