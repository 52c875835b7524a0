package netcfg

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// TestClient6Renewals takes what a server can say to a renewal.
func TestClient6Renewals(t *testing.T) {
	withdrawn := iana6(0, 0)
	withdrawn.Options.Add(iaaddr6("fd00:1::10", 0, 0))
	tests := []struct {
		name  string
		reply []dhcpv6.Option
		send  kind6 // 0: nothing
		lost  bool
		state state6
	}{
		{"it has forgotten", []dhcpv6.Option{refusal(iana.StatusNoBinding)}, kind6Request, false, state6Requesting},
		{"it takes the address away", []dhcpv6.Option{withdrawn}, kind6Solicit, true, state6Soliciting},
		{"not on link", []dhcpv6.Option{status(iana.StatusNotOnLink)}, kind6Solicit, true, state6Soliciting},
		{"it fails", []dhcpv6.Option{status(iana.StatusUnspecFail)}, 0, false, state6Renewing},
		{"use multicast", []dhcpv6.Option{status(iana.StatusUseMulticast)}, 0, false, state6Renewing},
		{"no addresses", []dhcpv6.Option{refusal(iana.StatusNoAddrsAvail)}, 0, false, state6Renewing},
		{"nothing of the address", []dhcpv6.Option{iana6(0, 0)}, 0, false, state6Renewing},
		{"nothing", nil, 0, false, state6Renewing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench6(t)
			b.bind()
			b.sent(b.fire(), kind6Renew)
			due := b.c.due()
			s := b.receive(answer, test.reply...)
			if test.send != 0 {
				b.sent(s, test.send)
			} else if s.send != nil || !b.c.due().Equal(due) {
				t.Errorf("sends %+v, due %s, want nothing before %s", s.send, b.c.due(), due)
			}
			if s.lost != test.lost || b.c.state != test.state || (b.c.lease == nil) != test.lost {
				t.Errorf("step %+v, state %d", s, b.c.state)
			}
			if test.state != state6Requesting {
				return
			}
			if s := b.receive(answer, hour("fd00:1::10")); s.lease == nil {
				t.Errorf("asked again: %+v", s)
			}
		})
	}
}

// TestClient6ForgottenForGood loses a server that has forgotten the lease while
// it is asked for the address again: others are asked then.
func TestClient6ForgottenForGood(t *testing.T) {
	b := newBench6(t)
	b.bind()
	b.fire()
	b.receive(answer, refusal(iana.StatusNoBinding))
	for range maxTries - 1 {
		b.sent(b.fire(), kind6Request)
	}
	b.sent(b.fire(), kind6Rebind)
}

// TestClient6LinkFlaps keeps the lease over a loss of the link, and asks whether
// it belongs there.
func TestClient6LinkFlaps(t *testing.T) {
	b := newBench6(t)
	b.bind()
	b.c.down()
	if got := b.c.due().Sub(b.now); got != time.Hour {
		t.Errorf("without link the timer is in %s, want the end of the lease", got)
	}
	b.now = b.now.Add(time.Minute)
	if m := b.sent(b.c.up(b.now), kind6Confirm); asks(m) != "fd00:1::10" {
		t.Errorf("CONFIRM %+v", m)
	}
	s := b.receive(answer, status(iana.StatusSuccess))
	if s.lease == nil || s.lease.Lease != 59*time.Minute || b.c.due().Sub(b.now) != 29*time.Minute {
		t.Errorf("confirmed: %+v, due in %s", s, b.c.due().Sub(b.now))
	}

	// Nobody answers: it is kept.
	b.c.down()
	b.c.up(b.now)
	began := b.now
	for b.c.state == state6Confirming {
		if s := b.fire(); s.lost {
			t.Fatal("the lease is lost while it runs")
		}
	}
	if got := b.now.Sub(began); b.c.state != state6Bound || got < confirmTime || got > confirmTime+5*time.Second {
		t.Errorf("state %d after %s", b.c.state, got)
	}

	// It belongs elsewhere.
	b.c.down()
	b.c.up(b.now)
	if s := b.receive(answer, status(iana.StatusNotOnLink)); !s.lost || asks(b.sent(s, kind6Solicit)) != "" {
		t.Errorf("moved: %+v", s)
	}

	b = newBench6(t)
	b.bind()
	b.c.down()
	if s := b.fire(); !s.lost || s.send != nil || !b.c.due().IsZero() {
		t.Errorf("the end without link: %+v, due %s", s, b.c.due())
	}
	b.sent(b.c.up(b.now), kind6Solicit)
}

func TestClient6Decline(t *testing.T) {
	b := newBench6(t)
	b.bind()
	s := b.c.decline(b.now)
	m := b.sent(s, kind6Decline)
	if !s.lost || asks(m) != "fd00:1::10" || b.c.String() != "another machine has fd00:1::10" {
		t.Errorf("decline %+v, %s", s, b.c)
	}
	b.sent(b.fire(), kind6Decline)
	if m := b.sent(b.receive(answer, status(iana.StatusSuccess)), kind6Solicit); asks(m) != "" {
		t.Errorf("asks for %s again", asks(m))
	}
	// The next address is taken as well, and no server hears of it.
	b.sent(b.receive(advertise, hour("fd00:1::11")), kind6Request)
	b.receive(answer, hour("fd00:1::11"))
	b.sent(b.c.decline(b.now), kind6Decline)
	for range maxTries - 1 {
		b.sent(b.fire(), kind6Decline)
	}
	if s := b.fire(); s.send != nil || b.c.state != state6Backoff {
		t.Errorf("step %+v, state %d, want a pause", s, b.c.state)
	}
	b.sent(b.fire(), kind6Solicit)
	if s := b.c.decline(b.now); s.lost || s.send != nil {
		t.Errorf("declined without lease: %+v", s)
	}
}

func TestClient6Release(t *testing.T) {
	b := newBench6(t)
	b.bind()
	s := b.c.release(b.now)
	if m := b.sent(s, kind6Release); !s.lost || asks(m) != "fd00:1::10" {
		t.Errorf("release %+v", s)
	}
	if !b.c.due().IsZero() || b.c.release(b.now).send != nil {
		t.Error("something is left to do after a release")
	}
	// What was asked for may have become a lease.
	b.c.aim(goal6Address, b.now)
	b.receive(advertise, hour("fd00:1::10"))
	if s := b.c.release(b.now); s.lost || asks(b.sent(s, kind6Release)) != "fd00:1::10" {
		t.Errorf("release of an offer: %+v", s)
	}
}

func TestClient6Information(t *testing.T) {
	b := newBench6(t)
	b.c.up(b.now)
	m := b.sent(b.c.aim(goal6Information, b.now), kind6Information)
	if _, has := m.options.get(opt6IANA); has {
		t.Error("an IA_NA in an INFORMATION-REQUEST")
	}
	if v, _ := m.options.get(opt6ORO); string(v) != askInformation {
		t.Errorf("asks for %x", v)
	}
	b.sent(b.fire(), kind6Information)
	s := b.receive(answer, dhcpv6.OptDNS(addr("fd00::53").AsSlice()))
	if s.info == nil || len(s.info.DNS) != 1 || b.c.due().Sub(b.now) != refreshTime {
		t.Errorf("informed: %+v, due in %s", s, b.c.due().Sub(b.now))
	}
	b.sent(b.fire(), kind6Information)
	b.receive(answer, dhcpv6.OptInformationRefreshTime(time.Second))
	if got := b.c.due().Sub(b.now); got != minRefresh {
		t.Errorf("due in %s, want %s", got, minRefresh)
	}
	b.sent(b.c.renew(b.now), kind6Information)
	b.receive(answer, dhcpv6.OptInformationRefreshTime(forever6*time.Second))
	if !b.c.due().IsZero() {
		t.Errorf("due %s, want never", b.c.due())
	}
	// The router has changed its mind, twice.
	b.sent(b.c.aim(goal6Address, b.now), kind6Solicit)
	b.sent(b.c.aim(goal6Information, b.now), kind6Information)
	if s := b.c.aim(goal6None, b.now); s.send != nil || !b.c.due().IsZero() {
		t.Errorf("without a goal: %+v", s)
	}
	b.sent(b.c.aim(goal6Address, b.now), kind6Solicit)
	b.receive(advertise, hour("fd00:1::10"))
	b.receive(answer, hour("fd00:1::10"))
	if s := b.c.aim(goal6None, b.now); s.lost || b.c.lease == nil || b.c.due().IsZero() {
		t.Errorf("the lease goes with the goal: %+v", s)
	}
}

func TestClient6Bounds(t *testing.T) {
	b := newBench6(t)
	b.c.up(b.now)
	b.c.aim(goal6Address, b.now)
	bound := func(seconds uint32) dhcpv6.Option {
		return &dhcpv6.OptionGeneric{OptionCode: opt6SolMaxRT, OptionData: binary.BigEndian.AppendUint32(nil, seconds)}
	}
	b.receive(advertise, bound(3600))
	b.receive(advertise, bound(5)) // RFC 8415, section 21.24: not less than 60
	for range 20 {
		b.fire()
	}
	if got := b.c.due().Sub(b.now).Round(time.Second); got != time.Hour {
		t.Errorf("the next try in %s, want 1h", got)
	}
}

func TestClient6Forever(t *testing.T) {
	b := newBench6(t)
	b.c.up(b.now)
	b.c.aim(goal6Address, b.now)
	b.receive(advertise, hour("fd00:1::10"))
	ia := iana6(0, 0)
	ia.Options.Add(iaaddr6("fd00:1::10", forever6*time.Second, forever6*time.Second))
	if s := b.receive(answer, ia); s.lease == nil || s.lease.Lease != 0 || !b.c.due().IsZero() {
		t.Errorf("step %+v, due %s", s, b.c.due())
	}
	b.sent(b.c.renew(b.now), kind6Renew)
	for range maxTries {
		b.fire()
	}
	if b.c.state != state6Bound || !b.c.due().IsZero() {
		t.Errorf("state %d after renewals in vain, want bound", b.c.state)
	}
}
