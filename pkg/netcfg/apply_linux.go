package netcfg

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Apply gives a link what c says: MTU, address with the lease's lifetime,
// routes. What old, the config applied before, brought and c does not is
// removed, and nothing else, but for the MTU; the zero Config is none. Applied twice it changes
// nothing. metric is the priority of the routes, 0 for the kernel's own.
// Every part is tried; the error joins those that did not work.
func (h *Handle) Apply(l Link, old, c Config, metric int) error {
	var errs []error
	if c.MTU != 0 && c.MTU != l.MTU {
		errs = append(errs, h.SetMTU(l, c.MTU))
	}
	if old.Addr.IsValid() && (old.Addr != c.Addr || old.Peer != c.Peer) {
		// Before the new one: with the first address of a subnet the kernel
		// removes the others too (promote_secondaries, ip-sysctl.rst).
		errs = append(errs, gone(h.delAddr(l, old)))
	}
	if c.Addr.IsValid() {
		errs = append(errs, h.setAddr(l, c))
		for _, r := range c.Routes {
			errs = append(errs, h.addRoute(l, c, r, metric))
		}
	}
	// Old routes go last: one with another gateway has been replaced by now,
	// without a gap.
	for _, r := range slices.Backward(old.Routes) {
		if !slices.Contains(c.Routes, r) {
			errs = append(errs, gone(h.delRoute(l, old, r, metric)))
		}
	}
	return errors.Join(errs...)
}

// gone takes it well that what is to be removed is not there: an address
// takes its routes with it, and expires by itself.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func (h *Handle) setAddr(l Link, c Config) error {
	header, attrs := c.address(l)
	if seconds := min(c.Lease/time.Second, math.MaxInt32); seconds > 0 {
		lifetime := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Valid: uint32(seconds), Prefered: uint32(seconds)}}
		attrs = append(attrs, nl.NewRtAttr(unix.IFA_CACHEINFO, lifetime.Serialize()))
	}
	if err := h.change(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, header, attrs...); err != nil {
		return fmt.Errorf("set address %s of %s: %w", c.Addr, l.Name, err)
	}
	return nil
}

func (h *Handle) delAddr(l Link, c Config) error {
	header, attrs := c.address(l)
	if err := h.change(unix.RTM_DELADDR, 0, header, attrs...); err != nil {
		return fmt.Errorf("remove address %s of %s: %w", c.Addr, l.Name, err)
	}
	return nil
}

// address is the config's address in a message.
func (c Config) address(l Link) (*nl.IfAddrmsg, []*nl.RtAttr) {
	header := nl.NewIfAddrmsg(family(c.Addr.Addr()))
	header.Index = uint32(l.Index)
	header.Prefixlen = uint8(c.subnet().Bits())
	attrs := []*nl.RtAttr{
		addrAttr(unix.IFA_LOCAL, c.Addr.Addr()),
		addrAttr(unix.IFA_ADDRESS, c.subnet().Addr()),
	}
	if b, ok := c.broadcast(); ok {
		attrs = append(attrs, addrAttr(unix.IFA_BROADCAST, b))
	}
	if c.Proto == "dhcp6" {
		// The address is no net, and a route to it would outlive it.
		attrs = append(attrs, nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(unix.IFA_F_NOPREFIXROUTE)))
	}
	return header, attrs
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func addrAttr(number int, a netip.Addr) *nl.RtAttr { return nl.NewRtAttr(number, a.AsSlice()) }

// addRoute adds a route that is not there. One of another link to the same
// place stays: the kernel would replace it.
func (h *Handle) addRoute(l Link, c Config, r Route, metric int) error {
	header, attrs := c.route(l, r, metric)
	err := h.change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, header, attrs...)
	if errors.Is(err, unix.EEXIST) {
		if r.Dst.Addr().Is6() {
			return nil
		}
		if h.linkTo(r.Dst, metric) == l.Index {
			// The gateway or the source address may have changed.
			err = h.change(unix.RTM_NEWROUTE, unix.NLM_F_REPLACE, header, attrs...)
		}
	}
	if err != nil {
		return fmt.Errorf("set route %s of %s: %w", r.describe(), l.Name, err)
	}
	return nil
}

func (h *Handle) delRoute(l Link, c Config, r Route, metric int) error {
	header, attrs := c.route(l, r, metric)
	if err := h.change(unix.RTM_DELROUTE, 0, header, attrs...); err != nil {
		return fmt.Errorf("remove route %s of %s: %w", r.describe(), l.Name, err)
	}
	return nil
}

// describe is "10.0.0.0/8 via 10.0.2.2" or "10.0.2.2/32 on the link".
func (r Route) describe() string {
	if r.Gateway.IsValid() {
		return r.Dst.String() + " via " + r.Gateway.String()
	}
	return r.Dst.String() + " on the link"
}

// route is a route of the main table in a message.
func (c Config) route(l Link, r Route, metric int) (*nl.RtMsg, []*nl.RtAttr) {
	header := nl.NewRtMsg()
	header.Family = uint8(family(r.Dst.Addr()))
	header.Dst_len = uint8(r.Dst.Bits())
	if c.Leased() {
		header.Protocol = unix.RTPROT_DHCP
	}
	attrs := []*nl.RtAttr{
		addrAttr(unix.RTA_DST, r.Dst.Addr()),
		nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(l.Index))),
	}
	if r.Gateway.IsValid() {
		attrs = append(attrs, addrAttr(unix.RTA_GATEWAY, r.Gateway))
	}
	if metric > 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(uint32(metric))))
	}
	if r.Dst.Addr().Is4() {
		if !r.Gateway.IsValid() {
			header.Scope = unix.RT_SCOPE_LINK
		}
		if c.Addr.Addr().Is4() {
			attrs = append(attrs, addrAttr(unix.RTA_PREFSRC, c.Addr.Addr()))
		}
	}
	return header, attrs
}

// linkTo is the index of the link of the main table's IPv4 route to a place
// with a metric, 0 when there is none.
func (h *Handle) linkTo(dst netip.Prefix, metric int) int {
	header := nl.NewRtMsg()
	header.Family = unix.AF_INET
	messages, err := h.list(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, header)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		attrs, err := attributes(m, unix.SizeofRtMsg)
		if err != nil {
			continue
		}
		r := nl.DeserializeRtMsg(m)
		to, ok := netip.AddrFromSlice(attrs[unix.RTA_DST])
		if !ok {
			to = netip.IPv4Unspecified()
		}
		if r.Table == unix.RT_TABLE_MAIN && netip.PrefixFrom(to, int(r.Dst_len)) == dst &&
			number(attrs[unix.RTA_PRIORITY]) == metric {
			return number(attrs[unix.RTA_OIF])
		}
	}
	return 0
}
