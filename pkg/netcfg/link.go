package netcfg

import "slices"

// Link is one network device as the kernel sees it.
type Link struct {
	Index   int
	Name    string
	HW      MAC
	Kind    string // "vlan", "bridge", "veth"; "" for hardware
	MTU     int    // bytes
	Ether   bool   // Ethernet framing
	Up      bool   // by the administrator
	Carrier bool   // up, and the cable is in
	Loop    bool   // the loopback device
	Port    bool   // enslaved to a bridge or bond

	// CarrierChanges counts how often the carrier came or went. The kernel
	// holds back news of a loss for up to a second (net/core/link_watch.c,
	// v6.12), so that a cable can be moved without Carrier ever being false.
	CarrierChanges int
}

// candidate reports whether a spec that names no device may use the link:
// Ethernet hardware, or what a container has in its place.
func (l Link) candidate() bool {
	return l.Ether && !l.Loop && !l.Port && slices.Contains([]string{"", "veth", "macvlan"}, l.Kind)
}

// Links returns the links that a spec is for, in the kernel's order: the one
// that it names, or every Ethernet link. With several ip= the bare one does not
// take what another of its family names.
func (p Plan) Links(s Spec, links []Link) []Link {
	name, hw := s.Device, s.HW
	if s.BootDev || name == "" && hw.IsZero() {
		switch {
		case !p.BootIf.IsZero():
			hw = p.BootIf
		case p.BootDev != "":
			name = p.BootDev
		}
	}
	named := func(l Link) bool {
		return slices.ContainsFunc(p.Specs, func(o Spec) bool {
			return o.six() == s.six() && (o.Device != "" && o.Device == l.Name || !o.HW.IsZero() && o.HW == l.HW)
		})
	}
	var out []Link
	for _, l := range links {
		switch {
		case name != "":
			if l.Name == name {
				out = append(out, l)
			}
		case !hw.IsZero():
			// A VLAN has its parent's address.
			if l.HW == hw && l.candidate() {
				out = append(out, l)
			}
		case s.BootDev:
		case l.candidate() && !named(l):
			out = append(out, l)
		}
	}
	return out
}
