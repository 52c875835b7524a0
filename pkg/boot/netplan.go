//go:build !nonet

package boot

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"rambox/pkg/cmdline"
	"rambox/pkg/netcfg"
)

// Network is what a machine's network is to be.
type Network struct {
	Mode     netcfg.Mode
	Needed   bool          // rd.neednet=1: without network the boot has failed
	Wait     time.Duration // how long the handoff waits at most
	Params   []string      // the parameters that say so, for the process that sees to it: ["ip=dhcp"]
	Hostname bool          // a lease's host name is taken
}

// on tells whether there is to be a network at all.
func (n Network) on() bool { return n.Mode != netcfg.ModeOff }

// asked tells whether the command line asks for it: without that, a machine
// that has no link needs no process for one.
func (n Network) asked() bool { return n.Mode != netcfg.ModeAuto && n.on() }

// network plans the network. Two handoffs differ from the rest: shell, which
// ignores the line, and a root on a disk, whose own system brings up the
// network in its own way unless the line asks for it here.
func (p *Plan) network(args cmdline.Args) {
	var params []string
	onNetwork := p.Handoff == ToRoot && p.Root.onNetwork()
	plan, err := netcfg.Parse(func(name string) []string {
		values := args.Values(name)
		switch {
		case values != nil:
		case onNetwork:
			values = p.networkRoot(args, name)
		case name == "ip" && p.Handoff != ToRoot && args.Has("BOOTIF") && !args.Has("nfsaddrs"):
			values = []string{"dhcp"} // it lives on the network: its card may take seconds
		}
		for _, v := range values {
			params = append(params, name+"="+v)
		}
		if values == nil && strings.Contains(name, ".") && bare(args, name) {
			params = append(params, name)
			values = []string{""} // a flag
		}
		return values
	})
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			p.warn("%s", strings.TrimSpace(line))
		}
	}
	_, named := args.Value("hostname")
	p.Network = Network{Mode: plan.Mode, Needed: plan.NeedNet || onNetwork, Wait: plan.Timeout, Params: params, Hostname: !named}
	if p.atOnce() ||
		p.Handoff == ToRoot && !onNetwork && p.Root.Kind != RootHelper && plan.Mode == netcfg.ModeAuto || plan.Mode == netcfg.ModeOff {
		p.Network = Network{Mode: netcfg.ModeOff}
	}
	if p.Network.asked() {
		p.LoadFor = append(p.LoadFor, packetSockets)
		if plan.NeedsIPv6() {
			p.LoadFor = append(p.LoadFor, "net-pf-10")
		}
		if len(plan.VLANs) > 0 {
			p.LoadFor = append(p.LoadFor, "8021q")
		}
	}
}

// networkRoot is what a root on the network asks for where the line is silent:
// DHCP, for as long as the root itself may take.
func (p *Plan) networkRoot(args cmdline.Args, name string) []string {
	switch {
	case name == "ip" && !args.Has("nfsaddrs"):
		return []string{"dhcp"}
	case name == "rambox.net.timeout" && p.Root.Wait == WaitForever:
		return []string{strconv.Itoa(1 << 30)} // 34 years
	case name == "rambox.net.timeout" && args.Has("rootwait"):
		return []string{strconv.Itoa(int(p.Root.Wait / time.Second))}
	}
	return nil
}

// String says what will be done: "DHCP where there is a carrier; the handoff
// waits at most 10s".
func (n Network) String() string {
	what := "DHCP where there is a carrier"
	if len(n.Params) > 0 {
		what = strings.Join(n.Params, " ")
	}
	switch n.Mode {
	case netcfg.ModeOff:
		return "off"
	case netcfg.ModeBackground:
		return what + "; the handoff does not wait"
	}
	after := ""
	if n.Needed {
		after = ", and fails without"
	}
	return fmt.Sprintf("%s; the handoff waits at most %v%s", what, n.Wait, after)
}

// packetSockets is the alias of the module with AF_PACKET, in which DHCP is
// spoken.
const packetSockets = "net-pf-17"
