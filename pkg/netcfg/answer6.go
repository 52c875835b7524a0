package netcfg

import (
	"bytes"
	"net/netip"
	"time"
)

// receive takes a server's message (RFC 8415, sections 18.2.9 and 18.2.10).
func (c *client6) receive(now time.Time, m message6) step6 {
	if !c.mine(m) {
		return step6{}
	}
	c.bounds(m)
	switch {
	case m.kind == kind6Advertise && c.state == state6Soliciting:
		return c.advertised(now, m)
	case m.kind != kind6Reply:
		return step6{}
	}
	switch c.state {
	case state6Informing:
		return c.informed(now, m)
	case state6Confirming:
		return c.confirmed(now, m)
	case state6Declining:
		return c.restart(now)
	case state6Soliciting:
		if _, rapid := m.options.get(opt6RapidCommit); !rapid {
			return step6{}
		}
	case state6Requesting, state6Renewing:
		if server, _ := m.options.get(opt6ServerID); !bytes.Equal(server, c.server) {
			return step6{}
		}
	case state6Rebinding:
	default:
		return step6{}
	}
	return c.replied(now, m)
}

// bounds takes over the longest times of retransmission that a server sets (RFC
// 8415, sections 21.24 and 21.25).
func (c *client6) bounds(m message6) {
	set := func(code uint16, bound *time.Duration) {
		if n, ok := m.options.seconds6(code); ok && n >= 60 && n <= 86400 {
			*bound = time.Duration(n) * time.Second
		}
	}
	set(opt6SolMaxRT, &c.solMax)
	set(opt6InfMaxRT, &c.infMax)
}

// status returns the status of a message as a whole, or else of its addresses.
func (c *client6) status(m message6) (ia ia6, s status6, why string) {
	ia, _ = m.ia(c.iaid)
	s, why = m.options.status()
	if s == status6Success {
		s, why = ia.status, ia.text
	}
	if why == "" {
		why = s.String()
	}
	return ia, s, "the DHCPv6 server refuses: " + why
}

// advertised asks for what a server offers. RFC 8415, section 18.2.1, would
// wait a second for servers with a higher preference: a machine that boots
// wants its address now, and where there are several servers any will do.
func (c *client6) advertised(now time.Time, m message6) step6 {
	ia, status, why := c.status(m)
	offer := m.lease(ia, c.want)
	if status != status6Success || offer == nil {
		if status == status6Success {
			why = "the DHCPv6 server offers no address"
		}
		c.trouble = why
		return step6{}
	}
	c.server, _ = m.options.get(opt6ServerID)
	c.offered = offer.Addr.Addr()
	return c.begin(state6Requesting, now)
}

// replied takes the answer to a request, a renewal or a rebinding.
func (c *client6) replied(now time.Time, m message6) step6 {
	ia, status, why := c.status(m)
	switch {
	case status == status6NoBinding && c.lease != nil && c.state != state6Requesting:
		// RFC 8415, section 18.2.10.1: the server has forgotten, and is asked
		// for the same address again. It is ours until the lease ends.
		c.server, _ = m.options.get(opt6ServerID)
		c.offered = c.lease.Addr.Addr()
		s := c.begin(state6Requesting, now)
		s.note = why
		return s
	case status == status6NotOnLink,
		status == status6NoAddrs && c.lease == nil, status == status6NoBinding && c.lease == nil:
		return c.refuse(now, why)
	case status != status6Success:
		// The next try comes when it is due; UseMulticast is what we do.
		c.trouble = why
		return step6{note: why}
	}
	want := c.offered
	if c.lease != nil {
		want = c.lease.Addr.Addr()
	}
	lease := m.lease(ia, want)
	switch {
	case lease != nil:
	case c.lease != nil && ia.withdraws(want):
		return c.refuse(now, "the DHCPv6 server withdraws "+want.String())
	default:
		return step6{} // it says nothing of the address: ask again when due
	}
	c.lease, c.want = lease, lease.Addr.Addr()
	c.server, _ = m.options.get(opt6ServerID)
	c.expiry = time.Time{}
	if lease.Lease > 0 {
		c.expiry = c.asked.Add(lease.Lease)
	}
	c.settle(now)
	return step6{lease: lease}
}

// refuse ends what a server does not want.
func (c *client6) refuse(now time.Time, why string) step6 {
	c.refused++
	c.want = netip.Addr{}
	s := c.restart(now)
	c.trouble, s.note = why, why
	return s
}

// confirmed takes the answer to a CONFIRM. A lease goes on with what is left of
// it: a CONFIRM renews nothing.
func (c *client6) confirmed(now time.Time, m message6) step6 {
	_, status, why := c.status(m)
	switch status {
	case status6NotOnLink:
		return c.refuse(now, why)
	case status6Success:
	default:
		return step6{}
	}
	left := *c.lease
	if left.Lease > 0 {
		past := now.Sub(c.expiry.Add(-left.Lease)).Truncate(time.Second)
		left.Lease = max(left.Lease-past, time.Second)
		left.T1, left.T2 = max(left.T1-past, 0), max(left.T2-past, 0)
	}
	c.settle(now)
	return step6{lease: &left}
}

// informed takes what a server says beside addresses, and asks again when that
// is old (RFC 8415, section 21.23).
func (c *client6) informed(now time.Time, m message6) step6 {
	if status, _ := m.options.status(); status != status6Success {
		return step6{}
	}
	c.state, c.timer, c.trouble = state6Informed, time.Time{}, ""
	switch n, ok := m.options.seconds6(opt6Refresh); {
	case !ok:
		c.timer = now.Add(refreshTime)
	case n != forever6:
		c.timer = now.Add(max(time.Duration(n)*time.Second, minRefresh))
	}
	return step6{info: m.info()}
}

// keep tells that no other machine has the lease's address.
func (c *client6) keep() { c.refused, c.trouble = 0, "" }
