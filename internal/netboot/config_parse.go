package netboot

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// configCPUs are the names of architectures in a configuration.
func configCPUs() []string { return []string{"bios", "x86", "x64", "arm", "arm64", "riscv64"} }

// ParseConfig reads the text of serve.toml. Files are relative to dir. It does
// no I/O: whether the files are there says [Config.Files]. An error is a
// [*ConfigError].
func ParseConfig(file, dir string, text []byte) (*Config, error) {
	d, top, err := readDocument(file, text)
	if err != nil {
		return nil, err
	}
	c := &Config{
		File: file, Programs: map[string]string{},
		byMAC: map[string]int{}, byUUID: map[string]int{}, byAddr: map[netip.Addr]int{},
	}
	p := &configParser{Config: c, dir: dir}
	p.server(top)
	c.lines = d.lines
	for _, s := range top.tables("subnet") {
		p.subnet(s)
	}
	programs := top.table("program")
	for _, cpu := range configCPUs() {
		if name := p.file(programs, cpu, "pxelinux", "uki"); name != "" {
			c.Programs[cpu] = name
		}
	}
	programs.end()
	c.defaults = p.loads(top)
	for _, s := range top.tables("group") {
		p.group(s)
	}
	for _, s := range top.tables("node") {
		p.node(s)
	}
	top.end()
	p.whole(d)
	if d.bad != nil {
		return nil, d.bad
	}
	return c, nil
}

// configParser is a Config that is being made.
type configParser struct {
	*Config
	dir string
}

// server reads the keys of the server itself.
func (p *configParser) server(s *section) {
	p.Listen = s.texts("listen")
	p.Proxy = s.word("mode", "dhcp", "proxy") == "proxy"
	p.Authoritative = s.flag("authoritative")
	if p.HTTPPort = s.number("http-port", 1, 65535); p.HTTPPort == 0 {
		p.HTTPPort = DefaultHTTPPort
	}
	line := s.line("servers")
	for _, server := range s.texts("servers") {
		if _, err := fileURL(server, "x"); err != nil {
			s.d.complain(line, "servers: %w", err)
		}
		p.Servers = append(p.Servers, strings.TrimRight(server, "/"))
	}
	p.Watchers = s.prefixes("watchers")
	p.Deny = s.word("unknown", "boot", "deny") == "deny"
	p.Dir = p.file(s, "dir")
}

// prefixes reads networks; an address is one of itself.
func (s *section) prefixes(key string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range s.texts(key) {
		prefix, err := netip.ParsePrefix(text)
		if a, aErr := netip.ParseAddr(text); aErr == nil {
			prefix, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || prefix.Masked() != prefix {
			s.wrong(key, "%q: want a network, such as 10.0.0.0/24, or an address", text)
			return nil
		}
		all = append(all, prefix)
	}
	return all
}

// addresses reads IPv4 addresses.
func (s *section) addresses(key string) []netip.Addr {
	var all []netip.Addr
	for _, text := range s.texts(key) {
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is4() {
			s.wrong(key, "%q: want an IPv4 address", text)
			return nil
		}
		all = append(all, a)
	}
	return all
}

// file reads the name of a file and makes it absolute, unless it is one of
// some words.
func (p *configParser) file(s *section, key string, words ...string) string {
	name := s.text(key)
	if name == "" || slices.Contains(words, name) {
		return name
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(p.dir, name)
	}
	p.files = append(p.files, namedFile{filepath.Clean(name), key, s.line(key)})
	return filepath.Clean(name)
}

// ParseRange reads "10.0.0.100-10.0.0.199".
func ParseRange(text string) (Range, error) {
	first, last, _ := strings.Cut(text, "-")
	a, errFirst := netip.ParseAddr(strings.TrimSpace(first))
	b, errLast := netip.ParseAddr(strings.TrimSpace(last))
	if errFirst != nil || errLast != nil || !a.Is4() || !b.Is4() || b.Less(a) {
		return Range{}, fmt.Errorf("%q: want two addresses, the lower first, such as 10.0.0.100-10.0.0.199", text)
	}
	return Range{a, b}, nil
}

func (p *configParser) subnet(s *section) {
	line := s.line("")
	n := Subnet{
		Routers: s.addresses("router"), DNS: s.addresses("dns"), NTP: s.addresses("ntp"),
		Domain: s.text("domain"), Search: s.texts("search"), MTU: s.number("mtu", 68, 65535),
		Lease: s.duration("lease"), MinLease: s.duration("min-lease"), MaxLease: s.duration("max-lease"),
	}
	prefixes := s.prefixes("network")
	if len(prefixes) == 1 {
		n.Prefix, line = prefixes[0], s.line("network")
	} else {
		s.d.lacks(line, "subnet: want one network = \"10.0.0.0/24\"")
	}
	for _, text := range s.texts("pool") {
		r, err := ParseRange(text)
		if err != nil {
			s.wrong("pool", "%w", err)
			continue
		}
		n.Pools = append(n.Pools, r)
		if err := (Subnet{Prefix: n.Prefix, Pools: n.Pools}).validate(); err != nil && n.Prefix.IsValid() {
			s.d.complain(s.line("pool"), "%w", err)
		}
	}
	checkLease(s, &n)
	if p.Proxy {
		s.d.complain(s.line(""), `subnet: with mode = "proxy" another server gives out the addresses: leave it out`)
	}
	for _, other := range p.Subnets {
		if n.Prefix.IsValid() && other.Prefix.Overlaps(n.Prefix) {
			s.d.complain(line, "subnet %s: overlaps with %s", n.Prefix, other.Prefix)
		}
	}
	// What is left: the rest has lines of its own.
	if err := (Subnet{Prefix: n.Prefix}).validate(); err != nil && len(prefixes) == 1 {
		s.d.complain(line, "subnet %s: %w", n.Prefix, err)
	}
	s.end()
	p.Subnets = append(p.Subnets, n)
}

// checkLease complains of lease times that are not in order.
func checkLease(s *section, n *Subnet) {
	lease, low, high := n.times()
	for _, c := range []struct {
		key   string
		given time.Duration
		order bool
	}{{"lease", n.Lease, true}, {"min-lease", n.MinLease, low <= lease}, {"max-lease", n.MaxLease, lease <= high}} {
		switch {
		case c.given == 0:
		case c.given < minLease || c.given > maxLease:
			s.d.complain(s.line(c.key), "%s: %s is not between %s and %s", c.key, c.given, minLease, maxLease)
		case !c.order:
			s.d.complain(s.line(c.key), "%s: is not on its side of the lease of %s", c.key, lease)
		}
	}
}

// loads reads what a machine loads.
func (p *configParser) loads(s *section) loads {
	l := loads{kernel: p.file(s, "kernel"), image: p.file(s, "image"), root: p.file(s, "root"), append: s.optional("append")}
	if s.path != "" {
		l.deny = s.flag("deny")
	}
	if l.append != nil {
		if err := checkAppend(*l.append); err != nil {
			s.wrong("append", "%s", strings.TrimPrefix(err.Error(), "command line: "))
		}
	}
	return l
}

// checkAppend finds what no machine could get in its command line.
func checkAppend(line string) error {
	someone := Client{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, UUID: "u", IP: netip.IPv4Unspecified()}
	filled, err := fillIn(line, someone, Node{Hostname: "h"})
	if err == nil {
		_, err = ipxeWords(filled)
	}
	if err == nil && len(filled) > maxBootLine {
		err = fmt.Errorf("%d bytes: kernels keep %d", len(filled), maxBootLine)
	}
	return err
}
