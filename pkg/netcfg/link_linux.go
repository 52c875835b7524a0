package netcfg

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Links lists the devices of the namespace. A list that changed while it was
// read is no error: an event of the change follows.
//
// It is LinkList of the library, which drops the count of carrier changes, with
// this count.
func (h *Handle) Links() ([]Link, error) {
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	r.Sockets = h.raw
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	messages, err := r.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
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
	device, err := netlink.LinkDeserialize(nil, message)
	if err != nil {
		return Link{}, err
	}
	a := device.Attrs()
	l := Link{
		Index:   a.Index,
		Name:    a.Name,
		MTU:     a.MTU,
		Ether:   a.EncapType == "ether",
		Up:      a.RawFlags&unix.IFF_UP != 0,
		Carrier: a.RawFlags&unix.IFF_UP != 0 && a.RawFlags&unix.IFF_LOWER_UP != 0,
		Loop:    a.RawFlags&unix.IFF_LOOPBACK != 0,
		Port:    a.MasterIndex != 0,
	}
	if _, hardware := device.(*netlink.Device); !hardware {
		l.Kind = device.Type()
	}
	if len(a.HardwareAddr) == len(l.HW) {
		l.HW = MAC(a.HardwareAddr)
	}
	attrs, err := nl.ParseRouteAttrAsMap(message[unix.SizeofIfInfomsg:])
	if err != nil {
		return Link{}, err
	}
	if v := attrs[unix.IFLA_CARRIER_CHANGES].Value; len(v) == 4 {
		l.CarrierChanges = int(binary.NativeEndian.Uint32(v))
	}
	return l, nil
}

// device is a link as the library wants it.
func (l Link) device() netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: l.Index, Name: l.Name}}
}

// SetUp brings a link up, or takes it down.
func (h *Handle) SetUp(l Link, up bool) error {
	set, what := h.h.LinkSetDown, "down"
	if up {
		set, what = h.h.LinkSetUp, "up"
	}
	if err := set(l.device()); err != nil {
		return fmt.Errorf("set %s %s: %w", l.Name, what, err)
	}
	return nil
}

// SetMTU sets a link's MTU, in bytes.
func (h *Handle) SetMTU(l Link, mtu int) error {
	if err := h.h.LinkSetMTU(l.device(), mtu); err != nil {
		return fmt.Errorf("set mtu %d of %s: %w", mtu, l.Name, err)
	}
	return nil
}

// SetMAC sets a link's Ethernet address.
func (h *Handle) SetMAC(l Link, hw MAC) error {
	if err := h.h.LinkSetHardwareAddr(l.device(), hw[:]); err != nil {
		return fmt.Errorf("set address %s of %s: %w", hw, l.Name, err)
	}
	return nil
}

// Rename gives a link another name; it has to be down.
func (h *Handle) Rename(l Link, name string) error {
	if err := h.h.LinkSetName(l.device(), name); err != nil {
		return fmt.Errorf("rename %s to %s: %w", l.Name, name, err)
	}
	return nil
}

// AddVLAN makes a VLAN on a link.
func (h *Handle) AddVLAN(parent Link, v VLAN) error {
	a := netlink.NewLinkAttrs()
	a.Name, a.ParentIndex = v.Name, parent.Index
	if err := h.h.LinkAdd(&netlink.Vlan{LinkAttrs: a, VlanId: int(v.ID)}); err != nil {
		return fmt.Errorf("make vlan %s on %s: %w", v.Name, parent.Name, err)
	}
	return nil
}
