package netcfg

import (
	"os"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/iana"
)

// reopenDelay is the time before a socket that failed is opened again.
const reopenDelay = time.Second

// job is one ip=: a race of the links that it may use.
type job struct {
	spec   Spec
	metric int
	ports  []*port
	winner *port
}

// port is one link in a job.
type port struct {
	link    Link
	seen    time.Time
	conn    *conn     // nil if static, or if the socket has failed
	reopen  time.Time // when to try the socket again
	arp     *os.File  // while the client probes for an address
	broken  string    // why it could not be opened, so that it is said once
	client  *client   // nil if static, or IPv6
	six     *six      // nil unless the job is one of IPv6
	conn6   *conn6    // nil while the client of six needs none, or if it has failed
	mtu     int       // before the first config that had one; 0: there was none
	applied Config    // by us, or by a process before us
}

// config is what the link has for the job; the zero Config is nothing.
func (p *port) config() Config {
	if p.six != nil {
		return p.six.config
	}
	return p.applied
}

// due is when tick wants to be called; zero is never.
func (p *port) due() time.Time {
	due := p.reopen
	if p.client != nil {
		due = sooner(due, p.client.due())
	}
	if p.six != nil {
		due = sooner(due, p.six.due())
	}
	return due
}

func (p *port) close() {
	if p.conn != nil {
		p.conn.close()
		p.conn = nil
	}
	p.closeARP()
	if p.conn6 != nil {
		p.conn6.close()
		p.conn6 = nil
	}
	p.reopen = time.Time{}
}

func (j *job) close() {
	for _, p := range j.ports {
		p.close()
	}
}

// refresh looks at the links and does what their state allows.
func (r *runner) refresh(now time.Time) {
	r.ipv6 = r.plan.NeedsIPv6() && hasIPv6() // which can be a module
	links, err := r.prepare()
	if err != nil {
		r.opt.Log("%v", err)
		return
	}
	for _, j := range r.jobs {
		r.match(j, links, now)
	}
	// Raising a link can give it a carrier at once.
	if links, err = r.handle.Links(); err != nil {
		r.opt.Log("%v", err)
		return
	}
	var nets map[int]*net6
	if r.ipv6 {
		if nets, err = r.handle.networks6(links); err != nil {
			r.opt.Log("%v", err)
			return
		}
	}
	for _, j := range r.jobs {
		for _, p := range slices.Clone(j.ports) {
			i := slices.IndexFunc(links, func(l Link) bool { return l.Index == p.link.Index })
			switch {
			case i < 0 || j.winner != nil && j.winner != p:
			case p.six != nil:
				r.follow6(j, p, links[i], nets[links[i].Index], now)
			default:
				r.follow(j, p, links[i], now)
			}
		}
	}
	r.checkSettled(now)
}

func (r *runner) warn(err error) {
	if err != nil {
		r.opt.Log("%v", err)
	}
}

// match drops the ports whose links are gone and adds those of new links.
func (r *runner) match(j *job, links []Link, now time.Time) {
	j.ports = slices.DeleteFunc(j.ports, func(p *port) bool {
		if slices.ContainsFunc(links, func(l Link) bool { return l.Index == p.link.Index }) {
			return false
		}
		r.opt.Log("%s is gone", p.link.Name)
		p.close()
		r.raised[p.link.Index] = false
		if j.winner == p {
			j.winner = nil
			r.writeFiles(p.link)
			if c := p.config(); c.Addr.IsValid() {
				r.opt.Notify(Event{Kind: Lost, Link: p.link.Name, Config: c})
			}
		}
		return true
	})
	if j.winner != nil || j.spec.Method.router() && !r.ipv6 {
		return
	}
	for _, l := range r.plan.Links(j.spec, links) {
		if slices.ContainsFunc(j.ports, func(p *port) bool { return p.link.Index == l.Index }) {
			continue
		}
		if hw := j.spec.SetMAC; !hw.IsZero() && hw != l.HW {
			if err := r.handle.SetMAC(l, hw); err != nil {
				r.opt.Log("%v", err)
			} else {
				l.HW = hw
			}
		}
		p := &port{link: l, seen: now, applied: formerLease(r.opt.Dir, l.Name, j.spec.Method)}
		if j.spec.Method.router() {
			p.six = newSix(j.spec, r.plan, l, p.applied.Addr.Addr(), random(l.HW))
		}
		r.raise(l, links)
		j.ports = append(j.ports, p)
	}
}

// on returns the job's port on a link, or nil.
func (j *job) on(l Link) *port {
	for _, p := range j.ports {
		if p.link.Index == l.Index {
			return p
		}
	}
	return nil
}

// follow takes note of a link's state, and begins when there is a carrier.
func (r *runner) follow(j *job, p *port, l Link, now time.Time) {
	had, changes := p.link.Carrier, p.link.CarrierChanges
	p.link = l
	switch {
	case j.spec.Method == Static:
		if l.Carrier && j.winner == nil {
			r.configure(j, p, j.spec.Config())
		}
	case l.Carrier && p.client == nil:
		p.client = newClient(j.spec, r.plan, l)
		if a := p.applied.Addr.Addr(); a.IsValid() {
			p.client.want = a
		}
		r.open(p, now)
		r.step(j, p, p.client.up(now))
	case l.Carrier && (!had || l.CarrierChanges != changes):
		r.opt.Log("%s: carrier", l.Name)
		if p.conn == nil {
			r.open(p, now)
		}
		r.step(j, p, p.client.up(now))
	case !l.Carrier && had && p.client != nil:
		r.opt.Log("%s: no carrier", l.Name)
		p.client.down()
	}
}

func newClient(s Spec, p Plan, l Link) *client {
	c := &client{
		hw: l.HW, id: s.ClientID, class: p.VendorClass, hostname: s.Hostname,
		want: s.Addr.Addr(), probe: p.Probe, random: random(l.HW),
	}
	if c.hostname == "" {
		c.hostname = p.Hostname
	}
	if c.id == nil {
		c.id = append([]byte{byte(iana.HWTypeEthernet)}, l.HW[:]...)
	}
	return c
}

// open opens the socket of a port whose client needs one.
func (r *runner) open(p *port, now time.Time) {
	p.reopen = time.Time{}
	var err error
	if p.six != nil {
		p.conn6, err = r.listen6(p.link, p.six.local)
	} else {
		p.conn, err = r.listen(p.link)
	}
	if err != nil {
		if why := err.Error(); why != p.broken {
			r.opt.Log("%s", why)
			p.broken = why
		}
		p.reopen = now.Add(reopenDelay)
		return
	}
	p.broken = ""
}

// step does what a client wants.
func (r *runner) step(j *job, p *port, s step) {
	for _, packet := range s.send {
		if p.conn != nil {
			r.warn(p.conn.send(packet))
		}
	}
	if s.probe.IsValid() {
		r.ask(p, s.probe)
	} else if p.client == nil || p.client.state != stateProbing {
		p.closeARP()
	}
	if s.note != "" {
		r.note(p, s.note)
	}
	if s.lost {
		r.unconfigure(j, p)
	}
	if s.lease != nil {
		r.configure(j, p, *s.lease)
	}
}

// configure gives a link what it has won. The first of a job sends the others
// home.
func (r *runner) configure(j *job, p *port, c Config) {
	c = r.complete(j, p, c)
	if !c.Equal(p.applied) {
		r.note(p, c.String())
	}
	r.apply(j, p, c)
	j.winner = p
	r.dismiss(j)
	r.writeFiles(p.link)
	r.opt.Notify(Event{Kind: Configured, Link: p.link.Name, Config: c})
}

// apply gives a link what c says, in place of what it has.
func (r *runner) apply(j *job, p *port, c Config) {
	set := c
	switch {
	case c.MTU != 0 && p.mtu == 0:
		p.mtu = p.link.MTU
	case c.MTU == 0 && p.applied.MTU != 0:
		set.MTU = p.mtu
	}
	r.warn(r.handle.Apply(p.link, p.applied, set, j.metric))
	p.applied = c
}

// note logs what happened to a link.
func (r *runner) note(p *port, what string) { r.opt.Log("%s: %s", p.link.Name, what) }

// complete puts what the command line says over what a link was given, and adds
// the routes that are for it.
func (r *runner) complete(j *job, p *port, c Config) Config {
	c = c.override(j.spec, r.plan)
	for _, route := range r.plan.Routes {
		if route.Dst.Addr().Is4() == c.Addr.Addr().Is4() && (route.Device == p.link.Name ||
			route.Device == "" && route.Gateway.IsValid() && c.subnet().Contains(route.Gateway)) {
			c.Routes = append(c.Routes, route.Route)
		}
	}
	return c
}

// writeFiles writes the files for what all jobs together have given a link.
func (r *runner) writeFiles(l Link) {
	var given []Config
	for _, j := range r.jobs {
		if j.winner != nil && j.winner.link.Index == l.Index && j.configured() {
			given = append(given, j.winner.config())
		}
	}
	resolv := r.resolvConf()
	r.warn(writeFiles(r.opt.Dir, l.Name, resolv, given...))
	if resolv == "" && r.resolv != "" {
		// What we wrote there is true no more.
		r.warn(writeFile(r.opt.Dir, "etc/resolv.conf", ""))
	}
	r.resolv = resolv
}

// dismiss ends the race: what a loser was promised is released, and a link that
// we brought up goes down.
func (r *runner) dismiss(j *job) {
	losers := slices.DeleteFunc(slices.Clone(j.ports), func(p *port) bool { return p == j.winner })
	j.ports = []*port{j.winner}
	for _, p := range losers {
		if p.client != nil && p.conn != nil {
			for _, packet := range p.client.release().send {
				r.warn(p.conn.send(packet))
			}
		}
		if p.six != nil {
			r.send6(p, p.six.client.release(time.Now()))
		}
		p.close()
		if p.applied.Addr.IsValid() {
			r.apply(j, p, Config{})
		}
		r.lower(p.link)
	}
}

// unconfigure takes away what a link was given. The race is open again.
func (r *runner) unconfigure(j *job, p *port) {
	lost := p.applied
	r.apply(j, p, Config{})
	j.winner = nil
	r.writeFiles(p.link)
	r.opt.Notify(Event{Kind: Lost, Link: p.link.Name, Config: lost})
	r.wake()
}

// wake has the loop look at the links anew.
func (r *runner) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// resolvConf is the text for all links together, in the order of the jobs.
func (r *runner) resolvConf() string {
	var all Config
	for _, j := range r.jobs {
		if j.winner == nil {
			continue
		}
		c := j.winner.config()
		all.DNS = append(all.DNS, c.DNS...)
		search := c.Search
		if len(search) == 0 && c.Domain != "" {
			search = []string{c.Domain}
		}
		for _, name := range search {
			if !slices.Contains(all.Search, name) {
				all.Search = append(all.Search, name)
			}
		}
	}
	all.DNS = unique(all.DNS)
	return all.ResolvConf()
}
