package netboot

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strings"
)

// PXELinuxConfig is the configuration that makes PXELINUX load and start a
// node's kernel, by the protocol that it has itself been loaded by.
func PXELinuxConfig(c Client, n Node, l Load) (string, error) {
	err := checkWords(l.Cmdline)
	switch line := strings.TrimSpace(l.Cmdline); {
	case l.Kernel == "":
		err = errors.New("no kernel")
	case err == nil && line == "-": // PXELINUX: nothing at all
		err = errors.New(`command line: "-" alone, which PXELINUX drops`)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", n.label(c), err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\nDEFAULT rambox\nPROMPT 0\nLABEL rambox\n  LINUX /%s\n", plainText([]byte(n.label(c))), l.Kernel)
	if l.Initrd != "" {
		fmt.Fprintf(&b, "  INITRD /%s\n", l.Initrd)
	}
	if line := strings.TrimSpace(l.Cmdline); line != "" {
		fmt.Fprintf(&b, "  APPEND %s\n", line)
	}
	return b.String(), nil
}

// pxelinuxName reads the name of a configuration: "pxelinux.cfg/" with a UUID,
// "01-" and a MAC address, an IPv4 address in hex or the beginning of one, or
// "default", in any directory. from is who asks.
func pxelinuxName(name string, from netip.Addr) (c Client, ok bool) {
	dir, file := path.Split(name)
	if path.Base(dir) != "pxelinux.cfg" {
		return c, false
	}
	c.IP = from
	if rest, ok := strings.CutPrefix(file, "01-"); ok {
		mac, err := net.ParseMAC(rest)
		if err != nil || len(mac) != 6 {
			return c, false
		}
		c.MAC = mac
		return c, true
	}
	switch {
	case file == "default":
		return c, true
	case isUUID(file):
		c.UUID = strings.ToLower(file)
		return c, true
	case len(file) <= 8 && from.Is4():
		// PXELINUX asks for its own address only, one digit less each time.
		b := from.As4()
		return c, strings.HasPrefix(strings.ToUpper(hex.EncodeToString(b[:])), file)
	}
	return c, false
}

// isUUID tells whether a text has the form of a UUID.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
	}
	return true
}
