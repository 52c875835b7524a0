package netcfg

import (
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
	raised  bool // by us: a loser is taken down again
	seen    time.Time
	conn    *conn     // nil if static, or if the socket has failed
	reopen  time.Time // when to try the socket again
	broken  string    // why it could not be opened, so that it is said once
	client  *client   // nil if static
	applied Config    // by us, or by a process before us
}

func (p *port) dueClient() time.Time {
	if p.client == nil {
		return time.Time{}
	}
	return p.client.due()
}

func (p *port) close() {
	if p.conn != nil {
		p.conn.close()
		p.conn = nil
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
	for _, j := range r.jobs {
		for _, p := range slices.Clone(j.ports) {
			i := slices.IndexFunc(links, func(l Link) bool { return l.Index == p.link.Index })
			if i >= 0 && (j.winner == nil || j.winner == p) {
				r.follow(j, p, links[i], now)
			}
		}
	}
	r.checkSettled(now)
}

// prepare brings the loopback device up, gives links the names asked for and
// makes VLANs, and returns the links.
func (r *runner) prepare() ([]Link, error) {
	links, err := r.handle.Links()
	if err != nil {
		return nil, err
	}
	changed := false
	for _, l := range links {
		if l.Loop && !l.Up {
			r.warn(r.handle.SetUp(l, true))
		}
		for _, rename := range r.plan.Renames {
			if l.HW == rename.HW && l.Name != rename.Name && l.candidate() && r.firstTime(l, rename.Name) {
				if l.Up {
					r.warn(r.handle.SetUp(l, false))
				}
				r.warn(r.handle.Rename(l, rename.Name))
				changed = true
			}
		}
	}
	for _, v := range r.plan.VLANs {
		parent := slices.IndexFunc(links, func(l Link) bool { return l.Name == v.Parent })
		if parent < 0 || slices.ContainsFunc(links, func(l Link) bool { return l.Name == v.Name }) ||
			!r.firstTime(links[parent], v.Name) {
			continue
		}
		if !links[parent].Up {
			r.warn(r.handle.SetUp(links[parent], true))
		}
		r.warn(r.handle.AddVLAN(links[parent], v))
		changed = true
	}
	if !changed {
		return links, nil
	}
	return r.handle.Links()
}

// firstTime reports whether a link has not yet been asked for this name: what
// the kernel refuses once it refuses at every event.
func (r *runner) firstTime(l Link, name string) bool {
	key := attempt{l.Index, name}
	if slices.Contains(r.attempts, key) {
		return false
	}
	r.attempts = append(r.attempts, key)
	return true
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
		if j.winner == p {
			j.winner = nil
			r.warn(removeLease(r.opt.Dir, p.link.Name))
			r.opt.Notify(Event{Kind: Lost, Link: p.link.Name, Config: p.applied})
		}
		return true
	})
	if j.winner != nil {
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
		p := &port{link: l, seen: now}
		if j.spec.Method == DHCP {
			p.applied, _ = formerLease(r.opt.Dir, l.Name)
		}
		if !l.Up {
			r.warn(r.handle.SetUp(l, true))
			p.raised = true
		}
		j.ports = append(j.ports, p)
	}
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
		want: s.Addr.Addr(), random: random(l.HW),
	}
	if c.id == nil {
		c.id = append([]byte{byte(iana.HWTypeEthernet)}, l.HW[:]...)
	}
	return c
}

// open opens the socket of a port whose client needs one.
func (r *runner) open(p *port, now time.Time) {
	p.reopen = time.Time{}
	c, err := r.listen(p.link)
	if err != nil {
		if why := err.Error(); why != p.broken {
			r.opt.Log("%s", why)
			p.broken = why
		}
		p.reopen = now.Add(reopenDelay)
		return
	}
	p.conn, p.broken = c, ""
}

// step does what a client wants.
func (r *runner) step(j *job, p *port, s step) {
	for _, packet := range s.send {
		if p.conn != nil {
			r.warn(p.conn.send(packet))
		}
	}
	if s.note != "" {
		r.opt.Log("%s: %s", p.link.Name, s.note)
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
	c = c.override(j.spec, r.plan)
	for _, route := range r.plan.Routes {
		if route.Device == p.link.Name ||
			route.Device == "" && route.Gateway.IsValid() && c.subnet().Contains(route.Gateway) {
			c.Routes = append(c.Routes, route.Route)
		}
	}
	r.warn(r.handle.Apply(p.link, p.applied, c, j.metric))
	if !c.Equal(p.applied) {
		r.opt.Log("%s: %s", p.link.Name, c)
	}
	p.applied = c
	j.winner = p
	r.dismiss(j)
	r.warn(writeFiles(r.opt.Dir, p.link.Name, c, r.resolvConf()))
	r.opt.Notify(Event{Kind: Configured, Link: p.link.Name, Config: c})
}

// dismiss ends the race: what a loser was promised is released, and a link that
// we brought up goes down.
func (r *runner) dismiss(j *job) {
	for _, p := range j.ports {
		if p == j.winner {
			continue
		}
		if p.client != nil && p.conn != nil {
			for _, packet := range p.client.release().send {
				r.warn(p.conn.send(packet))
			}
		}
		p.close()
		if p.applied.Addr.IsValid() {
			r.warn(r.handle.Apply(p.link, p.applied, Config{}, j.metric))
		}
		if p.raised {
			r.warn(r.handle.SetUp(p.link, false))
		}
	}
	j.ports = []*port{j.winner}
}

// unconfigure takes away what a link was given. The race is open again.
func (r *runner) unconfigure(j *job, p *port) {
	r.warn(r.handle.Apply(p.link, p.applied, Config{}, j.metric))
	r.warn(removeLease(r.opt.Dir, p.link.Name))
	r.opt.Notify(Event{Kind: Lost, Link: p.link.Name, Config: p.applied})
	p.applied, j.winner = Config{}, nil
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
		c := j.winner.applied
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
