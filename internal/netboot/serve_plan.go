package netboot

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"rambox/pkg/cmdline"
)

// firmwareArches are the architectures of firmware by what it runs, with TFTP and
// by HTTP. Firmware of BIOS has no HTTP.
func firmwareArches(cpu string) (tftp, http []Arch) {
	switch cpu {
	case "bios":
		return []Arch{ArchBIOS}, nil
	case "x86":
		return []Arch{ArchEFI32}, []Arch{ArchHTTP32}
	case "x64":
		return []Arch{ArchEFIBC, ArchEFI64}, []Arch{ArchHTTP64}
	case "arm":
		return []Arch{ArchEFIArm}, []Arch{ArchHTTPArm}
	case "arm64":
		return []Arch{ArchEFIArm64}, []Arch{ArchHTTPArm64}
	}
	return []Arch{ArchRISCV64}, []Arch{ArchHTTPRISCV}
}

// bootPrograms are the programs of a configuration with what clients are told
// of them. Those that nobody named and Debian has not installed are left out,
// and missing says so.
func bootPrograms(c *Config) (programs []Program, boot BootConfig, missing []error, err error) {
	base := "http://${server}:" + strconv.Itoa(c.HTTPPort) + "/"
	boot = BootConfig{Programs: map[Arch]string{}, HTTPPrograms: map[Arch]string{}, Script: base + IPXEScriptName, ScriptTFTP: IPXEScriptName}
	for _, cpu := range configCPUs() {
		named := c.Programs[cpu]
		byTFTP, byHTTP := firmwareArches(cpu)
		if _, ok := debianPrograms(byTFTP[0]); !ok && named == "" {
			continue
		}
		var found []Program
		if named == "pxelinux" {
			found, err = FindPXELinux("/", byTFTP[0])
		} else {
			found = make([]Program, 1)
			found[0], err = FindProgram("/", byTFTP[0], named)
		}
		if err != nil && named == "" {
			missing = append(missing, err)
			continue
		}
		if err != nil {
			return nil, boot, nil, err
		}
		for _, a := range byTFTP {
			boot.Programs[a] = found[0].Name
		}
		for _, a := range byHTTP {
			boot.HTTPPrograms[a] = base + found[0].Name
		}
		programs = append(programs, found...)
	}
	return programs, boot, missing, nil
}

// servePlan is what a configuration comes to.
type servePlan struct {
	config  *Config
	dhcp    DHCPConfig
	shelves map[netip.Addr]*Shelf // by address of this server
	missing []error
}

// plan works out what a configuration comes to on the addresses of a server.
func (s *Server) plan(c *Config) (*servePlan, error) {
	programs, boot, missing, err := bootPrograms(c)
	if err != nil {
		return nil, err
	}
	book := liveBook{s}
	p := &servePlan{config: c, shelves: map[netip.Addr]*Shelf{}, missing: missing}
	p.dhcp = DHCPConfig{
		Proxy: c.Proxy, Subnets: c.Subnets, Book: book, Boot: boot, DenyUnknown: c.Deny, Authoritative: c.Authoritative,
		RapidCommit: true, Probe: true,
	}
	if err := p.dhcp.Validate(); err != nil {
		return nil, err
	}
	var root *os.Root
	if c.Dir != "" {
		if root, err = os.OpenRoot(c.Dir); err != nil {
			return nil, err
		}
	}
	for _, at := range s.sites {
		shelf := &Shelf{Root: root}
		if err := shelf.Serve(programs...); err != nil {
			return nil, err
		}
		c.everything(shelf.Shelve)
		servers := append([]string{"http://" + netip.AddrPortFrom(at.addr, uint16(c.HTTPPort)).String()}, c.Servers...)
		loader := Loader{Shelf: shelf, Digests: &s.digests, Servers: servers}
		generator := &Generator{
			Book: book, Servers: servers, Known: s.machines.Known,
			Load: func(client Client, n Node) (Load, error) { return s.load(loader, client, n) },
		}
		shelf.Generate = generator.Make
		p.shelves[at.addr] = shelf
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

// liveBook is the Book of the configuration that is in use. Systems and
// PXELINUX do not say on what they run; the firmware did.
type liveBook struct{ s *Server }

// Lookup is of [Book].
func (b liveBook) Lookup(c Client) (Node, bool) {
	if s, ok := b.s.machines.Lookup(c.MAC); ok && !c.PXE && !c.HTTPBoot {
		if !c.IPXE {
			c.Arch = s.Arch
		}
		if c.UUID == "" {
			c.UUID = s.UUID
		}
	}
	return b.s.config.Load().Lookup(c)
}

// Reserved is of [Book].
func (b liveBook) Reserved(a netip.Addr) bool { return b.s.config.Load().Reserved(a) }
