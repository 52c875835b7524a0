package netcfg

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// networks6 returns what the kernel knows of the IPv6 of links, by their index.
func (h *Handle) networks6(links []Link) (map[int]*net6, error) {
	nets := make(map[int]*net6, len(links))
	for _, l := range links {
		nets[l.Index] = &net6{}
	}
	routes := nl.NewRtMsg()
	routes.Family = unix.AF_INET6
	for _, q := range [...]struct {
		ask    int
		answer uint16
		header nl.NetlinkRequestData
		read   func(nets map[int]*net6, message []byte) error
	}{
		{unix.RTM_GETLINK, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_INET6), readFlags6},
		{unix.RTM_GETADDR, unix.RTM_NEWADDR, nl.NewIfAddrmsg(unix.AF_INET6), readAddr6},
		{unix.RTM_GETROUTE, unix.RTM_NEWROUTE, routes, readGateway6},
	} {
		messages, err := h.list(q.ask, q.answer, q.header)
		for i := 0; err == nil && i < len(messages); i++ {
			err = q.read(nets, messages[i])
		}
		if err != nil {
			return nil, fmt.Errorf("list what there is of IPv6: %w", err)
		}
	}
	return nets, nil
}

// readFlags6 reads IFLA_INET6_FLAGS of a link's message.
func readFlags6(nets map[int]*net6, message []byte) error {
	attrs, err := attributes(message, unix.SizeofIfInfomsg)
	if err != nil {
		return err
	}
	info, err := attributes(attrs[unix.IFLA_PROTINFO], 0)
	if n := nets[int(nl.DeserializeIfInfomsg(message).Index)]; n != nil {
		n.flags = uint32(number(info[unix.IFLA_INET6_FLAGS]))
	}
	return err
}

// readAddr6 reads an address.
func readAddr6(nets map[int]*net6, message []byte) error {
	attrs, err := attributes(message, unix.SizeofIfAddrmsg)
	if err != nil {
		return err
	}
	header := nl.DeserializeIfAddrmsg(message)
	v := attrs[unix.IFA_LOCAL] // of a point-to-point link
	if v == nil {
		v = attrs[unix.IFA_ADDRESS]
	}
	if n := nets[int(header.Index)]; n != nil && len(v) == 16 {
		a := netip.PrefixFrom(netip.AddrFrom16([16]byte(v)), int(header.Prefixlen))
		n.addrs = append(n.addrs, addr6{a, uint32(number(attrs[unix.IFA_FLAGS]))})
	}
	return nil
}

// readGateway6 reads a default route of the main table. The first of a link is
// the one with the least metric.
func readGateway6(nets map[int]*net6, message []byte) error {
	attrs, err := attributes(message, unix.SizeofRtMsg)
	if err != nil {
		return err
	}
	header := nl.DeserializeRtMsg(message)
	v, n := attrs[unix.RTA_GATEWAY], nets[number(attrs[unix.RTA_OIF])]
	if n != nil && len(v) == 16 && header.Dst_len == 0 && header.Table == unix.RT_TABLE_MAIN && !n.gateway.IsValid() {
		n.gateway = netip.AddrFrom16([16]byte(v))
	}
	return nil
}

// conf6 is where the kernel has the settings of each link's IPv6 (ip-sysctl.rst).
const conf6 = "/proc/sys/net/ipv6/conf/"

// errNoIPv6 says that the kernel was built or started without IPv6.
var errNoIPv6 = errors.New("the kernel has no IPv6")

// setting is a value to write into a file.
type setting struct{ name, value string }

// settings6 returns what a link needs before it is brought up, for all methods
// that may use it. The delay before the first router solicitation is for rooms
// full of machines, but costs each of them up to a second.
func settings6(methods []Method, forwarding bool) []setting {
	accept, auto := "0", "0"
	for _, m := range methods {
		if m != LinkLocal {
			accept = "1" // for DHCP6, routers and prefixes come from no one else
		}
		if m == Auto6 || m == Either6 {
			auto = "1"
		}
	}
	if accept == "1" && forwarding {
		accept = "2"
	}
	return []setting{
		{"accept_ra", accept}, {"autoconf", auto}, {"router_solicitation_delay", "0"},
		// Last: IPv6 that is switched on here solicits routers at once.
		{"disable_ipv6", "0"},
	}
}

// enable6 makes a link ready for the IPv6 of every ip= that may use it. It
// writes only what differs.
func (r *runner) enable6(l Link, links []Link) error {
	var methods []Method
	for _, s := range r.plan.Specs {
		if s.Method.router() && slices.ContainsFunc(r.plan.Links(s, links), func(o Link) bool { return o.Index == l.Index }) {
			methods = append(methods, s.Method)
		}
	}
	if len(methods) == 0 {
		return nil
	}
	dir := conf6 + l.Name + "/"
	forwarding, err := os.ReadFile(dir + "forwarding")
	if err != nil {
		// addrconf_notify, net/ipv6/addrconf.c (v6.12): with an MTU below 1280.
		return fmt.Errorf("the kernel gives the link no IPv6: %w", err)
	}
	for _, s := range settings6(methods, string(forwarding) != "0\n") {
		if was, err := os.ReadFile(dir + s.name); err == nil && string(was) == s.value+"\n" {
			continue
		}
		if err := os.WriteFile(dir+s.name, []byte(s.value), 0o644); err != nil {
			return fmt.Errorf("set %s: %w", s.name, err)
		}
	}
	return nil
}

// hasIPv6 reports whether the kernel has IPv6.
func hasIPv6() bool {
	_, err := os.Stat(conf6)
	return err == nil
}
