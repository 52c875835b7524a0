package netcfg

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Links lists the devices of the namespace.
func (h *Handle) Links() ([]Link, error) {
	messages, err := h.list(unix.RTM_GETLINK, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_UNSPEC))
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	links := make([]Link, len(messages))
	for i, m := range messages {
		if links[i], err = parseLink(m); err != nil {
			return nil, fmt.Errorf("list links: %w", err)
		}
	}
	return links, nil
}

func parseLink(message []byte) (Link, error) {
	attrs, err := attributes(message, unix.SizeofIfInfomsg)
	if err != nil {
		return Link{}, err
	}
	header := nl.DeserializeIfInfomsg(message)
	l := Link{
		Index:          int(header.Index),
		Name:           unix.ByteSliceToString(attrs[unix.IFLA_IFNAME]),
		MTU:            number(attrs[unix.IFLA_MTU]),
		Ether:          header.Type == unix.ARPHRD_ETHER,
		Up:             header.Flags&unix.IFF_UP != 0,
		Carrier:        header.Flags&unix.IFF_UP != 0 && header.Flags&unix.IFF_LOWER_UP != 0,
		Loop:           header.Flags&unix.IFF_LOOPBACK != 0,
		Port:           number(attrs[unix.IFLA_MASTER]) != 0,
		CarrierChanges: number(attrs[unix.IFLA_CARRIER_CHANGES]),
	}
	if hw := attrs[unix.IFLA_ADDRESS]; len(hw) == len(l.HW) {
		l.HW = MAC(hw)
	}
	info, err := attributes(attrs[unix.IFLA_LINKINFO], 0)
	if err != nil {
		return Link{}, err
	}
	l.Kind = unix.ByteSliceToString(info[nl.IFLA_INFO_KIND])
	return l, nil
}

// set changes one property of a link.
func (h *Handle) set(l Link, attr int, value []byte) error {
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(l.Index)
	return h.change(unix.RTM_SETLINK, 0, header, nl.NewRtAttr(attr, value))
}

// SetUp brings a link up, or takes it down.
func (h *Handle) SetUp(l Link, up bool) error {
	header, what := nl.NewIfInfomsg(unix.AF_UNSPEC), "down"
	header.Index, header.Change = int32(l.Index), unix.IFF_UP
	if up {
		header.Flags, what = unix.IFF_UP, "up"
	}
	if err := h.change(unix.RTM_NEWLINK, 0, header); err != nil {
		return fmt.Errorf("set %s %s: %w", l.Name, what, err)
	}
	return nil
}

// SetMTU sets a link's MTU, in bytes.
func (h *Handle) SetMTU(l Link, mtu int) error {
	if err := h.set(l, unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))); err != nil {
		return fmt.Errorf("set mtu %d of %s: %w", mtu, l.Name, err)
	}
	return nil
}

// SetMAC sets a link's Ethernet address.
func (h *Handle) SetMAC(l Link, hw MAC) error {
	if err := h.set(l, unix.IFLA_ADDRESS, hw[:]); err != nil {
		return fmt.Errorf("set address %s of %s: %w", hw, l.Name, err)
	}
	return nil
}

// Rename gives a link another name; it has to be down.
func (h *Handle) Rename(l Link, name string) error {
	if err := h.set(l, unix.IFLA_IFNAME, nl.ZeroTerminated(name)); err != nil {
		return fmt.Errorf("rename %s to %s: %w", l.Name, name, err)
	}
	return nil
}

// AddVLAN makes a VLAN on a link.
func (h *Handle) AddVLAN(parent Link, v VLAN) error {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("vlan"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_VLAN_ID, nl.Uint16Attr(v.ID))
	err := h.change(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.Name)),
		nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(uint32(parent.Index))), info)
	if err != nil {
		return fmt.Errorf("make vlan %s on %s: %w", v.Name, parent.Name, err)
	}
	return nil
}
