package netcfg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Run carries a plan out in the network namespace of the calling thread, and
// keeps the leases until ctx ends. Then it leaves addresses, routes and files as they
// are. It sets no host name: that is for the caller, at Configured.
//
// Everything happens in one loop, woken by the kernel's link events, by
// packets and by one timer. A part that fails is logged and tried again at the
// next event; an error of Run is one that makes any work impossible.
func Run(ctx context.Context, p Plan, o Options) error {
	h, err := Open()
	if err != nil {
		return err
	}
	defer h.Close()
	groups := []uint{unix.RTNLGRP_LINK}
	if p.NeedsIPv6() {
		groups = append(groups, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_IFINFO, unix.RTNLGRP_ND_USEROPT)
	}
	watched, err := nl.Subscribe(unix.NETLINK_ROUTE, groups...)
	if err != nil {
		return fmt.Errorf("watch links: %w", err)
	}
	r := &runner{
		plan: p, opt: o, handle: h,
		changed:   make(chan struct{}, 1),
		received:  make(chan received),
		received6: make(chan received6),
		options:   make(chan ndOption),
		raised:    map[int]bool{},
		claims:    make(chan claim),
		done:      make(chan struct{}),
		started:   time.Now(),
		probed:    o.Probed == nil,
	}
	for i, s := range p.Specs {
		r.jobs = append(r.jobs, &job{spec: s, metric: i})
	}
	r.readers.Go(func() { r.watch(watched) })
	defer func() {
		close(r.done)
		watched.Close()
		for _, j := range r.jobs {
			j.close()
		}
		r.readers.Wait()
	}()
	return r.loop(ctx)
}

// runner is the state of Run. Only the goroutines that read sockets are apart
// from it.
type runner struct {
	plan   Plan
	opt    Options
	handle *Handle
	jobs   []*job

	changed   chan struct{} // some link has changed
	received  chan received
	received6 chan received6
	options   chan ndOption // of router advertisements
	claims    chan claim
	done      chan struct{} // Run ends
	readers   sync.WaitGroup

	started  time.Time
	probed   bool
	settled  bool
	ipv6     bool         // some job needs IPv6, and the kernel has it
	raised   map[int]bool // the links brought up by us: a loser is taken down again
	attempts []attempt
	resolv   string // the text of resolv.conf, if we have written it
}

// attempt is a name that a link was to take, or a VLAN of this name to be made
// on it.
type attempt struct {
	index int
	name  string
}

// received is what a link's reader has to say.
type received struct {
	from    *conn
	message Message
	err     error
}

// watch turns link events into wake-ups. What an event says is read anew from
// the kernel, so that none can be missed for good. The library's LinkSubscribe
// would end at the first burst of events that the socket cannot hold (ENOBUFS).
// Only what routers say of name servers is nowhere to be read: it is passed on.
func (r *runner) watch(s *nl.NetlinkSocket) {
	for {
		messages, _, err := s.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			r.wake()
		case err != nil:
			return
		}
		for _, m := range messages {
			if m.Header.Type != unix.RTM_NEWNDUSEROPT {
				r.wake()
			} else if o, ok := parseNdUserOpt(m.Data); ok {
				select {
				case r.options <- o:
				case <-r.done:
					return
				}
			}
		}
	}
}

// listen opens a link's socket and reads it until it fails or is closed.
func (r *runner) listen(l Link) (*conn, error) {
	c, err := listen(l)
	if err != nil {
		return nil, err
	}
	r.readers.Go(func() {
		buf := make([]byte, 4096)
		for {
			m, err := c.read(buf)
			select {
			case r.received <- received{c, m, err}:
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

func (r *runner) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	if r.plan.Mode == ModeBackground || r.plan.Mode == ModeOff {
		r.settle(nil)
	}
	probed := r.opt.Probed
	r.refresh(time.Now())
	if r.plan.Mode == ModeOff {
		return nil
	}
	for {
		if due := r.due(); due.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(due))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.changed:
			r.refresh(time.Now())
		case <-probed:
			probed, r.probed = nil, true
			r.refresh(time.Now())
		case m := <-r.received:
			r.receive(m)
		case c := <-r.claims:
			r.claimed(c)
		case m := <-r.received6:
			r.receive6(m)
		case o := <-r.options:
			r.advertised(o, time.Now())
		case <-timer.C:
			r.tick(time.Now())
		case c := <-r.opt.Commands:
			if r.command(c) {
				return nil
			}
		}
	}
}

// due is the earliest time at which anything wants to be done.
func (r *runner) due() time.Time {
	due := r.settleBy()
	for _, j := range r.jobs {
		for _, p := range j.ports {
			due = sooner(due, p.due())
		}
	}
	return due
}

func (r *runner) tick(now time.Time) {
	for _, j := range r.jobs {
		for _, p := range j.ports {
			if !p.reopen.IsZero() && !now.Before(p.reopen) {
				r.open(p, now)
			}
			if p.client != nil {
				r.step(j, p, p.client.tick(now))
			}
			if p.six != nil {
				r.tick6(j, p, now)
			}
		}
	}
	r.checkSettled(now)
}

// receive passes a message on to the link's client. A socket that has failed
// is opened again, and the client's next try goes through it.
func (r *runner) receive(m received) {
	for _, j := range r.jobs {
		for _, p := range j.ports {
			if p.conn != m.from {
				continue
			}
			if m.err != nil {
				r.opt.Log("%s: receive DHCP: %v", p.link.Name, m.err)
				p.conn.close()
				p.conn, p.reopen = nil, time.Now().Add(reopenDelay)
				return
			}
			if p.client != nil {
				r.step(j, p, p.client.receive(time.Now(), m.message))
				r.checkSettled(time.Now())
			}
			return
		}
	}
}

// command carries out a command and reports whether Run ends with it.
func (r *runner) command(c Command) bool {
	for _, j := range r.jobs {
		for _, p := range j.ports {
			switch {
			case p.six != nil:
				r.command6(j, p, c, time.Now())
			case p.client == nil:
			case c == RenewNow && p.client.carrier:
				r.step(j, p, p.client.renew(time.Now()))
			case c == ReleaseAll:
				r.step(j, p, p.client.release())
			}
		}
	}
	return c == ReleaseAll
}

// random returns a source of transaction ids and jitter. They have to differ
// between machines, and no more: nothing here may wait for entropy, which a
// small virtual machine can lack for minutes.
func random(hw MAC) func() uint32 {
	var mac uint64
	for _, b := range hw {
		mac = mac<<8 | uint64(b)
	}
	src := rand.New(rand.NewPCG(rand.Uint64()^mac, uint64(time.Now().UnixNano())))
	return src.Uint32
}
