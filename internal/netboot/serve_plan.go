package netboot

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"strings"

	"rambox/pkg/cmdline"
)

// servePlan is what a configuration comes to.
type servePlan struct {
	config  *Config
	dhcp    DHCPConfig
	shelves map[*site]*Shelf
	missing []error
}

// plan works out what a configuration comes to on the addresses of a server.
func (s *Server) plan(c *Config, sites []*site) (*servePlan, error) {
	found, err := findFirmware("/", c, s.stubs)
	if err != nil {
		return nil, err
	}
	if s.stubs == nil {
		s.stubs = map[string][]byte{}
	}
	maps.Copy(s.stubs, found.stubs)
	book := knownBook{s.machines, c}
	p := &servePlan{config: c, shelves: map[*site]*Shelf{}, missing: found.missing}
	p.dhcp = DHCPConfig{
		Proxy: c.Proxy, Subnets: c.Subnets, Book: book, Boot: found.boot, DenyUnknown: c.Deny, Authoritative: c.Authoritative,
		RapidCommit: true, Probe: true,
	}
	if err := p.dhcp.Validate(); err != nil {
		return nil, &ConfigError{File: c.File, Err: err}
	}
	var root *os.Root
	if c.Dir != "" {
		if root, err = os.OpenRoot(c.Dir); err != nil {
			return nil, c.wrong("dir", err)
		}
	}
	for _, at := range sites {
		shelf := &Shelf{Root: root}
		if err := shelf.Serve(found.programs...); err != nil {
			return nil, c.wrong("program", err)
		}
		c.everything(shelf.Shelve)
		servers := append([]string{"http://" + netip.AddrPortFrom(at.addr, uint16(c.HTTPPort)).String()}, c.Servers...)
		loader := Loader{Shelf: shelf, Digests: &s.digests, Servers: servers}
		generator := &Generator{
			Book: book, Servers: servers, Known: s.machines.Known,
			Load: func(client Client, n Node) (Load, error) { return s.load(loader, client, n) },
		}
		shelf.Generate = generator.Make
		shelf.Program = (&UKIs{Generator: generator, Shelf: shelf, Stubs: found.stubs}).Make
		p.shelves[at] = shelf
	}
	return p, nil
}

// load adds to a node's command line where it reports.
func (s *Server) load(loader Loader, c Client, n Node) (Load, error) {
	load, err := loader.Load(c, n)
	if err != nil {
		return Load{}, err
	}
	if _, ok := cmdline.Parse(load.Cmdline).Lookup("rambox.report"); ok {
		return load, nil
	}
	// In front: what stands behind "--" is not for init.
	load.Cmdline = strings.TrimSpace("rambox.report=" + loader.Servers[0] + ReportPath + "/" + c.MAC.String() + " " + load.Cmdline)
	if len(load.Cmdline) > maxBootLine {
		return Load{}, fmt.Errorf("%s: command line of %d bytes: kernels keep %d", n.label(c), len(load.Cmdline), maxBootLine)
	}
	return load, nil
}

// knownBook is a configuration with what has been heard of the machines. Systems
// and PXELINUX do not say on what they run; the firmware did.
type knownBook struct {
	machines *Machines
	config   *Config
}

// Lookup is of [Book].
func (b knownBook) Lookup(c Client) (Node, bool) {
	if s, ok := b.machines.Lookup(c.MAC); ok && !c.PXE && !c.HTTPBoot {
		if !c.IPXE {
			c.Arch = s.Arch
		}
		if c.UUID == "" {
			c.UUID = s.UUID
		}
	}
	return b.config.Lookup(c)
}

// Reserved is of [Book].
func (b knownBook) Reserved(a netip.Addr) bool { return b.config.Reserved(a) }
