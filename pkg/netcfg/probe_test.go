package netcfg

import (
	"testing"
	"time"
)

func TestClientProbes(t *testing.T) {
	b := newBench(t)
	b.c.probe = 200 * time.Millisecond
	b.c.up(b.now)
	b.receive(b.reply(Offer, 3600))
	start := b.now
	s := b.receive(b.reply(Ack, 3600))
	for i := range probes {
		if s.lease != nil || s.probe != addr("10.0.2.15") {
			t.Fatalf("probe %d: %+v", i, s)
		}
		s = b.fire()
	}
	if s.lease == nil || b.now.Sub(start) != b.c.probe {
		t.Errorf("after %v: %+v, want the lease after %v", b.now.Sub(start), s, b.c.probe)
	}
	if s := b.c.claimed(b.now, MAC{2}); len(s.send) != 0 {
		t.Errorf("a claim after the lease was taken: %+v", s)
	}
	// What is renewed is not probed.
	b.sent(b.fire(), Request)
	if s := b.receive(b.reply(Ack, 3600)); s.lease == nil {
		t.Errorf("renewal: %+v", s)
	}
}

func TestClientDeclines(t *testing.T) {
	b := newBench(t)
	b.c.probe = 200 * time.Millisecond
	b.c.up(b.now)
	b.receive(b.reply(Offer, 3600))
	b.receive(b.reply(Ack, 3600))
	s := b.c.claimed(b.now, MAC{2, 0, 0, 0, 0, 9})
	if len(s.send) != 1 || s.send[0].Type() != Decline || s.send[0].Client.IsValid() || s.send[0].to.IsValid() ||
		string(s.send[0].Options[optRequested]) != "\x0a\x00\x02\x0f" || string(s.send[0].Options[optServerID]) != "\x0a\x00\x02\x02" {
		t.Fatalf("declined by %+v", s.send)
	}
	if want := "declined 10.0.2.15/24: 02:00:00:00:00:09 has it"; s.note != want {
		t.Errorf("note %q, want %q", s.note, want)
	}
	at := b.now
	p := b.sent(b.fire(), Discover)
	if b.now.Sub(at) != declineWait || p.Options[optRequested] != nil {
		t.Errorf("after %v asks for %v again", b.now.Sub(at), p.Options[optRequested])
	}
}

// TestClientDeclinesWithoutServer: a rapid commit need not name the server.
func TestClientDeclinesWithoutServer(t *testing.T) {
	b := newBench(t)
	b.c.probe = time.Second
	b.c.up(b.now)
	m := b.reply(Ack, 3600)
	m.Options[optRapidCommit] = []byte{}
	delete(m.Options, optServerID)
	b.receive(m)
	if s := b.c.claimed(b.now, MAC{2}); len(s.send) != 1 || s.send[0].Options[optServerID] != nil {
		t.Errorf("declined by %+v", s.send)
	}
}

func TestARPClaim(t *testing.T) {
	own, other := MAC{2, 0, 0, 0, 0, 1}, MAC{2, 0, 0, 0, 0, 2}
	wanted := addr("10.0.2.15")
	frame := func(op byte, sender MAC, ip string, target string) []byte {
		b := arpProbe(sender, addr(target))
		b[etherLen+7] = op
		a := addr(ip).As4()
		copy(b[etherLen+14:], a[:])
		return b
	}
	for _, tc := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"reply", frame(2, other, "10.0.2.15", "0.0.0.0"), true},
		{"request from the address", frame(1, other, "10.0.2.15", "10.0.2.1"), true},
		{"announcement", frame(1, other, "10.0.2.15", "10.0.2.15"), true},
		{"another's probe", arpProbe(other, wanted), true},
		{"our own probe", arpProbe(own, wanted), false},
		{"request for the address", frame(1, other, "10.0.2.1", "10.0.2.15"), false},
		{"another address", frame(2, other, "10.0.2.16", "10.0.2.15"), false},
		{"cut short", arpProbe(other, wanted)[:40], false},
		{"not ARP", make([]byte, 60), false},
		{"empty", nil, false},
	} {
		if by, got := arpClaim(tc.frame, own, wanted); got != tc.want || got && by != other {
			t.Errorf("%s: arpClaim = %v, %v, want %v", tc.name, by, got, tc.want)
		}
	}
}
