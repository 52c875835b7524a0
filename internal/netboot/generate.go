package netboot

import (
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"strings"
)

// Names of generated files, for [BootConfig]: IPXEScriptName as the path of a URL
// or for TFTP, after its names have been filled in.
const (
	IPXEScriptName = "ipxe/mac=${mac},uuid=${uuid},arch=${arch}"
	IPXEChainName  = "boot.ipxe" // for DHCP servers that cannot say who asks
)

// Generator makes the scripts and configurations of boot programs. It does not
// change once it is in use.
type Generator struct {
	Book    Book
	Servers []string // base URLs of HTTP, ours first

	// Load says what a node loads.
	Load func(Client, Node) (Load, error)

	// Known adds what has been heard of a machine by DHCP; nil: nothing.
	Known func(Client) Client
}

// Make is what Shelf.Generate wants.
func (g *Generator) Make(name string, from netip.Addr) (text []byte, ok bool, err error) {
	if path.Base(name) == IPXEChainName {
		s, err := IPXEChain(g.Servers)
		return []byte(s), true, err
	}
	form := IPXEScript
	c, ok := ipxeScriptName(name, from)
	if !ok {
		form = PXELinuxConfig
		c, ok = pxelinuxName(name, from)
	}
	if !ok {
		return nil, false, nil
	}
	if g.Known != nil {
		c = g.Known(c)
	}
	// By its UUID or its address alone a machine might look like one that
	// nobody knows. PXELINUX asks by its MAC address, too.
	if c.MAC == nil {
		return nil, false, nil
	}
	n, load, err := g.find(c)
	if err != nil {
		return nil, false, err
	}
	s, err := form(c, n, load)
	return []byte(s), true, err
}

// find returns the node that a client is, and what it loads.
func (g *Generator) find(c Client) (Node, Load, error) {
	n, ok := g.Book.Lookup(c)
	if !ok {
		return n, Load{}, fmt.Errorf("%s: not in the configuration: %w", Node{}.label(c), fs.ErrNotExist)
	}
	if n.Refused {
		return n, Load{}, fmt.Errorf("%s: is refused: %w", n.label(c), fs.ErrPermission)
	}
	load, err := g.Load(c, n)
	return n, load, err
}

// ipxeScriptName reads IPXEScriptName.
func ipxeScriptName(name string, from netip.Addr) (c Client, ok bool) {
	fields, ok := strings.CutPrefix(name, "ipxe/")
	if !ok {
		return c, false
	}
	c, ok = clientFields(fields, from)
	c.IPXE, c.IPXEHTTP = true, true
	return c, ok
}

// clientFields reads what a client has said of itself: "mac=…,uuid=…,arch=…". It
// returns false where there is no hardware address.
func clientFields(fields string, from netip.Addr) (c Client, ok bool) {
	c = Client{IP: from}
	for field := range strings.SplitSeq(fields, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch {
		case key == "mac":
			mac, err := net.ParseMAC(value)
			if err != nil {
				return c, false
			}
			c.MAC = mac
		case key == "uuid" && isUUID(value):
			c.UUID = strings.ToLower(value)
		case key == "sysuuid" && isUUID(value): // iPXE's own, in the order that people see
			c.UUID = swapUUID(strings.ToLower(value))
		case key == "arch":
			c.Arch = archNamed(value)
		}
	}
	return c, c.MAC != nil
}

// archNamed is the architecture of a name: what [Arch.CPU] or iPXE calls it. An
// iPXE for i386 runs on BIOS.
func archNamed(name string) Arch {
	switch name {
	case "x86":
		return ArchEFI32
	case "x64", "x86_64":
		return ArchEFI64
	case "arm", "arm32":
		return ArchEFIArm
	case "arm64":
		return ArchEFIArm64
	case "riscv64":
		return ArchRISCV64
	}
	return ArchBIOS
}

// Known adds what the machines of this server are known by: the MAC address to
// one that has said its IP address or UUID, and the reverse.
func (m *Machines) Known(c Client) Client {
	s, ok := m.Lookup(c.MAC)
	switch {
	case ok || c.MAC != nil:
	case c.UUID == "":
		s, ok = m.At(c.IP)
	case !blankUUID(c.UUID): // which firmware says that has none
		s, ok = m.withUUID(c.UUID, c.IP)
	}
	if !ok {
		return c
	}
	c.MAC = s.MAC
	if c.UUID == "" {
		c.UUID = s.UUID
	}
	if c.Hostname == "" {
		c.Hostname = s.Hostname
	}
	return c
}
