package netboot

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// grant writes an OFFER or ACK. Without an address it answers an INFORM.
func (x *exchange) grant(kind dhcpv4.MessageType, your netip.Addr) {
	m, r := x.m, newReply(x.m, kind)
	r.field(offsetYour, your)
	if kind == dhcpv4.MessageTypeAck {
		copy(r.b[offsetClient:offsetYour], m.raw[offsetClient:])
	}
	r.putAddr(optServerID, x.server)
	if your.IsValid() {
		x.c.IP = your
		s := uint32(x.leaseTime() / time.Second)
		r.putSeconds(optLeaseTime, s)
		r.putSeconds(optT1, s/2)
		r.putSeconds(optT2, s-s/8)
	}
	if kind == dhcpv4.MessageTypeAck && m.kind() == dhcpv4.MessageTypeDiscover {
		r.put(optRapidCommit, nil)
	}
	if id := m.option(optClientID); id != nil {
		r.put(optClientID, id) // RFC 6842
	}
	boot, boots := x.config.Boot.Choose(*x.c, x.node, x.server)
	if boots {
		x.putVendor(r)
	}
	for _, o := range x.subnet.fixed {
		if o.Always || m.wants(o.Code) {
			r.put(o.Code, o.Data)
		}
	}
	// The client knows its own name.
	if x.node.Hostname != "" && m.wants(optHostname) {
		r.put(optHostname, []byte(x.node.Hostname))
	}
	if boots {
		x.putBoot(r, boot)
		if x.c.IPXE {
			// There is no proxyDHCP server to wait for.
			r.put(optIPXE, []byte{ipxeNoProxy, 1, 1})
		}
	}
	x.a.Packet, x.a.To = r.bytes(m), m.destination(your, false)
}

// PXE's options inside option 43 (PXE specification 2.1, table 2-1).
const (
	pxeControl  = 6
	pxeItem     = 71
	useBootFile = 8 // of pxeControl: load the file of this message, without a menu or a search for servers
)

// putVendor writes what makes firmware take the answer as one for itself.
func (x *exchange) putVendor(r *dhcpReply) {
	switch {
	case x.c.HTTPBoot:
		// UEFI 2.10, section 24.7: without it the firmware passes the URL over.
		r.put(optClass, []byte("HTTPClient"))
	case x.c.PXE:
		r.put(optClass, []byte("PXEClient"))
		v := []byte{pxeControl, 1, useBootFile}
		if item := bootItem(x.m.option(optVendor)); item != nil {
			v = append(append(v, pxeItem, byte(len(item))), item...)
		}
		r.put(optVendor, append(v, optEnd))
	}
	if v := x.m.option(optUUID); v != nil {
		r.put(optUUID, v)
	}
}

// bootItem returns the item of a menu that a client has chosen, which it wants
// to see again.
func bootItem(v []byte) []byte {
	for len(v) > 1 && v[0] != optEnd && len(v) >= 2+int(v[1]) {
		if v[0] == pxeItem && v[1] <= 4 {
			return v[2 : 2+v[1]]
		}
		v = v[2+int(v[1]):]
	}
	return nil
}

// putBoot writes what to load, into the header where old firmware looks for it,
// and into options.
func (x *exchange) putBoot(r *dhcpReply, boot Boot) {
	if boot.Server.IsValid() {
		r.field(offsetNext, boot.Server)
	}
	if len(boot.File) < fileLen {
		copy(r.b[offsetFile:], boot.File)
	}
	if len(boot.File) >= fileLen || x.m.wants(optBootFile) {
		r.put(optBootFile, []byte(boot.File))
	}
	if boot.Server.IsValid() && x.m.wants(optTFTPServer) {
		r.put(optTFTPServer, []byte(boot.Server.String()))
	}
	x.event(EventBoot, x.c.IP, boot.File)
}

// fixedOptions encodes what is the same for all clients of a subnet, the most
// important first.
func (s Subnet) fixedOptions() []CustomOption {
	var all []CustomOption
	add := func(code byte, data []byte) {
		if len(data) > 0 {
			all = append(all, CustomOption{Code: code, Data: data})
		}
	}
	mask := ^uint32(0) << (32 - s.Prefix.Bits())
	all = append(all, CustomOption{optMask, binary.BigEndian.AppendUint32(nil, mask), true})
	// RFC 3442: a client that knows option 121 looks at no other route.
	add(optRoutes, routeBytes(s.Routes))
	add(optRouter, addrBytes(s.Routers))
	add(optDNS, addrBytes(s.DNS))
	add(optDomain, []byte(s.Domain))
	if s.Prefix.Bits() <= 30 {
		add(optBroadcast, binary.BigEndian.AppendUint32(nil, number(s.Prefix.Addr())|^mask))
	}
	if s.MTU > 0 {
		add(optMTU, binary.BigEndian.AppendUint16(nil, uint16(s.MTU)))
	}
	add(optNTP, addrBytes(s.NTP))
	if len(s.Search) > 0 {
		add(optSearch, (&rfc1035label.Labels{Labels: trimDots(s.Search)}).ToBytes())
	}
	add(optRoutesMS, routeBytes(s.Routes))
	return append(all, s.Options...)
}

func addrBytes(addrs []netip.Addr) []byte {
	var b []byte
	for _, a := range addrs {
		b = append(b, a.AsSlice()...)
	}
	return b
}

// routeBytes encodes routes: the prefix's length, as many of its bytes as that
// needs, and the gateway (RFC 3442).
func routeBytes(routes []Route) []byte {
	var b []byte
	for _, r := range routes {
		b = append(b, byte(r.To.Bits()))
		b = append(b, r.To.Masked().Addr().AsSlice()[:(r.To.Bits()+7)/8]...)
		b = append(b, r.Via.AsSlice()...)
	}
	return b
}

// proxyOffer tells a PXE client what to boot and leaves its address to another
// server (PXE specification 2.1, section 2.2.1).
func (x *exchange) proxyOffer() {
	x.event(EventSeen, netip.Addr{}, "")
	x.bootOnly(dhcpv4.MessageTypeOffer, everybody())
	if x.m.relay().IsValid() {
		x.a.To = x.m.destination(netip.Addr{}, false)
	}
}

// bootServer answers a client that has an address by now and asks the boot
// server's port.
func (x *exchange) bootServer() {
	if x.c.PXE || x.c.HTTPBoot {
		x.bootOnly(dhcpv4.MessageTypeAck, Destination{Addr: x.from.From})
	}
}

// bootOnly writes an answer without an address.
func (x *exchange) bootOnly(kind dhcpv4.MessageType, to Destination) {
	boot, ok := x.config.Boot.Choose(*x.c, x.node, x.server)
	if !ok {
		return
	}
	r := newReply(x.m, kind)
	if kind == dhcpv4.MessageTypeAck {
		copy(r.b[offsetClient:offsetYour], x.m.raw[offsetClient:])
	}
	r.putAddr(optServerID, x.server)
	x.putVendor(r)
	if id := x.m.option(optClientID); id != nil {
		r.put(optClientID, id)
	}
	x.putBoot(r, boot)
	x.a.Packet, x.a.To = r.bytes(x.m), to
}

// trimDots takes the last dot off names, which the encoding has anyway.
func trimDots(names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, strings.TrimSuffix(n, "."))
	}
	return all
}
