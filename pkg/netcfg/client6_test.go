package netcfg

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// bench6 drives a client with a clock of its own.
type bench6 struct {
	*testing.T
	c   *client6
	now time.Time
}

func newBench6(t *testing.T) *bench6 {
	n := uint32(0)
	// No jitter, ids that differ.
	random := func() uint32 { n++; return 1<<31 + n }
	return &bench6{t, newClient6(MAC{0x52, 0x54, 0, 0, 0, 1}, random), time.Unix(1000, 0)}
}

// sent checks that a step sends a message of a kind, and returns it.
func (b *bench6) sent(s step6, want kind6) message6 {
	b.Helper()
	if s.send == nil || s.send.kind != want {
		b.Fatalf("the step is %+v, want a message of kind %d", s, want)
	}
	if s.send.xid != b.c.xid || s.send.xid > 0xffffff {
		b.Errorf("transaction %x, want %x", s.send.xid, b.c.xid)
	}
	server, has := s.send.options.get(opt6ServerID)
	if wants := want == kind6Request || want == kind6Renew || want == kind6Release || want == kind6Decline; has != wants ||
		has && string(server) != server6 {
		b.Errorf("message %d has server id %x", want, server)
	}
	return *s.send
}

// fire moves the clock to the timer and ticks.
func (b *bench6) fire() step6 {
	b.Helper()
	if b.c.due().IsZero() {
		b.Fatal("nothing is due")
	}
	b.now = b.c.due()
	return b.c.tick(b.now)
}

// receive brings a server's answer to the client's transaction.
func (b *bench6) receive(kind dhcpv6.MessageType, options ...dhcpv6.Option) step6 {
	b.Helper()
	return b.c.receive(b.now, reply6(b.T, kind, b.c.xid, options...))
}

const (
	advertise = dhcpv6.MessageTypeAdvertise
	answer    = dhcpv6.MessageTypeReply
)

// hour is an IA_NA with an address for an hour, to be renewed after half of it.
func hour(a string) dhcpv6.Option {
	ia := iana6(30*time.Minute, 48*time.Minute)
	ia.Options.Add(iaaddr6(a, time.Hour, time.Hour))
	return ia
}

func status(code iana.StatusCode) dhcpv6.Option {
	return &dhcpv6.OptStatusCode{StatusCode: code, StatusMessage: "so it is"}
}

// refusal is an IA_NA with a status.
func refusal(code iana.StatusCode) dhcpv6.Option {
	ia := iana6(0, 0)
	ia.Options.Add(status(code))
	return ia
}

// bind takes the client to its lease.
func (b *bench6) bind() {
	b.Helper()
	b.c.aim(goal6Address, b.now)
	b.sent(b.c.up(b.now), kind6Solicit)
	b.sent(b.receive(advertise, hour("fd00:1::10")), kind6Request)
	if s := b.receive(answer, hour("fd00:1::10")); s.lease == nil || b.c.state != state6Bound {
		b.Fatalf("no lease after a REPLY: %+v", s)
	}
	b.c.keep()
}

// asks returns the address that a message is about.
func asks(m message6) string {
	ia, _ := m.ia(1)
	if len(ia.addrs) != 1 {
		return ""
	}
	return ia.addrs[0].addr.String()
}

func TestClient6Handshake(t *testing.T) {
	b := newBench6(t)
	if s := b.c.up(b.now); s.send != nil || !b.c.due().IsZero() {
		t.Errorf("without a goal: %+v", s)
	}
	first := b.sent(b.c.aim(goal6Address, b.now), kind6Solicit)
	if v, _ := first.options.get(opt6Elapsed); !bytes.Equal(v, []byte{0, 0}) {
		t.Errorf("elapsed %x, want 0", v)
	}
	// 1, 2, 4 … 120 s, the same transaction.
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 120, 120} {
		before := b.now
		m := b.sent(b.fire(), kind6Solicit)
		if got := b.now.Sub(before); got.Round(time.Second) != want*time.Second {
			t.Errorf("try %d after %s, want %d s", b.c.tries, got, want)
		}
		v, _ := m.options.get(opt6Elapsed)
		elapsed := min(b.now.Sub(time.Unix(1000, 0))/(10*time.Millisecond), 65535)
		if m.xid != first.xid || binary.BigEndian.Uint16(v) != uint16(elapsed) {
			t.Errorf("try %d: transaction %x, elapsed %x", b.c.tries, m.xid, v)
		}
	}
	r := b.sent(b.receive(advertise, hour("fd00:1::10"), dhcpv6.OptDNS()), kind6Request)
	if r.xid == first.xid || asks(r) != "fd00:1::10" {
		t.Errorf("REQUEST %+v", r)
	}
	s := b.receive(answer, hour("fd00:1::10"))
	if s.lease == nil || s.lease.Addr != prefix("fd00:1::10/128") || s.send != nil {
		t.Fatalf("after REPLY: %+v", s)
	}
	if got := b.c.due().Sub(b.now); got != 30*time.Minute {
		t.Errorf("renewal due in %s, want 30m", got)
	}
}

// TestClient6Jitter holds the bounds of RFC 8415, section 15.
func TestClient6Jitter(t *testing.T) {
	for _, extreme := range []uint32{0, 1<<32 - 1} {
		c := newClient6(MAC{1}, func() uint32 { return extreme })
		now := time.Unix(1000, 0)
		c.up(now)
		c.aim(goal6Address, now)
		last := time.Second / 2
		for last < time.Minute {
			got := c.due().Sub(now)
			if got < last*18/10 || got > last*22/10 {
				t.Errorf("wait %s after one of %s", got, last)
			}
			last, now = got, c.due()
			c.tick(now)
		}
		for range 10 {
			now = c.due()
			c.tick(now)
			if got := c.due().Sub(now); got > solMaxRT*11/10 {
				t.Errorf("wait %s, want %s at most", got, solMaxRT)
			}
		}
	}
}

func TestClient6Ignores(t *testing.T) {
	tests := []struct {
		name   string
		kind   dhcpv6.MessageType
		change func(*message6)
	}{
		{"another transaction", advertise, func(m *message6) { m.xid++ }},
		{"another client", advertise, func(m *message6) { m.options[0].value[9]++ }},
		{"no client id", advertise, func(m *message6) { m.options = m.options[1:] }},
		{"no server id", advertise, func(m *message6) { m.options[1].code = 99 }},
		{"no address", advertise, func(m *message6) { m.options = m.options[:2] }},
		{"a reply without rapid commit", answer, func(*message6) {}},
		{"a request", advertise, func(m *message6) { m.kind = kind6Request }},
		{"a reconfiguration", advertise, func(m *message6) { m.kind = 10 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench6(t)
			b.c.up(b.now)
			b.c.aim(goal6Address, b.now)
			m := reply6(t, test.kind, b.c.xid, hour("fd00:1::10"))
			test.change(&m)
			if s := b.c.receive(b.now, m); s.send != nil || s.lease != nil || b.c.state != state6Soliciting {
				t.Errorf("step %+v, state %d", s, b.c.state)
			}
		})
	}
}

func TestClient6RapidCommit(t *testing.T) {
	b := newBench6(t)
	b.c.up(b.now)
	b.c.aim(goal6Address, b.now)
	if s := b.receive(answer, hour("fd00:1::10"), &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit}); s.lease == nil {
		t.Errorf("step %+v, want a lease", s)
	}
}

func TestClient6NoAddresses(t *testing.T) {
	b := newBench6(t)
	b.c.up(b.now)
	b.c.aim(goal6Address, b.now)
	if s := b.receive(advertise, refusal(iana.StatusNoAddrsAvail)); s.send != nil || b.c.String() != "the DHCPv6 server refuses: so it is" {
		t.Errorf("step %+v, %s", s, b.c)
	}
	// Another server has some.
	b.sent(b.receive(advertise, hour("fd00:1::10")), kind6Request)
	// It has given them away meanwhile: at once from the beginning, then later.
	s := b.receive(answer, refusal(iana.StatusNoAddrsAvail))
	b.sent(s, kind6Solicit)
	var waits []time.Duration
	for range 4 {
		b.sent(b.receive(advertise, hour("fd00:1::10")), kind6Request)
		if s := b.receive(answer, status(iana.StatusNotOnLink)); s.send != nil || s.lost {
			t.Errorf("refused again: %+v", s)
		}
		waits = append(waits, b.c.due().Sub(b.now).Round(time.Second))
		b.sent(b.fire(), kind6Solicit)
	}
	if waits[0] != time.Second || waits[3] != 8*time.Second {
		t.Errorf("waits %v", waits)
	}
}

// TestClient6OfferIsGone asks for what was advertised in vain, and begins again.
func TestClient6OfferIsGone(t *testing.T) {
	b := newBench6(t)
	b.c.up(b.now)
	b.c.aim(goal6Address, b.now)
	b.sent(b.receive(advertise, hour("fd00:1::10")), kind6Request)
	for range maxTries - 1 {
		b.sent(b.fire(), kind6Request)
	}
	b.sent(b.fire(), kind6Solicit)
}

func TestClient6Renews(t *testing.T) {
	b := newBench6(t)
	b.bind()
	for range 5 {
		if m := b.sent(b.fire(), kind6Renew); asks(m) != "fd00:1::10" {
			t.Fatalf("renewal %+v", m)
		}
		if s := b.receive(answer, hour("fd00:1::10")); s.lease == nil || s.lost {
			t.Fatalf("renewal brings no lease: %+v", s)
		}
	}
	b.sent(b.fire(), kind6Renew)
	if s := b.receive(answer, hour("fd00:1::99")); s.lease == nil || s.lease.Addr != prefix("fd00:1::99/128") {
		t.Errorf("another address: %+v", s)
	}
}

// TestClient6Rebinds loses its server: it is asked up to T2, all are up to the
// end, then a new beginning.
func TestClient6Rebinds(t *testing.T) {
	b := newBench6(t)
	b.bind()
	start := b.now
	renews, rebinds := 0, 0
	for range 100 {
		s := b.fire()
		at := b.now.Sub(start)
		if s.lost {
			if at != time.Hour {
				t.Errorf("lost after %s, want 1h", at)
			}
			if !strings.Contains(s.note, "fd00:1::10 has expired") {
				t.Errorf("note %q", s.note)
			}
			if m := b.sent(s, kind6Solicit); asks(m) != "fd00:1::10" {
				t.Errorf("SOLICIT asks for %q", asks(m))
			}
			if renews < 4 || rebinds < 4 || renews > 20 || rebinds > 20 {
				t.Errorf("%d renewals, %d rebindings", renews, rebinds)
			}
			return
		}
		if s.send.kind == kind6Renew && at < 48*time.Minute {
			renews++
		} else if b.sent(s, kind6Rebind); at >= 48*time.Minute {
			rebinds++
		}
	}
	t.Error("the lease never ends")
}

// FuzzClient6 gives a client any sequence of events: it must neither fail nor
// stop to be due while it can send and lacks what it is to bring.
func FuzzClient6(f *testing.F) {
	f.Add([]byte{0, 9, 2, 3, 6, 3})
	f.Add([]byte{0, 9, 2, 3, 1, 0, 4, 6, 6, 6, 5, 7, 0, 9, 2, 3, 8, 3})
	f.Fuzz(func(t *testing.T, events []byte) {
		b := newBench6(t)
		b.c.up(b.now)
		goal := goal6None
		for _, e := range events {
			switch kind := e % 10; kind {
			case 0:
				b.c.up(b.now)
			case 1:
				b.c.down()
			case 2:
				b.receive(advertise, hour("fd00:1::10"))
			case 3:
				b.receive(answer, hour("fd00:1::10"))
			case 4:
				b.receive(answer, refusal(iana.StatusCode(e/10%7)))
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
				b.c.release(b.now)
				goal = goal6None
			case 8:
				b.c.decline(b.now)
			case 9:
				goal = goal6(e / 10 % 3)
				b.c.aim(goal, b.now)
			}
			if b.c.ready && b.c.goal != goal6None && b.c.lease == nil && b.c.due().IsZero() {
				t.Fatalf("nothing to do in state %d", b.c.state)
			}
			_ = b.c.String()
		}
	})
}
