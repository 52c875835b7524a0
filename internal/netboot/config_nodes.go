package netboot

import (
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
)

func (p *configParser) group(s *section) {
	g := group{line: s.line(""), loads: p.loads(s), subnets: s.prefixes("subnet")}
	for _, text := range s.texts("mac") {
		begin := strings.TrimSuffix(strings.ToLower(strings.ReplaceAll(text, "-", ":")), ":")
		if !isMACBeginning(begin) {
			s.wrong("mac", `%q: want the beginning of a MAC address, such as "52:54:00"`, text)
		}
		g.macs = append(g.macs, begin)
	}
	for _, text := range s.texts("uuid") {
		g.uuids = append(g.uuids, s.uuid("uuid", text))
	}
	for _, arch := range s.texts("arch") {
		if !slices.Contains(configCPUs(), arch) {
			s.wrong("arch", "%q: want %s", arch, strings.Join(configCPUs(), ", "))
		}
		g.arches = append(g.arches, arch)
	}
	if len(g.macs)+len(g.uuids)+len(g.arches)+len(g.subnets) == 0 {
		s.d.lacks(g.line, "group: want mac, uuid, arch or subnet, to say which machines are in it")
	}
	s.end()
	p.groups = append(p.groups, g)
}

// isMACBeginning tells whether a text is whole bytes of an address.
func isMACBeginning(text string) bool {
	parts := strings.Split(text, ":")
	for _, part := range parts {
		if b, err := hex.DecodeString(part); err != nil || len(b) != 1 {
			return false
		}
	}
	return len(parts) <= 6
}

func (s *section) uuid(key, text string) string {
	if !isUUID(text) {
		s.wrong(key, `%q: want a UUID, such as "00112233-4455-6677-8899-aabbccddeeff"`, text)
	}
	if blankUUID(text) {
		s.wrong(key, "%s: is what machines without a UUID say", text)
	}
	return strings.ToLower(text)
}

// blankUUID tells whether a UUID is none: all bits alike, as firmware has it that
// was never told one (SMBIOS, 7.2.1).
func blankUUID(text string) bool {
	return strings.Trim(text, "0-") == "" || strings.Trim(strings.ToLower(text), "f-") == ""
}

func (p *configParser) node(s *section) {
	n := node{line: s.line(""), loads: p.loads(s)}
	if text := s.text("mac"); text != "" {
		mac, err := net.ParseMAC(text)
		if err != nil || len(mac) != 6 {
			s.wrong("mac", `%q: want a MAC address, such as "52:54:00:12:34:56"`, text)
		}
		n.mac = mac
		p.once(s, "mac", p.byMAC, mac.String())
	}
	if text := s.text("uuid"); text != "" {
		n.uuid = s.uuid("uuid", text)
		p.once(s, "uuid", p.byUUID, n.uuid)
	}
	if n.mac == nil && n.uuid == "" {
		s.d.lacks(n.line, "node: want mac or uuid, to say which machine it is")
	}
	if n.hostname = s.text("hostname"); n.hostname != "" {
		if hostname([]byte(n.hostname)) != n.hostname {
			s.wrong("hostname", "%q: want letters, digits and hyphens", n.hostname)
		}
		for _, other := range p.nodes {
			if strings.EqualFold(other.hostname, n.hostname) {
				s.wrong("hostname", "%s: the node at line %d has it", n.hostname, other.line)
			}
		}
	}
	for _, text := range s.texts("address") {
		p.address(s, &n, text)
	}
	s.end()
	p.nodes = append(p.nodes, n)
}

// once notes that the node which is being read has a key's value, which no other
// has.
func (p *configParser) once(s *section, key string, index map[string]int, value string) {
	i, taken := index[value]
	if !taken && key == "uuid" && len(value) == 36 {
		i, taken = index[swapUUID(value)]
	}
	if taken {
		s.wrong(key, "%s: the node at line %d has it", value, p.nodes[i].line)
	}
	index[value] = len(p.nodes)
}

func (p *configParser) address(s *section, n *node, text string) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() || n.address.IsValid() {
		s.wrong("address", "%q: want one IPv4 address", text)
		return
	}
	n.address = a
	if i, taken := p.byAddr[a]; taken {
		s.wrong("address", "%s: the node at line %d has it", a, p.nodes[i].line)
	}
	p.byAddr[a] = len(p.nodes)
	if p.Proxy {
		s.wrong("address", `%s: with mode = "proxy" another server gives out the addresses`, a)
		return
	}
	for _, network := range p.Subnets {
		if network.Prefix.Contains(a) {
			if in := (&subnet{Subnet: network}); in.network(a) {
				s.wrong("address", "%s: is the network's own or its broadcast address", a)
			}
			return
		}
	}
	s.wrong("address", "%s: is in no [[subnet]]", a)
}

// whole complains of what no single key says.
func (p *configParser) whole(d *document) {
	if p.Listen == nil {
		d.lacks(1, `no listen: say on which interface or address to answer: listen = "eth0"`)
	}
	if !p.Proxy && len(p.Subnets) == 0 {
		d.lacks(1, `no [[subnet]]: say which addresses to give out, or mode = "proxy" beside another server`)
	}
	if err := p.defaults.check(); err != nil && p.defaults.root != "" {
		d.lacks(d.line("root"), "configuration: %w", err)
	}
	for _, g := range p.groups {
		if err := g.over(p.defaults).check(); err != nil {
			d.lacks(g.line, "group: %w", err)
		}
	}
	for _, n := range p.nodes {
		if err := p.nodeError(n); err != nil {
			d.lacks(n.line, "node: %w", err)
		}
	}
}

// check tells whether a machine can boot what it loads.
func (l loads) check() error {
	switch {
	case l.deny:
	case l.kernel == "":
		return errors.New("no kernel")
	case l.root != "" && l.image == "":
		return errors.New("has a root, and no image to fetch it")
	}
	return nil
}

// nodeError is why a node can boot nothing, whatever group it turns out to be
// in: of its architecture nothing is known so far, of its address perhaps.
func (c *Config) nodeError(n node) error {
	for _, g := range c.groups {
		switch may, must := g.mayHave(n); {
		case must && g.deny:
			return nil
		case must:
			return n.over(g.over(c.defaults)).check()
		case may && !g.deny && n.over(g.over(c.defaults)).check() == nil:
			return nil
		}
	}
	return n.over(c.defaults).check()
}
