package netcfg

import (
	"net/netip"
	"slices"
	"time"
)

// received6 is what the reader of a link's DHCPv6 socket has to say.
type received6 struct {
	from    *conn6
	message message6
	err     error
}

// listen6 opens a link's socket and reads it until it fails or is closed.
func (r *runner) listen6(l Link, local netip.Addr) (*conn6, error) {
	c, err := listen6(l, local)
	if err != nil {
		return nil, err
	}
	r.readers.Go(func() {
		buf := make([]byte, 4096)
		for {
			m, err := c.read(buf)
			select {
			case r.received6 <- received6{c, m, err}:
			case <-r.done:
				return
			}
			if err != nil {
				return
			}
		}
	})
	return c, nil
}

// follow6 takes note of a link's state. DHCPv6 begins when the link-local
// address can be used, and asks again after each loss of the carrier.
func (r *runner) follow6(j *job, p *port, l Link, n *net6, now time.Time) {
	s := p.six
	carrier, changes, local := p.link.Carrier, p.link.CarrierChanges, s.local
	p.link, s.device = l, l.Name
	s.observe(*n, l.Carrier, func(a netip.Addr) bool { return r.ours(l, a) })
	if carrier && !l.Carrier {
		r.note(p, "no carrier")
	}
	switch {
	case !s.local.IsValid():
		if local.IsValid() {
			p.close()
			s.client.down()
		}
	case s.local != local, l.CarrierChanges != changes:
		if s.local != local {
			p.close()
			if s.method == Either6 {
				s.routers = now.Add(routerTime)
			}
		}
		if !s.asked {
			s.asked = true
			r.warn(solicit(l, s.local))
		}
		r.need6(p, now)
		r.step6(j, p, s.client.up(now))
	}
	r.check6(j, p, now)
	r.advance6(j, p, now)
}

// ours reports whether a link has an address from some ip= of ours.
func (r *runner) ours(l Link, a netip.Addr) bool {
	return slices.ContainsFunc(r.jobs, func(j *job) bool {
		p := j.on(l)
		return p != nil && p.applied.Addr.Addr() == a
	})
}

// need6 opens the socket of a client that has something to ask.
func (r *runner) need6(p *port, now time.Time) {
	s := p.six
	if (s.goal() != goal6None || s.client.lease != nil) && s.local.IsValid() && p.conn6 == nil && p.reopen.IsZero() {
		r.open(p, now)
	}
}

// check6 looks whether another machine has the address that a server has given
// (RFC 8415, section 18.2.10.1). What failed the check the kernel removes, as
// it is not there for ever (addrconf_dad_stop, net/ipv6/addrconf.c, v6.12).
func (r *runner) check6(j *job, p *port, now time.Time) {
	s := p.six
	if !s.checking || !s.local.IsValid() {
		return
	}
	switch a, there := s.net.find(s.lease.Addr.Addr()); {
	case there && a.ready():
		s.checking = false
		s.client.keep()
	case !there || a.flags&addrDADFailed != 0:
		r.step6(j, p, s.client.decline(now))
	}
}

// advance6 does what a link's state allows, and tells what it has.
func (r *runner) advance6(j *job, p *port, now time.Time) {
	if j.winner == nil || j.winner == p {
		r.need6(p, now)
		r.step6(j, p, p.six.client.aim(p.six.goal(), now))
		r.publish6(j, p)
	}
}

// tick6 does what is due.
func (r *runner) tick6(j *job, p *port, now time.Time) {
	s := p.six
	if !s.routers.IsZero() && !now.Before(s.routers) {
		s.routers = time.Time{}
	}
	s.said.expire(now)
	r.step6(j, p, s.client.tick(now))
	r.advance6(j, p, now)
}

// receive6 passes a message on to the link's clients, of which one has asked. A
// socket that has failed is opened again.
func (r *runner) receive6(m received6) {
	now := time.Now()
	for _, j := range r.jobs {
		for _, p := range j.ports {
			switch {
			case p.six == nil || p.link.Index != m.from.link.Index:
			case m.err == nil:
				r.step6(j, p, p.six.client.receive(now, m.message))
				r.advance6(j, p, now)
			case p.conn6 == m.from:
				r.note(p, "receive DHCPv6: "+m.err.Error())
				p.close()
				p.reopen = now.Add(reopenDelay)
			}
		}
	}
	r.checkSettled(now)
}

// advertised takes over what a router says of name servers.
func (r *runner) advertised(o ndOption, now time.Time) {
	for _, j := range r.jobs {
		for _, p := range j.ports {
			if p.six != nil && p.link.Index == o.index {
				p.six.said.add(o, now)
				r.advance6(j, p, now)
			}
		}
	}
}

// command6 carries out a command. What the kernel made stays: there is nothing
// to give back.
func (r *runner) command6(j *job, p *port, c Command, now time.Time) {
	switch c {
	case RenewNow:
		r.step6(j, p, p.six.client.renew(now))
	case ReleaseAll:
		r.step6(j, p, p.six.client.release(now))
	}
}

// send6 sends what a client wants sent.
func (r *runner) send6(p *port, s step6) {
	if s.send != nil && p.conn6 != nil {
		r.warn(p.conn6.send(*s.send))
	}
}

// step6 does what a client wants.
func (r *runner) step6(j *job, p *port, step step6) {
	s := p.six
	r.send6(p, step)
	if step.note != "" {
		r.note(p, step.note)
	}
	if step.info != nil {
		s.info = step.info
	}
	if step.lost {
		r.apply(j, p, Config{})
		s.lease, s.checking = nil, false
		r.publish6(j, p)
	}
	if step.lease != nil {
		s.lease, s.renewed = step.lease, true
		r.apply(j, p, r.complete(j, p, *s.lease))
		// A renewed address has been checked. News of one that has not, the
		// kernel brings when it is done.
		a, there := s.net.find(s.lease.Addr.Addr())
		s.checking = !there || !a.ready()
		j.winner = p
		r.dismiss(j)
		r.wake()
		r.publish6(j, p)
	}
}

// publish6 tells what a link has, if that has changed. The first of a job sends
// the others home.
func (r *runner) publish6(j *job, p *port) {
	s := p.six
	c, ok := s.current()
	switch {
	case !ok:
		return
	case !c.Addr.IsValid():
		r.unpublish6(j, p)
		return
	}
	c = r.complete(j, p, c)
	if !c.Equal(s.config) {
		r.note(p, c.String())
	} else if !s.renewed {
		return
	}
	if c.Addr != p.applied.Addr {
		// The kernel has made the address; the rest is ours.
		if c.MTU != 0 && c.MTU != p.link.MTU {
			r.warn(r.handle.SetMTU(p.link, c.MTU))
		}
		for _, route := range c.Routes {
			r.warn(r.handle.addRoute(p.link, c, route, j.metric))
		}
	}
	s.config, s.renewed = c, false
	j.winner = p
	r.dismiss(j)
	r.writeFiles(p.link)
	r.opt.Notify(Event{Kind: Configured, Link: p.link.Name, Config: c})
}

// unpublish6 tells that a link has nothing any more, unless it is about to. The
// race is open again.
func (r *runner) unpublish6(j *job, p *port) {
	s := p.six
	lost := s.config
	s.config = Config{}
	if lost.Addr.IsValid() {
		r.writeFiles(p.link)
		r.opt.Notify(Event{Kind: Lost, Link: p.link.Name, Config: lost})
	}
	if j.winner == p && !s.checking {
		j.winner = nil
		r.wake()
	}
}
