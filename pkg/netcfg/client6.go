package netcfg

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"
)

// goal6 is what a client is to bring.
type goal6 uint8

const (
	goal6None        goal6 = iota
	goal6Information       // name servers and the like (RFC 8415, section 6.1)
	goal6Address           // an address, and these with it
)

// state6 is what a client is doing (RFC 8415, section 18.2).
type state6 uint8

const (
	state6Idle       state6 = iota // no link, no goal, or released
	state6Soliciting               // SOLICIT sent
	state6Requesting               // what a server advertised is asked for
	state6Confirming               // the link came back: does the address belong here?
	state6Bound
	state6Renewing  // T1 is past: its own server is asked
	state6Rebinding // T2 is past: all are
	state6Informing // INFORMATION-REQUEST sent
	state6Informed
	state6Declining // another machine has the address
	state6Backoff   // refused several times
)

// The times of retransmission (RFC 8415, section 7.6) that have no other name.
const (
	confirmTime = 10 * time.Second // CNF_MAX_RD
	// solMaxRT bounds the time between SOLICITs unless a server says otherwise.
	// It is what RFC 3315 has: the hour of RFC 8415 would leave a machine
	// waiting that was switched on together with its server.
	solMaxRT    = 2 * time.Minute
	infMaxRT    = time.Hour
	refreshTime = 24 * time.Hour // IRT_DEFAULT
	minRefresh  = 10 * time.Minute
)

// step6 is what a client wants done after an event.
type step6 struct {
	send  *message6
	lease *Config // apply this: a new lease, or a renewed one
	info  *Config // what a server says beside addresses
	lost  bool    // take the lease's address away
	note  string  // for the log
}

// client6 is the DHCPv6 state machine of one link (RFC 8415, section 18.2) for
// one address. It does no I/O and reads no clock: every event comes with its
// time, tick is due when due says so. It is not safe for concurrent use.
//
// All messages go to all servers: RFC 9915 has done away with unicast.
type client6 struct {
	duid     []byte
	iaid     uint32
	hostname string        // with or without domain
	want     netip.Addr    // ask for this address first
	random   func() uint32 // for transaction ids and jitter

	goal    goal6
	ready   bool // there is a link to send on
	state   state6
	xid     uint32
	began   time.Time // of this transaction
	asked   time.Time // when the last message went: a lease counts from then
	tries   int
	wait    time.Duration // the last time of retransmission
	refused int           // in a row
	timer   time.Time
	server  []byte // DUID of the server that is asked, or has given the lease
	offered netip.Addr
	trouble string // what the last server to refuse said

	solMax, infMax time.Duration // zero: the default

	lease      *Config   // nil: none; never changed
	t2, expiry time.Time // zero: the lease is for ever
}

// newClient6 returns a client that is known to servers by its MAC address: it
// gets the same address each time it boots (DUID-LL, RFC 8415, section 11.4).
func newClient6(hw MAC, random func() uint32) *client6 {
	return &client6{
		duid:   append([]byte{0, 3, 0, 1}, hw[:]...),
		iaid:   binary.BigEndian.Uint32(hw[2:]),
		random: random,
	}
}

// due returns when tick wants to be called; zero is never.
func (c *client6) due() time.Time { return c.timer }

// up tells that messages can be sent: begin, or ask whether the lease's address
// still belongs here.
func (c *client6) up(now time.Time) step6 {
	c.ready = true
	switch {
	case c.lease != nil:
		return c.begin(state6Confirming, now)
	case c.goal == goal6Address:
		return c.begin(state6Soliciting, now)
	case c.goal == goal6Information:
		return c.begin(state6Informing, now)
	}
	c.state, c.timer = state6Idle, time.Time{}
	return step6{}
}

// down tells that none can be sent. The lease runs on.
func (c *client6) down() {
	c.ready = false
	c.state, c.timer = state6Idle, time.Time{}
	if c.lease != nil {
		c.state, c.timer = state6Bound, c.expiry
	}
}

// aim sets the goal. A client that has an address keeps it.
func (c *client6) aim(goal goal6, now time.Time) step6 {
	if goal == c.goal || goal < c.goal && c.lease != nil {
		return step6{}
	}
	c.goal = goal
	if !c.ready {
		return step6{}
	}
	return c.up(now)
}

// renew asks for the lease's renewal now, or for the information again.
func (c *client6) renew(now time.Time) step6 {
	switch {
	case !c.ready:
		return step6{}
	case c.state == state6Informed:
		return c.up(now)
	case c.lease == nil:
		return step6{} // it is asking already
	case c.state == state6Renewing, c.state == state6Rebinding:
		return c.transmit(now)
	}
	return c.begin(state6Renewing, now)
}

// release gives back the lease, or what was asked for and may have been granted
// by now; the client does nothing more. It is said once: a server that does not
// hear it has the address back when the lease ends.
func (c *client6) release(now time.Time) step6 {
	var s step6
	addr, leased := c.offered, c.lease != nil
	if leased {
		addr = c.lease.Addr.Addr()
		s.lost, s.note = true, "released "+addr.String()
	}
	if c.ready && (leased || c.state == state6Requesting) {
		c.tries, c.began, c.xid = 0, now, c.random()&0xffffff
		m := c.message(kind6Release, addr, now)
		s.send = &m
	}
	c.drop()
	c.goal, c.state, c.timer = goal6None, state6Idle, time.Time{}
	return s
}

// decline tells the server that another machine has the lease's address.
func (c *client6) decline(now time.Time) step6 {
	if c.lease == nil {
		return step6{}
	}
	c.offered = c.lease.Addr.Addr()
	s := step6{lost: true, note: "another machine has " + c.offered.String()}
	c.drop()
	c.refused++
	c.want, c.trouble = netip.Addr{}, s.note
	c.state, c.timer = state6Idle, time.Time{}
	if c.ready {
		s.send = c.begin(state6Declining, now).send
	}
	return s
}

// tick does what is due.
func (c *client6) tick(now time.Time) step6 {
	if c.timer.IsZero() || now.Before(c.timer) {
		return step6{}
	}
	if c.lease != nil && !c.expiry.IsZero() && !now.Before(c.expiry) {
		s := c.restart(now)
		s.note = "the lease of " + c.want.String() + " has expired"
		return s
	}
	next := c.state
	switch {
	case next == state6Backoff, next == state6Informed:
		return c.up(now)
	case next == state6Bound:
		return c.renew(now)
	case next == state6Declining && c.tries >= maxTries:
		return c.restart(now)
	case next == state6Requesting && c.tries >= maxTries:
		// Fewer tries than REQ_MAX_RC: others may have answered meanwhile.
		if next = state6Soliciting; c.lease != nil {
			next = state6Rebinding
		}
	case next == state6Confirming && now.Sub(c.began) >= confirmTime:
		// RFC 8415, section 18.2.3: no answer, and the lease still runs.
		c.settle(now)
		return step6{note: "no server confirms " + c.lease.Addr.String() + ", kept until it expires"}
	case (next == state6Renewing || next == state6Rebinding) && c.expiry.IsZero() && c.tries >= maxTries:
		c.settle(now) // asked out of turn, and the lease is for ever
		return step6{}
	case next == state6Renewing && !c.expiry.IsZero() && !now.Before(c.t2):
		next = state6Rebinding
	}
	if next != c.state {
		return c.begin(next, now)
	}
	return c.transmit(now)
}

// restart gives up the lease and asks anew: at once, or after a while if
// servers have refused before.
func (c *client6) restart(now time.Time) step6 {
	s := step6{lost: c.lease != nil}
	c.drop()
	switch {
	case !c.ready:
		c.state, c.timer = state6Idle, time.Time{}
	case c.refused > 1:
		c.state = state6Backoff
		c.timer = now.Add(c.jitter(min(time.Second<<min(c.refused-2, 5), maxRetry)))
	default:
		s.send = c.up(now).send
	}
	return s
}

func (c *client6) drop() {
	c.lease = nil
	c.t2, c.expiry = time.Time{}, time.Time{}
}

// settle enters the state of a bound client, with the times of the lease.
func (c *client6) settle(now time.Time) {
	c.state, c.timer = state6Bound, time.Time{}
	if c.lease.Lease == 0 {
		return
	}
	start := c.expiry.Add(-c.lease.Lease)
	c.timer, c.t2 = start.Add(c.lease.T1), start.Add(c.lease.T2)
	if c.timer.Before(now) {
		c.timer = now
	}
}

// begin enters a state with a new transaction.
func (c *client6) begin(s state6, now time.Time) step6 {
	c.state, c.tries, c.began, c.xid = s, 0, now, c.random()&0xffffff
	return c.transmit(now)
}

// transmit sends the state's message and sets the time of the next try (RFC
// 8415, section 15).
func (c *client6) transmit(now time.Time) step6 {
	kind, first, most, addr := c.plan()
	m := c.message(kind, addr, now)
	if c.tries == 0 {
		c.wait = c.jitter(first)
	} else if c.wait += c.jitter(c.wait); c.wait > most {
		c.wait = c.jitter(most)
	}
	c.timer = now.Add(c.wait)
	until := c.expiry
	if c.state == state6Renewing {
		until = c.t2
	}
	if c.lease != nil && !until.IsZero() && c.timer.After(until) {
		c.timer = until
	}
	c.asked, c.tries = now, c.tries+1
	return step6{send: &m}
}

// plan returns the state's message, its first and longest time of
// retransmission, and the address that it is about.
func (c *client6) plan() (kind kind6, first, most time.Duration, addr netip.Addr) {
	var leased netip.Addr
	if c.lease != nil {
		leased = c.lease.Addr.Addr()
	}
	switch c.state {
	case state6Requesting:
		return kind6Request, time.Second, 30 * time.Second, c.offered
	case state6Confirming:
		return kind6Confirm, time.Second, 4 * time.Second, leased
	case state6Renewing:
		return kind6Renew, 10 * time.Second, 10 * time.Minute, leased
	case state6Rebinding:
		return kind6Rebind, 10 * time.Second, 10 * time.Minute, leased
	case state6Informing:
		return kind6Information, time.Second, orDefault(c.infMax, infMaxRT), netip.Addr{}
	case state6Declining:
		return kind6Decline, time.Second, maxRetry, c.offered
	}
	return kind6Solicit, time.Second, orDefault(c.solMax, solMaxRT), c.want
}

func orDefault(d, absent time.Duration) time.Duration {
	if d == 0 {
		return absent
	}
	return d
}

// message makes a message about an address (RFC 8415, section 18.2).
func (c *client6) message(kind kind6, addr netip.Addr, now time.Time) message6 {
	m := message6{kind: kind, xid: c.xid}
	m.options.add(opt6ClientID, c.duid)
	switch kind {
	case kind6Request, kind6Renew, kind6Release, kind6Decline:
		m.options.add(opt6ServerID, c.server)
	}
	elapsed := min(now.Sub(c.began)/(10*time.Millisecond), 65535)
	m.options.add(opt6Elapsed, binary.BigEndian.AppendUint16(nil, uint16(elapsed)))
	if kind != kind6Information {
		m.options.add(opt6IANA, askIA6(c.iaid, addr))
	}
	switch kind {
	case kind6Confirm, kind6Release, kind6Decline:
		return m
	case kind6Information:
		m.options.add(opt6ORO, []byte(askInformation))
		return m
	case kind6Solicit:
		m.options.add(opt6RapidCommit, nil)
	}
	m.options.add(opt6ORO, []byte(askAddress))
	if c.hostname != "" {
		m.options.add(opt6FQDN, fqdn6(c.hostname))
	}
	return m
}

// jitter is d, a tenth more or less.
func (c *client6) jitter(d time.Duration) time.Duration {
	return d + time.Duration((float64(c.random())/(1<<31)-1)*float64(d)/10)
}

// String says what the client is doing: "no DHCPv6 answer after 3 tries",
// "fd00::15".
func (c *client6) String() string {
	switch {
	case c.lease != nil:
		return c.lease.Addr.Addr().String()
	case c.trouble != "":
		return c.trouble
	case c.state == state6Idle:
		return "idle"
	case c.state == state6Requesting:
		return "offered " + c.offered.String()
	default:
		return "no DHCPv6 answer after " + strconv.Itoa(c.tries) + " tries"
	}
}

// mine reports whether a server's message is for this client and its
// transaction (RFC 8415, section 16).
func (c *client6) mine(m message6) bool {
	id, _ := m.options.get(opt6ClientID)
	server, _ := m.options.get(opt6ServerID)
	return m.xid == c.xid && bytes.Equal(id, c.duid) && len(server) > 0
}
