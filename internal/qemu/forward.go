package qemu

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Forward is a port of the host that leads to one of the guest.
type Forward struct {
	Proto string         // tcp or udp
	Host  netip.AddrPort // where QEMU listens, IPv4; port 0 is for HoldPorts to choose
	Guest uint16         // the port at the guest's first address, 10.0.2.15
}

var errForward = errors.New("want [tcp:|udp:][ADDRESS:]PORT:GUESTPORT, such as 8080:80")

// ParseForward reads [tcp:|udp:][ADDRESS:]PORT:GUESTPORT. It is TCP at 127.0.0.1 if nothing else is said, so that nobody
// but this host reaches the guest unasked.
func ParseForward(s string) (Forward, error) {
	f := Forward{Proto: "tcp"}
	addr := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if proto, rest, _ := strings.Cut(s, ":"); proto == "tcp" || proto == "udp" {
		f.Proto, s = proto, rest
	}
	if strings.HasPrefix(s, "[") {
		return Forward{}, errIPv6
	}
	words := strings.Split(s, ":")
	if len(words) == 3 {
		var err error
		if addr, err = netip.ParseAddr(words[0]); err != nil {
			return Forward{}, fmt.Errorf("%q is no IPv4 address", words[0])
		}
		words = words[1:]
	}
	if len(words) != 2 {
		return Forward{}, errForward
	}
	var ports [2]uint16
	for i, word := range words {
		n, err := strconv.ParseUint(word, 10, 16)
		if err != nil {
			return Forward{}, fmt.Errorf("%q is no port; %w", word, errForward)
		}
		ports[i] = uint16(n)
	}
	f.Host, f.Guest = netip.AddrPortFrom(addr, ports[0]), ports[1]
	if f.Guest == 0 {
		return Forward{}, errGuestPort
	}
	return f, nil
}

var (
	errIPv6      = errors.New("QEMU forwards from IPv4 addresses only")
	errGuestPort = errors.New("the guest has no port 0")
)

// String is what ParseForward reads.
func (f Forward) String() string { return fmt.Sprintf("%s:%s:%d", f.Proto, f.Host, f.Guest) }

// check reports what QEMU would refuse, or take and not tell what it made of it.
func (f Forward) check() error {
	switch {
	case f.Proto != "tcp" && f.Proto != "udp":
		return fmt.Errorf("protocol %q: want tcp or udp", f.Proto)
	case !f.Host.Addr().Is4():
		return errIPv6
	case f.Host.Port() == 0:
		return errors.New("no port of the host has been chosen")
	case f.Guest == 0:
		return errGuestPort
	}
	return nil
}

// rule is the forward in the words of hostfwd=, qemu(1).
func (f Forward) rule() string { return fmt.Sprintf("%s:%s-:%d", f.Proto, f.Host, f.Guest) }
