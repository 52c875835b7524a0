package netcfg

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Apply gives a link what c says: MTU, address with the lease's lifetime,
// routes. What old, the config applied before, brought and c does not is
// removed, and nothing else; the zero Config is none. Applied twice it changes
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
	a := c.address()
	// Zero is for ever.
	a.ValidLft = int(min(c.Lease/time.Second, math.MaxInt32))
	a.PreferedLft = a.ValidLft
	if err := h.h.AddrReplace(l.device(), a); err != nil {
		return fmt.Errorf("set address %s of %s: %w", c.Addr, l.Name, err)
	}
	return nil
}

func (h *Handle) delAddr(l Link, c Config) error {
	if err := h.h.AddrDel(l.device(), c.address()); err != nil {
		return fmt.Errorf("remove address %s of %s: %w", c.Addr, l.Name, err)
	}
	return nil
}

// address is the config's address as the library wants it.
func (c Config) address() *netlink.Addr {
	a := &netlink.Addr{
		IPNet:     ipNet(c.Addr),
		Broadcast: net.IPv4zero, // none
	}
	if c.Peer.IsValid() {
		a.Peer = ipNet(c.Peer)
	}
	if b, ok := c.broadcast(); ok {
		a.Broadcast = b.AsSlice()
	}
	return a
}

// ipNet keeps the bits behind the mask.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// addRoute adds a route that is not there. One of another link to the same
// place stays: the kernel would replace it.
func (h *Handle) addRoute(l Link, c Config, r Route, metric int) error {
	route := kernelRoute(l, c, r, metric)
	err := h.h.RouteAdd(route)
	if errors.Is(err, unix.EEXIST) {
		if r.Dst.Addr().Is6() {
			return nil
		}
		there, found := h.route(route)
		switch gateway, _ := netip.AddrFromSlice(there.Gw); {
		case found && there.LinkIndex == l.Index && gateway.Unmap() == r.Gateway:
			// The source address may have changed.
			err = h.h.RouteReplace(route)
		case found && there.LinkIndex == l.Index:
			err = h.h.RouteChange(route)
		}
	}
	if err != nil {
		return fmt.Errorf("set route %s of %s: %w", r.describe(), l.Name, err)
	}
	return nil
}

func (h *Handle) delRoute(l Link, c Config, r Route, metric int) error {
	if err := h.h.RouteDel(kernelRoute(l, c, r, metric)); err != nil {
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

// kernelRoute is a route of the main table as the library wants it.
func kernelRoute(l Link, c Config, r Route, metric int) *netlink.Route {
	route := &netlink.Route{
		LinkIndex: l.Index,
		Dst:       ipNet(r.Dst),
		Gw:        r.Gateway.AsSlice(),
		Priority:  metric,
		Table:     unix.RT_TABLE_MAIN,
		Type:      unix.RTN_UNICAST,
		Protocol:  unix.RTPROT_BOOT,
		Scope:     netlink.SCOPE_UNIVERSE,
	}
	if c.Proto == "dhcp" {
		route.Protocol = unix.RTPROT_DHCP
	}
	if r.Dst.Addr().Is4() {
		if !r.Gateway.IsValid() {
			route.Scope = netlink.SCOPE_LINK
		}
		if c.Addr.Addr().Is4() {
			route.Src = c.Addr.Addr().AsSlice()
		}
	}
	return route
}

// route finds the IPv4 route of the main table to the same place with the same
// metric.
func (h *Handle) route(like *netlink.Route) (there netlink.Route, found bool) {
	place := &netlink.Route{Dst: like.Dst}
	// What was read before an error was there.
	_ = h.h.RouteListFilteredIter(unix.AF_INET, place, netlink.RT_FILTER_DST, func(r netlink.Route) bool {
		if r.Priority == like.Priority {
			there, found = r, true
		}
		return !found
	})
	return there, found
}
