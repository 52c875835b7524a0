package netboot

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// BootConfig says what each kind of client loads. Texts may have ${server},
// ${mac}, ${uuid}, ${ip}, ${hostname} and ${arch} in them; server is the
// address at which the client reaches this server.
type BootConfig struct {
	// TFTP names another TFTP server; zero: the address that answers.
	TFTP netip.Addr

	// Programs are paths for TFTP, by architecture: "ipxe.efi".
	Programs map[Arch]string

	// HTTPPrograms are URLs for firmware that loads by HTTP.
	HTTPPrograms map[Arch]string

	// Script is the URL of the script for iPXE, and ScriptTFTP its path for an
	// iPXE that was built without HTTP.
	Script     string
	ScriptTFTP string
}

func (b BootConfig) validate() error {
	if b.TFTP.IsValid() && !b.TFTP.Is4() {
		return fmt.Errorf("TFTP server %s: not an IPv4 address", b.TFTP)
	}
	for arch, name := range b.Programs {
		if name == "" || len(name) >= fileLen {
			return fmt.Errorf("boot program for %s: a path has 1 to %d bytes", arch, fileLen-1)
		}
	}
	for arch, u := range b.HTTPPrograms {
		if err := httpURL(u); err != nil {
			return fmt.Errorf("boot program for %s: %w", arch, err)
		}
	}
	if b.Script != "" {
		if err := httpURL(b.Script); err != nil {
			return fmt.Errorf("iPXE script: %w", err)
		}
	}
	return nil
}

func httpURL(s string) error {
	u, err := url.Parse(expand(s, Client{}, "", netip.AddrFrom4([4]byte{192, 0, 2, 1})))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New(strconv.Quote(s) + " is not an HTTP URL")
	}
	return nil
}

// Choose returns what a client loads next: firmware a boot program for its
// architecture, iPXE a script. It returns false for a client that boots
// nothing, and for an architecture without a program. Server is the answering
// address.
func (b BootConfig) Choose(c Client, n Node, server netip.Addr) (Boot, bool) {
	tftp := b.TFTP
	if !tftp.IsValid() {
		tftp = server
	}
	hostname := n.Hostname
	if hostname == "" {
		hostname = c.Hostname
	}
	boot := Boot{Server: tftp}
	switch {
	case c.IPXE && c.IPXEHTTP && b.Script != "":
		boot.File = b.Script
	case c.IPXE:
		// An iPXE in the ROM must not be sent iPXE again, or it never ends.
		boot.File = b.ScriptTFTP
	case c.HTTPBoot:
		boot.File = program(b.HTTPPrograms, c.Arch)
		boot.Server = netip.Addr{}
	case c.PXE:
		boot.File = program(b.Programs, c.Arch)
	}
	if boot.File == "" {
		return Boot{}, false
	}
	boot.File = expand(boot.File, c, hostname, server)
	return boot, true
}

// program finds the boot program of an architecture, or else of another name
// for the same: x64 firmware is 7 or 9, by RFC 4578 or its errata.
func program(programs map[Arch]string, a Arch) string {
	if p, ok := programs[a]; ok {
		return p
	}
	switch a {
	case ArchEFIBC:
		return programs[ArchEFI64]
	case ArchEFI64:
		return programs[ArchEFIBC]
	}
	return ""
}

// expand fills in the names in a boot file. What a client says of itself is
// made of characters that need no quoting in a URL.
func expand(s string, c Client, hostname string, server netip.Addr) string {
	if !strings.Contains(s, "${") {
		return s
	}
	ip := ""
	if c.IP.IsValid() {
		ip = c.IP.String()
	}
	return strings.NewReplacer(
		"${server}", server.String(), "${mac}", c.MAC.String(), "${uuid}", c.UUID,
		"${ip}", ip, "${hostname}", hostname, "${arch}", c.Arch.CPU(),
	).Replace(s)
}
