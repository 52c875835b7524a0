//go:build linux

package netcfg_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/netcfg"
)

// TestIPv6Together asks for both families on every link. One link wins both,
// and the other goes down.
func TestIPv6Together(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable6("eth0", mac, "s0", server6, "10.9.0.1/24")
	l.cable6("eth1", mac2, "s1")
	l.advertise(pool, "--dhcp-option=6,10.9.0.1", pool6, rdnss, dnssl)
	n := l.run("ip=dhcp ip=dhcp6")
	if e := n.wait(netcfg.Settled); e.Err != nil {
		t.Errorf("settled with %v", e.Err)
	}
	if got := l.client.IP("-br", "link", "show", "eth1"); strings.Contains(got, ",UP") {
		t.Errorf("eth1 is %s, want it down", got)
	}
	got := n.file("run/net-eth0.conf")
	for _, want := range []string{"PROTO='dhcp'\nIPV4ADDR='10.9.0.", "IPV6PROTO='dhcp6'\nIPV6ADDR='fd00:1::10/128'\n", "IPV4DNS0='10.9.0.1'\n", "IPV6DNS0='fd00:1::53'\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("lease file:\n%s\nwant %s", got, want)
		}
	}
	if got, want := n.file("etc/resolv.conf"), "search a.example b.example\nnameserver 10.9.0.1\nnameserver fd00:1::53\n"; got != want {
		t.Errorf("resolv.conf = %q, want %q", got, want)
	}

	// Each renews for itself.
	n.commands <- netcfg.RenewNow
	protos := map[string]bool{}
	for len(protos) < 2 {
		protos[n.wait(netcfg.Configured).Config.Proto] = true
	}
	n.commands <- netcfg.ReleaseAll
	n.wait(netcfg.Lost)
	n.wait(netcfg.Lost)
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	l.wantState("lo 127.0.0.1/8\n")
	if got := l.state6(); strings.Contains(got, "fd00:1::10") {
		t.Errorf("after the release:\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(n.dir, "run/net-eth0.conf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lease file after the release: %v", err)
	}
}

// TestIPv6Apart finds IPv4 on one link and IPv6 on the other: both stay up.
func TestIPv6Apart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable6("eth0", mac, "s0", server6)
	l.cable6("eth1", mac2, "s1", "10.9.0.1/24")
	l.advertise("--dhcp-range=fd00:1::,ra-only", rdnss)
	l.dnsmasq(pool, "--interface=s1")
	n := l.run("ip=dhcp ip=auto6")
	on := map[string]string{}
	for len(on) < 2 {
		e := n.wait(netcfg.Configured)
		on[e.Link] = e.Config.Proto
	}
	if diff := cmp.Diff(map[string]string{"eth0": "auto6", "eth1": "dhcp"}, on); diff != "" {
		t.Errorf("configured (-want +got):\n%s", diff)
	}
	n.wait(netcfg.Settled)
	for _, device := range []string{"eth0", "eth1"} {
		if got := l.client.IP("-br", "link", "show", device); !strings.Contains(got, ",UP") {
			t.Errorf("%s is %s, want it up", device, got)
		}
	}
}

// TestIPv6Race hears routers on two links: one wins, and the other goes down.
func TestIPv6Race(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable6("eth0", mac, "s0", server6)
	l.cable6("eth1", mac2, "s1", "fd00:2::1/64")
	l.advertise("--interface=s1", "--dhcp-range=fd00:1::,ra-stateless", "--dhcp-range=fd00:2::,ra-stateless", rdnss)
	n := l.run("ip=auto6")
	winner := n.wait(netcfg.Configured).Link
	n.wait(netcfg.Settled)
	for _, device := range []string{"eth0", "eth1"} {
		got := l.client.IP("-br", "link", "show", device)
		if up := strings.Contains(got, ",UP"); up != (device == winner) {
			t.Errorf("%s has won, and %s is %s", winner, device, got)
		}
	}
}

// TestIPv6LinkChanges loses the carrier, and then the whole link, of a lease and
// of a router's address; the lease is confirmed, and the address comes again.
func TestIPv6LinkChanges(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable6("eth0", mac, "s0", server6)
	l.advertise(pool6, rdnss)
	n := l.run("ip=dhcp6")
	n.wait(netcfg.Configured)
	before := l.state6()
	for range 2 {
		n.drain()
		l.server.IP("link", "set", "s0", "down")
		l.server.IP("link", "set", "s0", "up")
		l.server.IP("addr", "replace", router6+"/64", "dev", "s0")
		l.server.IP("addr", "replace", server6, "dev", "s0")
		n.wait(netcfg.Configured)
	}
	n.drain()
	l.client.IP("link", "set", "eth0", "down")
	l.client.IP("link", "set", "eth0", "up")
	n.wait(netcfg.Configured)
	if got := l.state6(); !strings.HasPrefix(got, before[:strings.Index(before, "fe80")]) {
		t.Errorf("state after the link was down:\n%s\nbefore:\n%s", got, before)
	}
}

// drain forgets the events so far.
func (n *node) drain() {
	for len(n.events) > 0 {
		<-n.events
	}
}

// TestIPv6Lost takes away what the kernel has made.
func TestIPv6Lost(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable6("eth0", mac, "s0", server6)
	l.advertise("--dhcp-range=fd00:1::,ra-only", rdnss)
	n := l.run("ip=auto6")
	n.wait(netcfg.Configured)
	l.client.IP("addr", "del", auto6, "dev", "eth0")
	if e := n.wait(netcfg.Lost); e.Config.Addr.String() != auto6 {
		t.Errorf("lost %s, want %s", e.Config.Addr, auto6)
	}
	if _, err := os.Stat(filepath.Join(n.dir, "run/net-eth0.conf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lease file after the address: %v", err)
	}
	l.client.IP("link", "set", "eth0", "down")
	l.client.IP("link", "set", "eth0", "up")
	n.wait(netcfg.Configured)
}

// TestIPv6Restart runs again over what an earlier run has left: name servers
// are learnt again, and the address stays.
func TestIPv6Restart(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"auto6", "dhcp6", "either6"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.cable6("eth0", mac, "s0", server6)
			l.advertise("--dhcp-range=fd00:1::10,fd00:1::ff,slaac,64,1h", rdnss)
			dir := t.TempDir()
			first := n6(l, dir, method)
			before := l.state6()
			if again := n6(l, dir, method); again != first {
				t.Errorf("address %s after a restart, %s before", again, first)
			}
			l.wantState6(before)
		})
	}
}

// n6 runs until all is there: an address, a server's if there is one, and a
// name server.
func n6(l *lab, dir, method string) string {
	l.t.Helper()
	n := l.runIn(dir, "ip="+method, nil)
	for {
		c := n.wait(netcfg.Configured).Config
		if len(c.DNS) > 0 && (method == "auto6" || c.Proto == "dhcp6") {
			if err := n.stop(); err != nil {
				l.t.Error(err)
			}
			return c.Addr.String()
		}
	}
}

// TestIPv6SameLink asks for both families on a link by its name, and loses one
// of them.
func TestIPv6SameLink(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable6("eth0", mac, "s0", server6, "10.9.0.1/24")
	l.advertise(pool, "--dhcp-option=6,10.9.0.1", "--dhcp-range=fd00:1::,ra-only", rdnss)
	n := l.run("ip=eth0:dhcp ip=eth0:auto6")
	if e := n.wait(netcfg.Settled); e.Err != nil {
		t.Errorf("settled with %v", e.Err)
	}
	if got := n.file("run/net-eth0.conf"); !strings.Contains(got, "IPV4ADDR='10.9.0.") || !strings.Contains(got, "IPV6ADDR='"+auto6+"'\n") {
		t.Errorf("lease file:\n%s", got)
	}
	l.client.IP("addr", "del", auto6, "dev", "eth0")
	n.wait(netcfg.Lost)
	if got := n.file("run/net-eth0.conf"); !strings.Contains(got, "IPV4ADDR='10.9.0.") || strings.Contains(got, "IPV6ADDR") {
		t.Errorf("lease file after the loss of IPv6:\n%s", got)
	}
	if got := n.file("etc/resolv.conf"); got != "nameserver 10.9.0.1\n" {
		t.Errorf("resolv.conf = %q", got)
	}
	if got := l.client.IP("-4", "-br", "addr", "show", "eth0"); !strings.Contains(got, "10.9.0.") {
		t.Errorf("eth0 has %s", got)
	}
}
