package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"rambox/internal/qemu"
)

// impliedNet is the network of a run without --net.
func (o *runOptions) impliedNet() string {
	if len(o.forwards) > 0 {
		return "user"
	}
	return "none"
}

// network is what --net, --mac and --forward ask for.
func (o *runOptions) network() (qemu.Network, error) {
	n, err := qemu.ParseNetwork(o.net)
	if err != nil {
		return n, fmt.Errorf("--net %s: %w", o.net, err)
	}
	if len(o.forwards) > 0 && n.Kind != "user" {
		why := "there is no network to forward to"
		if n.Card() {
			why = "nothing lies between the guest and its network; connect to the guest's own address"
		}
		return n, fmt.Errorf("--forward %s with --net %s: %s", o.forwards[0], n, why)
	}
	for _, s := range o.forwards {
		f, err := qemu.ParseForward(s)
		if err != nil {
			return n, fmt.Errorf("--forward %s: %w", s, err)
		}
		n.Forwards = append(n.Forwards, f)
	}
	n.MAC, err = o.macFor(n)
	return n, err
}

// macFor gives each machine on a network that it shares with others an address
// of its own.
func (o *runOptions) macFor(n qemu.Network) (string, error) {
	switch {
	case o.mac != "" && !n.Card():
		return "", errors.New("--mac: there is no network card; want --net")
	case o.mac != "":
		mac, err := qemu.ParseMAC(o.mac)
		if err != nil {
			return "", fmt.Errorf("--mac %s: %w", o.mac, err)
		}
		return mac, nil
	case n.Link != "":
		return qemu.NewMAC(), nil
	default:
		return "", nil
	}
}

// holdPorts keeps the ports that are to be forwarded for QEMU, and tells the
// ones that it has chosen.
func holdPorts(n *qemu.Network) (release func(), err error) {
	asked := slices.Clone(n.Forwards)
	release, err = n.HoldPorts()
	if err != nil {
		return nil, err
	}
	for i, f := range n.Forwards {
		if asked[i].Host.Port() != 0 {
			continue
		}
		udp := ""
		if f.Proto != "tcp" {
			udp = strings.ToUpper(f.Proto) + " "
		}
		fmt.Fprintf(os.Stderr, "rambox: %s%s forwards to port %d of the guest\n", udp, f.Host, f.Guest)
	}
	return release, nil
}
