package qemu

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Network is what the machine's network card is connected to. The zero value is a machine without one.
type Network struct {
	Kind     string    // none, user (QEMU's own NAT with a DHCP server), tap or bridge; "" is none
	Link     string    // of tap: the name of an existing tap device; of bridge: that of a bridge, which gets a tap device for the machine
	MAC      string    // "" is QEMU's 52:54:00:12:34:56, the same for every machine
	Forwards []Forward // of user: ports of the host that lead to the guest
}

// ParseNetwork reads none, user, tap:DEVICE or bridge:DEVICE.
func ParseNetwork(s string) (Network, error) {
	kind, link, _ := strings.Cut(s, ":")
	n := Network{Kind: kind, Link: link}
	if s == "" || n.String() != s {
		return Network{}, errNetwork
	}
	if err := n.check(); err != nil {
		return Network{}, err
	}
	return n, nil
}

// String is what ParseNetwork reads.
func (n Network) String() string {
	switch {
	case n.Link != "":
		return n.Kind + ":" + n.Link
	case n.Kind == "":
		return "none"
	default:
		return n.Kind
	}
}

// Card reports whether the machine has a network card.
func (n Network) Card() bool { return n.Kind != "" && n.Kind != "none" }

var errNetwork = errors.New("want none, user, tap:DEVICE or bridge:DEVICE")

func (n Network) check() error {
	switch n.Kind {
	case "", "none", "user":
		if n.Link != "" {
			return errNetwork
		}
	case "tap", "bridge":
		if n.Link == "" {
			return errNetwork
		}
		if !deviceName(n.Link) {
			return fmt.Errorf("%q cannot be the name of a network device", n.Link)
		}
	default:
		return errNetwork
	}
	if len(n.Forwards) > 0 && n.Kind != "user" {
		return fmt.Errorf("ports are forwarded by QEMU's user network, not by %s", n)
	}
	for _, f := range n.Forwards {
		if err := f.check(); err != nil {
			return fmt.Errorf("forward %s: %w", f, err)
		}
	}
	if n.MAC == "" {
		return nil
	}
	if _, err := ParseMAC(n.MAC); err != nil {
		return fmt.Errorf("MAC address %q: %w", n.MAC, err)
	}
	return nil
}

// deviceName follows dev_valid_name, net/core/dev.c (v6.12). A % is left out: TUNSETIFF would make a name of it.
func deviceName(s string) bool {
	const size = 16 // IFNAMSIZ, with the NUL
	bad := func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("/:%", r) }
	return s != "" && len(s) < size && s != "." && s != ".." && strings.IndexFunc(s, bad) < 0
}

// args are the card, which is QEMU's device, and its other end. tapFD is the descriptor of a tap device; -1 is none: QEMU opens a tap device by its
// name, and gets one on a bridge from its helper.
func (n Network) args(device string, tapFD int) []string {
	if !n.Card() {
		return nil
	}
	netdev := n.Kind + ",id=net0"
	switch {
	case n.Kind == "user":
		for _, f := range n.Forwards {
			netdev += ",hostfwd=" + f.rule()
		}
	case tapFD >= 0: // QEMU asks the descriptor whether there are virtio-net headers (net_init_tap, net/tap.c)
		netdev = fmt.Sprintf("tap,id=net0,fd=%d", tapFD)
	case n.Kind == "tap":
		netdev += ",ifname=" + escape(n.Link) + ",script=no,downscript=no"
	default:
		netdev += ",br=" + escape(n.Link)
	}
	if n.MAC != "" {
		device += ",mac=" + n.MAC
	}
	return []string{"-netdev", netdev, "-device", device}
}

// ParseMAC reads the address of one Ethernet card and returns it in the form 52:54:00:12:34:56.
func ParseMAC(s string) (string, error) {
	mac, err := net.ParseMAC(s)
	switch {
	case err != nil || len(mac) != 6:
		return "", errors.New("want six bytes, such as 52:54:00:12:34:56")
	case mac[0]&1 != 0:
		return "", errors.New("a multicast address cannot be that of a card")
	case mac.String() == "00:00:00:00:00:00":
		return "", errors.New("the kernel takes no card with this address")
	}
	return mac.String(), nil
}

// NewMAC returns a random address with QEMU's prefix 52:54:00, which is locally administered.
func NewMAC() string {
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0}
	_, _ = rand.Read(mac[3:]) // never fails (crypto/rand)
	return mac.String()
}
