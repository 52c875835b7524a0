//go:build linux

package netcfg_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rambox/pkg/netcfg"
)

const pool = "--dhcp-range=10.9.0.10,10.9.0.99,255.255.255.0,1h"

// TestNoCable brings up two links, one without a cable: the other's lease
// comes at once, and the first is taken down again.
func TestNoCable(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0")
	l.server.IP("link", "set", "s0", "down")
	l.cable("eth1", mac2, "s1", "10.9.0.1/24")
	l.dnsmasq(pool, "--interface=s1")
	n := l.run("")
	if e := n.wait(netcfg.Configured); e.Link != "eth1" {
		t.Errorf("%s is configured, want eth1", e.Link)
	}
	if e := n.wait(netcfg.Settled); e.Err != nil {
		t.Errorf("settled with %v", e.Err)
	}
	if got := l.client.IP("-br", "link", "show", "eth0"); !strings.Contains(got, "DOWN") || strings.Contains(got, ",UP") {
		t.Errorf("eth0 is %s, want it down", got)
	}
}

// TestRace offers two servers on two links: one address is configured, and what
// the other link was promised is free again.
func TestRace(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	l.cable("eth1", mac2, "s1", "10.8.0.1/24")
	l.dnsmasq(pool, "--dhcp-range=10.8.0.10,10.8.0.99,255.255.255.0,1h")
	n := l.run("ip=dhcp")
	n.wait(netcfg.Configured)
	n.wait(netcfg.Settled)
	if got := strings.Count(l.client.IP("-4", "-br", "addr"), "\n"); got != 2 {
		t.Errorf("%d links have addresses, want lo and one more:\n%s", got, l.state())
	}
}

// TestSettles measures how long a boot waits when there is nothing to wait for.
func TestSettles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line string
		cable      bool
		want       string
		least      time.Duration
		most       time.Duration
	}{
		{"no ip=, no cable", "", false, "no carrier on eth0", 0, time.Second},
		{"no ip=, no server", "rambox.net.timeout=2", true, "eth0: no DHCP offer after 2 tries", 2 * time.Second, 3 * time.Second},
		{"ip=dhcp, no cable", "ip=dhcp rd.net.timeout.carrier=1", false, "no carrier on eth0", time.Second, 2 * time.Second},
		{"ip=dhcp, no server", "ip=dhcp rambox.net.timeout=1", true, "no DHCP offer", time.Second, 2 * time.Second},
		{"no such device", "ip=eth7:dhcp rd.net.timeout.iflink=1", true, "no device eth7", time.Second, 2 * time.Second},
		{"wait, no cable", "rambox.net=wait rambox.net.timeout=2", false, "no carrier on eth0", 2 * time.Second, 3 * time.Second},
		{"background", "rambox.net=background", true, "", 0, time.Second},
		{"off", "ip=off", true, "", 0, time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.cable("eth0", mac, "s0")
			if !test.cable {
				l.server.IP("link", "set", "s0", "down")
			}
			began := time.Now()
			e := l.run(test.line).wait(netcfg.Settled)
			took := time.Since(began)
			if took < test.least || took > test.most {
				t.Errorf("settled after %s, want %s to %s", took, test.least, test.most)
			}
			if (e.Err == nil) != (test.want == "") || e.Err != nil && !strings.Contains(e.Err.Error(), test.want) {
				t.Errorf("settled with %v, want %q", e.Err, test.want)
			}
		})
	}
}

// TestProbing settles no sooner than the devices are known.
func TestProbing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	probed := make(chan struct{})
	n := l.runIn(t.TempDir(), "", probed)
	select {
	case e := <-n.events:
		t.Errorf("event %+v before the devices are known", e)
	case <-time.After(500 * time.Millisecond):
	}
	close(probed)
	began := time.Now()
	if e := n.wait(netcfg.Settled); e.Err == nil || e.Err.Error() != "no Ethernet device" || time.Since(began) > time.Second {
		t.Errorf("settled with %v after %s", e.Err, time.Since(began))
	}
}

// TestLateServer starts the server after 8 s.
func TestLateServer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	began := time.Now()
	n := l.run("ip=dhcp")
	time.AfterFunc(8*time.Second, func() { l.dnsmasq(pool, "--interface=s0") })
	if e := n.wait(netcfg.Settled); e.Err != nil {
		t.Errorf("settled with %v", e.Err)
	}
	if took := time.Since(began); took > 22*time.Second {
		t.Errorf("configured after %s", took)
	}
}

// TestHotplug plugs the link in 3 s after the start, and later another in its
// place.
func TestHotplug(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.dnsmasq(pool, "--interface=s0")
	n := l.run("ip=dhcp")
	time.AfterFunc(3*time.Second, func() { l.cable("eth0", mac, "s0", "10.9.0.1/24") })
	n.wait(netcfg.Configured)
	l.client.IP("link", "del", "eth0")
	n.wait(netcfg.Lost)
	l.cable("eth5", mac2, "s0", "10.9.0.1/24")
	if e := n.wait(netcfg.Configured); e.Link != "eth5" {
		t.Errorf("%s is configured, want eth5", e.Link)
	}
}

// TestRenews takes leases of 12 s, which are renewed by unicast while a TCP
// connection lives, and stops the server: the client asks everybody, the lease
// ends, the address goes; the server comes back, and so does the address.
func TestRenews(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	const subnet = "range 10.9.0.10; default-lease-time 12; min-lease-time 12; max-lease-time 12;"
	stop := l.dhcpd("", subnet)
	n := l.run("ip=dhcp")
	n.wait(netcfg.Configured)
	near, far := l.connect("10.9.0.1:7")
	for range 3 {
		n.wait(netcfg.Configured)
		ping(t, near, far)
	}
	if got := l.client.IP("addr", "show", "eth0"); !strings.Contains(got, "valid_lft 1") {
		t.Errorf("the address has no lifetime:\n%s", got)
	}
	stop()
	n.wait(netcfg.Lost)
	l.wantState("lo 127.0.0.1/8\n")
	if _, err := os.Stat(filepath.Join(n.dir, "run/net-eth0.conf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lease file after the lease: %v", err)
	}
	l.dhcpd("", subnet)
	n.wait(netcfg.Configured)
}

// connect opens a TCP connection from the client to an address of the server.
func (l *lab) connect(address string) (near, far net.Conn) {
	l.t.Helper()
	var listener net.Listener
	err := l.server.Inside(func() (err error) { listener, err = net.Listen("tcp", address); return err })
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { listener.Close() })
	if err := l.client.Inside(func() (err error) { near, err = net.DialTimeout("tcp", address, patience); return err }); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { near.Close() })
	if far, err = listener.Accept(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { far.Close() })
	return near, far
}

// ping sends a byte over a connection.
func ping(t *testing.T, near, far net.Conn) {
	t.Helper()
	if _, err := near.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	far.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := far.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// TestNak moves the link to a network where the address is refused.
func TestNak(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	stop := l.dnsmasq(pool, "--interface=s0")
	n := l.run("ip=dhcp")
	n.wait(netcfg.Configured)
	stop()
	l.server.IP("link", "set", "s0", "down")
	l.server.IP("addr", "flush", "dev", "s0")
	l.server.IP("addr", "add", "10.8.0.1/24", "dev", "s0")
	l.dnsmasq("--dhcp-range=10.8.0.10,10.8.0.10,255.255.255.0,1h", "--interface=s0")
	l.server.IP("link", "set", "s0", "up")
	n.wait(netcfg.Lost)
	if e := n.wait(netcfg.Configured); e.Config.Addr.String() != "10.8.0.10/24" {
		t.Errorf("address %s, want 10.8.0.10/24", e.Config.Addr)
	}
	l.wantState(`
lo 127.0.0.1/8
eth0@if2 10.8.0.10/24
default via 10.8.0.1 dev eth0 proto dhcp src 10.8.0.10
10.8.0.0/24 dev eth0 proto kernel scope link src 10.8.0.10
`)
}

// TestDecline offers an address that another machine has: the client finds out
// by ARP, declines it and takes the next.
func TestDecline(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24", "10.9.0.50/24")
	l.dnsmasq(pool, "--interface=s0", "--dhcp-host="+mac+",10.9.0.50")
	began := time.Now()
	n := l.run("ip=dhcp rambox.net.probe=300")
	e := n.wait(netcfg.Configured)
	if a := e.Config.Addr.String(); a == "10.9.0.50/24" || !strings.HasPrefix(a, "10.9.0.") {
		t.Errorf("configured %s", a)
	}
	// RFC 2131, section 3.1, 5.
	if took := time.Since(began); took < 10*time.Second {
		t.Errorf("asked again after %v", took)
	}
}

// TestFlap pulls the cable out and in: the lease is confirmed, nothing changes.
func TestFlap(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	l.dnsmasq(pool, "--interface=s0")
	n := l.run("ip=dhcp")
	n.wait(netcfg.Configured)
	before := l.state()
	for range 3 {
		l.server.IP("link", "set", "s0", "down")
		l.server.IP("link", "set", "s0", "up")
		n.wait(netcfg.Configured)
	}
	l.wantState(before)
}

// TestLinkDown takes the link itself down and up, which the socket survives as
// an error.
func TestLinkDown(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	l.dnsmasq(pool, "--interface=s0")
	n := l.run("ip=dhcp")
	n.wait(netcfg.Configured)
	before := l.state()
	l.client.IP("link", "set", "eth0", "down")
	l.client.IP("link", "set", "eth0", "up")
	n.wait(netcfg.Configured)
	l.wantState(before)
	n.commands <- netcfg.RenewNow
	n.wait(netcfg.Configured)
}

// TestFailover loses the server on the link that has won; one on the other link
// takes over.
func TestFailover(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	stop := l.dhcpd("", "range 10.9.0.10; default-lease-time 12; min-lease-time 12; max-lease-time 12;")
	n := l.run("ip=dhcp")
	n.wait(netcfg.Configured)
	stop()
	l.cable("eth1", mac2, "s1", "10.8.0.1/24")
	l.dnsmasq("--dhcp-range=10.8.0.10,10.8.0.10,255.255.255.0,1h", "--interface=s1")
	if e := n.wait(netcfg.Lost); e.Link != "eth0" {
		t.Errorf("%s is lost, want eth0", e.Link)
	}
	if e := n.wait(netcfg.Configured); e.Link != "eth1" {
		t.Errorf("%s is configured, want eth1", e.Link)
	}
}

// TestRestart runs again over what an earlier run has left: first with the same
// server, which gives the same address, then with one that refuses it.
func TestRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	stop := l.dnsmasq(pool, "--interface=s0")
	dir := t.TempDir()
	n := l.runIn(dir, "ip=dhcp", nil)
	first := n.wait(netcfg.Configured).Config.Addr
	n.stop()
	before := l.state()
	n = l.runIn(dir, "ip=dhcp", nil)
	if again := n.wait(netcfg.Configured).Config.Addr; again != first {
		t.Errorf("address %s after a restart, %s before", again, first)
	}
	n.stop()
	l.wantState(before)
	stop()
	l.dnsmasq("--dhcp-range=10.9.0.200,10.9.0.200,255.255.255.0,1h", "--interface=s0")
	n = l.runIn(dir, "ip=dhcp", nil)
	n.wait(netcfg.Configured)
	l.wantState(`
lo 127.0.0.1/8
eth0@if2 10.9.0.200/24
default via 10.9.0.1 dev eth0 proto dhcp src 10.9.0.200
10.9.0.0/24 dev eth0 proto kernel scope link src 10.9.0.200
`)
}

// TestCommands renews at once, and gives the lease back.
func TestCommands(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	l.dnsmasq(pool, "--interface=s0")
	n := l.run("ip=dhcp")
	n.wait(netcfg.Configured)
	n.commands <- netcfg.RenewNow
	n.wait(netcfg.Configured)
	n.commands <- netcfg.ReleaseAll
	n.wait(netcfg.Lost)
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	l.wantState("lo 127.0.0.1/8\n")
}

// TestRename gives a link another name and asks DHCP there.
func TestRename(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	l.client.IP("link", "set", "eth0", "up")
	l.dnsmasq(pool, "--interface=s0")
	n := l.run("ifname=boot0:" + mac + " ip=boot0:dhcp")
	if e := n.wait(netcfg.Configured); e.Link != "boot0" {
		t.Errorf("%s is configured, want boot0", e.Link)
	}
}

// TestVLAN makes a VLAN and asks DHCP there.
func TestVLAN(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0")
	if err := exec.Command("ip", "-n", l.server.Name, "link", "add", "link", "s0", "name", "s0.5", "type", "vlan", "id", "5").Run(); err != nil {
		t.Skip("the kernel has no VLANs (8021q)")
	}
	l.server.IP("addr", "add", "10.9.0.1/24", "dev", "s0.5")
	l.server.IP("link", "set", "s0.5", "up")
	l.dnsmasq(pool, "--interface=s0.5")
	n := l.run("vlan=eth0.5:eth0 ip=eth0.5:dhcp")
	if e := n.wait(netcfg.Configured); e.Link != "eth0.5" {
		t.Errorf("%s is configured, want eth0.5", e.Link)
	}
}

// TestTwo configures two links, each by its own ip=.
func TestTwo(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	l.cable("eth1", mac2, "s1", "10.8.0.1/24")
	l.dnsmasq(pool, "--interface=s0", "--dhcp-option=6,10.9.0.1")
	n := l.run("ip=eth0:dhcp ip=10.8.0.2::10.8.0.1:24::eth1:none:1.1.1.1 BOOTIF=01-52-54-00-00-00-01")
	if e := n.wait(netcfg.Settled); e.Err != nil {
		t.Errorf("settled with %v", e.Err)
	}
	got := l.client.IP("-4", "route", "show", "default")
	for _, want := range []string{"default via 10.9.0.1 dev eth0 proto dhcp src", "default via 10.8.0.1 dev eth1 src 10.8.0.2 metric 1"} {
		if !strings.Contains(got, want) {
			t.Errorf("default routes:\n%swant %s", got, want)
		}
	}
	if got := n.file("etc/resolv.conf"); got != "nameserver 10.9.0.1\nnameserver 1.1.1.1\n" {
		t.Errorf("resolv.conf = %q", got)
	}
}
