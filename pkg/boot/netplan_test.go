//go:build !nonet

package boot

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/cmdline"
)

func TestPlanNetwork(t *testing.T) {
	const auto = "DHCP where there is a carrier; the handoff waits at most 10s"
	for _, tc := range []struct {
		name, line string
		image      Image
		want       string
		warnings   []string
	}{
		{"by itself", "", withApp, auto, nil},
		{"staying in RAM", "rambox", withInit, auto, nil},
		{"a shell for want of anything else", "quiet", withShell, auto, nil},
		{"a shell that was asked for", "shell ip=dhcp", withShell, "off", nil},
		{"a root on a disk", "root=/dev/vda1", withShell, "off", nil},
		{"a root on a disk with ip=", "root=/dev/vda1 ip=dhcp", withShell, "ip=dhcp; the handoff waits at most 30s", nil},
		{"several parameters", "BOOTIF=01-52-54-00-12-34-56 ip=eth0:dhcp nameserver=10.0.0.1 ip=eth1:dhcp", withApp,
			"ip=eth0:dhcp ip=eth1:dhcp BOOTIF=01-52-54-00-12-34-56 nameserver=10.0.0.1; the handoff waits at most 30s", nil},
		{"booted from the network", "BOOTIF=01-52-54-00-12-34-56", withApp,
			"ip=dhcp BOOTIF=01-52-54-00-12-34-56; the handoff waits at most 30s", nil},
		{"booted from the network, a root on a disk", "BOOTIF=01-52-54-00-12-34-56 root=/dev/vda1", withShell, "off", nil},
		{"booted from the network, without one", "BOOTIF=01-52-54-00-12-34-56 rambox.net=off", withApp, "off", nil},
		{"off", "ip=off", withApp, "off", nil},
		{"off by our own parameter", "rambox.net=off rd.neednet", withApp, "off", nil},
		{"in the background", "rambox.net=background", withApp, "rambox.net=background; the handoff does not wait", nil},
		{"needed", "rd.neednet=1", withApp, "rd.neednet=1; the handoff waits at most 30s, and fails without", nil},
		{"needed, without a value", "rd.neednet root=/dev/vda1", withApp, "rd.neednet; the handoff waits at most 30s, and fails without", nil},
		{"probing", "rambox.net.probe ip=dhcp", withApp, "ip=dhcp rambox.net.probe; the handoff waits at most 30s", nil},
		{"its own deadline", "rambox.net.timeout=3", withApp, "rambox.net.timeout=3; the handoff waits at most 3s", nil},
		{"a typing mistake asks DHCP", "ip=10.0.0.300::", withApp, "ip=10.0.0.300::; the handoff waits at most 30s",
			[]string{`ip=10.0.0.300::: client address: "10.0.0.300" is no IP address`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _ := NewPlan(cmdline.Parse(tc.line), tc.image)
			if got := p.Network.String(); got != tc.want {
				t.Errorf("NewPlan(%q).Network = %q, want %q", tc.line, got, tc.want)
			}
			if diff := cmp.Diff(tc.warnings, p.Warnings); diff != "" {
				t.Errorf("NewPlan(%q).Warnings (-want +got):\n%s", tc.line, diff)
			}
		})
	}
}

func TestLineHostnameBeatsALease(t *testing.T) {
	for line, want := range map[string]bool{"": true, "ip=dhcp": true, "hostname=node7": false} {
		p, err := NewPlan(cmdline.Parse(line), Image{Shell: "/bin/sh", Hostname: "image"})
		if err != nil {
			t.Fatal(err)
		}
		if p.Network.Hostname != want {
			t.Errorf("NewPlan(%q): a lease's host name is taken: %v, want %v", line, p.Network.Hostname, want)
		}
	}
}

// TestPlanLoadsPacketSockets: where they are a module, DHCP needs it.
func TestPlanLoadsPacketSockets(t *testing.T) {
	p, err := NewPlan(cmdline.Parse("root=/dev/vda rootfstype=ext4 ip=dhcp"), withShell)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.LoadFor, " "); got != "fs-ext4 net-pf-17" {
		t.Errorf("LoadFor = %q", got)
	}
}
