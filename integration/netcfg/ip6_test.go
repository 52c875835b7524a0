//go:build linux

package netcfg_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"rambox/pkg/netcfg"
)

const (
	local6  = "fe80::5054:ff:fe00:1/64"   // the client's, from mac
	auto6   = "fd00:1::5054:ff:fe00:1/64" // what it makes of the router's prefix
	router6 = "fe80::1"                   // the server's
	server6 = "fd00:1::1/64"              // likewise
	rdnss   = "--dhcp-option=option6:dns-server,[fd00:1::53]"
	dnssl   = "--dhcp-option=option6:domain-search,a.example,b.example"
	ntp6    = "--dhcp-option=option6:ntp-server,[fd00:1::7b]"
	pool6   = "--dhcp-range=fd00:1::10,fd00:1::10,64,2m"
)

// cable6 is cable with a server that has fe80::1 and addrs, at once.
func (l *lab) cable6(device, mac, far string, addrs ...string) {
	l.t.Helper()
	l.ip("-n", l.client, "link", "add", device, "address", mac, "type", "veth", "peer", "name", far, "netns", l.server)
	l.ip("netns", "exec", l.server, "sh", "-c", "cd /proc/sys/net/ipv6/conf/"+far+
		" && echo 0 >accept_dad && echo 0 >accept_ra && echo 1 >addr_gen_mode")
	l.ip("-n", l.server, "link", "set", far, "up")
	for _, a := range append([]string{router6 + "/64"}, addrs...) {
		l.ip("-n", l.server, "addr", "add", a, "dev", far)
	}
}

// advertise starts a router on s0 that sends advertisements.
func (l *lab) advertise(args ...string) (stop func()) {
	l.t.Helper()
	return l.dnsmasq(append(args, "--enable-ra", "--interface=s0")...)
}

// dhcpd6 starts ISC dhcpd with a subnet fd00:1::/64 on s0, and returns the file
// of its leases.
func (l *lab) dhcpd6(subnet string) (stop func(), leases string) {
	l.t.Helper()
	conf := l.write("dhcpd6.conf", "authoritative;\nsubnet6 fd00:1::/64 {\n"+subnet+"\n}\n")
	leases = l.write("leases6", "")
	return l.start("dhcpd", "-6", "-f", "-d", "--no-pid", "-user", "root", "-cf", conf, "-lf", leases, "s0"), leases
}

// state6 is what ip shows of eth0's IPv6: addresses, and routes without their
// lifetimes.
func (l *lab) state6() string {
	l.t.Helper()
	var b strings.Builder
	words := strings.Fields(l.ip("-n", l.client, "-6", "-br", "addr", "show", "eth0"))
	for _, a := range words[min(2, len(words)):] {
		b.WriteString(a + "\n")
	}
	for line := range strings.Lines(l.ip("-n", l.client, "-6", "route", "show", "dev", "eth0")) {
		line, _, _ = strings.Cut(line, " expires")
		line, _, _ = strings.Cut(line, " hoplimit")
		line, _, _ = strings.Cut(line, " pref ")
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

func (l *lab) wantState6(want string) {
	l.t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), l.state6()); diff != "" {
		l.t.Errorf("state (-want +got):\n%s", diff)
	}
}

// TestIPv6 shows what ip sees, and the files, after each method, with no more
// privileges than the network's process has.
func TestIPv6(t *testing.T) {
	const (
		own      = "fe80::/64 proto kernel metric 256\n"
		via      = "default via fe80::1 proto ra metric 1024\n"
		prefix   = "fd00:1::/64 proto kernel metric 256\n"
		stateful = "fd00:1::10/128\n" + local6 + "\n" + prefix + own + via
		slaac    = auto6 + "\n" + local6 + "\n" + prefix + own + via
	)
	tests := []struct {
		name   string
		server func(*lab)
		line   string
		proto  string
		state  string
		resolv string
		lease  string // what the lease file has
		most   time.Duration
	}{
		{
			"auto6", func(l *lab) { l.advertise("--dhcp-range=fd00:1::,ra-only", rdnss, dnssl) }, "ip=auto6", "auto6",
			slaac, "search a.example b.example\nnameserver fd00:1::53\n",
			"PROTO='auto6'\nIPV6PROTO='auto6'\nIPV6ADDR='" + auto6 + "'\nIPV6GATEWAY='fe80::1'\n", 4 * time.Second,
		},
		{
			"auto6, name server on the link", func(l *lab) {
				l.advertise("--dhcp-range=fd00:1::,ra-only", "--dhcp-option=option6:dns-server,[fe80::1]")
			}, "ip=auto6", "auto6",
			slaac, "nameserver fe80::1%eth0\n", "IPV6DNS0='fe80::1%eth0'\n", 4 * time.Second,
		},
		{
			"auto6 without a prefix of its own, stateless", func(l *lab) { l.advertise("--dhcp-range=fd00:1::,ra-stateless", rdnss, ntp6) }, "ip=auto6", "auto6",
			slaac, "nameserver fd00:1::53\n", "IPV6NTP0='fd00:1::7b'\n", 4 * time.Second,
		},
		{
			"dhcp6", func(l *lab) { l.advertise(pool6, rdnss, dnssl, ntp6, "--dhcp-host=id:00:03:00:01:"+mac+",node7") }, "ip=dhcp6", "dhcp6",
			stateful, "search a.example b.example\nnameserver fd00:1::53\n",
			"PROTO='dhcp6'\nIPV6PROTO='dhcp6'\nIPV6ADDR='fd00:1::10/128'\nIPV6GATEWAY='fe80::1'\n", 4 * time.Second,
		},
		{
			"dhcp6, no router", func(l *lab) {
				l.dhcpd6("range6 fd00:1::10 fd00:1::10; option dhcp6.name-servers fd00:1::53; option dhcp6.sntp-servers fd00:1::7b;")
			}, "ip=::::node7.example:eth0:dhcp6 nameserver=9.9.9.9", "dhcp6",
			"fd00:1::10/128\n" + local6 + "\n" + own, "search example\nnameserver 9.9.9.9\nnameserver fd00:1::53\n",
			"IPV6ADDR='fd00:1::10/128'\nIPV4DNS0='9.9.9.9'\nIPV4DNS1='0.0.0.0'\nIPV4NTP0='0.0.0.0'\nIPV6DNS0='fd00:1::53'\nIPV6NTP0='fd00:1::7b'\nHOSTNAME='node7'\n", 4 * time.Second,
		},
		{
			"dhcp6, rapid commit, an address of one's own choice", func(l *lab) {
				l.advertise("--dhcp-range=fd00:1::10,fd00:1::ff,64,1h", "--dhcp-rapid-commit")
			}, "ip=[fd00:1::77]::::node7:eth0:dhcp6", "dhcp6",
			"fd00:1::77/128\n" + local6 + "\n" + prefix + own + via, "", "DHCPLEASETIME='3600'\n", 4 * time.Second,
		},
		{
			"either6, managed", func(l *lab) { l.advertise(pool6, rdnss) }, "ip=either6", "dhcp6",
			stateful, "nameserver fd00:1::53\n", "IPV6ADDR='fd00:1::10/128'\n", 4 * time.Second,
		},
		{
			"either6, not managed", func(l *lab) { l.advertise("--dhcp-range=fd00:1::,ra-only", rdnss) }, "ip=either6", "auto6",
			slaac, "nameserver fd00:1::53\n", "IPV6ADDR='" + auto6 + "'\n", 4 * time.Second,
		},
		{
			"either6, no router", func(l *lab) { l.dhcpd6("range6 fd00:1::10 fd00:1::10;") }, "ip=either6", "dhcp6",
			"fd00:1::10/128\n" + local6 + "\n" + own, "", "IPV6ADDR='fd00:1::10/128'\n", 8 * time.Second,
		},
		{
			"link6", func(l *lab) { l.advertise("--dhcp-range=fd00:1::,ra-only", rdnss) }, "ip=link6", "link6",
			local6 + "\n" + own, "", "PROTO='link6'\nIPV6PROTO='link6'\nIPV6ADDR='" + local6 + "'\n", 4 * time.Second,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.cable6("eth0", mac, "s0", server6)
			test.server(l)
			began := time.Now()
			n := l.runAfter(dropPrivileges, t.TempDir(), test.line, nil)
			e := n.wait(netcfg.Configured)
			if e.Config.Proto != test.proto {
				t.Errorf("configured by %s, want %s", e.Config.Proto, test.proto)
			}
			if e := n.wait(netcfg.Settled); e.Err != nil {
				t.Errorf("settled with %v", e.Err)
			}
			if took := time.Since(began); took > test.most {
				t.Errorf("settled after %s, want %s at most", took, test.most)
			}
			l.wantState6(test.state)
			if strings.Contains(test.name, "stateless") && len(e.Config.NTP) == 0 {
				n.wait(netcfg.Configured)
			}
			if got := n.file("run/net-eth0.conf"); !strings.Contains(got, test.lease) {
				t.Errorf("lease file:\n%s\nwant %s", got, test.lease)
			}
			if test.resolv != "" {
				if diff := cmp.Diff(test.resolv, n.file("etc/resolv.conf")); diff != "" {
					t.Errorf("resolv.conf (-want +got):\n%s", diff)
				}
			}
			if err := n.stop(); err != nil {
				t.Error(err)
			}
			l.wantState6(test.state) // what is there stays
		})
	}
}

// dropPrivileges leaves the calling thread the capabilities that init's network
// process keeps.
func dropPrivileges() error {
	const keep = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_NET_BIND_SERVICE
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: keep, Permitted: keep}}
	return unix.Capset(&header, &data[0])
}

// TestIPv6Settles says what a boot has waited for in vain.
func TestIPv6Settles(t *testing.T) {
	tests := []struct {
		name, line, want string
		cable            bool
	}{
		{"auto6, no router", "ip=auto6 rambox.net.timeout=3", "eth0: no router advertisement", true},
		{"dhcp6, no server", "ip=dhcp6 rambox.net.timeout=4", "eth0: no DHCPv6 answer after ", true},
		{"either6, neither", "ip=either6 rambox.net.timeout=8", "eth0: no DHCPv6 answer after ", true},
		{"no cable", "ip=link6 rd.net.timeout.carrier=1", "no carrier on eth0", false},
		{"no device", "ip=eth7:auto6 rd.net.timeout.iflink=1", "no device eth7", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.cable6("eth0", mac, "s0")
			if !test.cable {
				l.ip("-n", l.server, "link", "set", "s0", "down")
			}
			if e := l.run(test.line).wait(netcfg.Settled); e.Err == nil || !strings.HasPrefix(e.Err.Error(), test.want) {
				t.Errorf("settled with %v, want %s", e.Err, test.want)
			}
		})
	}
}

// TestIPv6Missing runs with a kernel without IPv6, as far as can be seen.
func TestIPv6Missing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable("eth0", mac, "s0", "10.9.0.1/24")
	l.dnsmasq(pool, "--interface=s0")
	hide := func() error {
		// A mount namespace of this thread alone, which ends with it.
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		return unix.Mount("none", "/proc/sys/net", "tmpfs", 0, "")
	}
	n := l.runAfter(hide, t.TempDir(), "ip=auto6 ip=dhcp", nil)
	n.wait(netcfg.Configured)
	if e := n.wait(netcfg.Settled); e.Err == nil || e.Err.Error() != "the kernel has no IPv6" {
		t.Errorf("settled with %v", e.Err)
	}
}

// TestIPv6Renews takes leases of 20 s: they are renewed, a TCP connection lives
// on, and the server stops. The client asks everybody, the lease ends, the
// address goes; the server comes back, and so does the address.
func TestIPv6Renews(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable6("eth0", mac, "s0", server6)
	const subnet = "range6 fd00:1::10 fd00:1::10; default-lease-time 20; preferred-lifetime 12;"
	stop, _ := l.dhcpd6(subnet)
	n := l.run("ip=dhcp6 rd.route=[fd00:2::/64]:[fe80::1]:eth0 rd.route=[fd00:1::/64]::eth0")
	n.wait(netcfg.Configured)
	near, far := l.connect("[fd00:1::1]:7")
	for range 3 {
		n.wait(netcfg.Configured)
		ping(t, near, far)
	}
	if got := l.ip("-n", l.client, "-6", "addr", "show", "dev", "eth0", "scope", "global"); !strings.Contains(got, "valid_lft 1") && !strings.Contains(got, "valid_lft 20") {
		t.Errorf("the address has no lifetime:\n%s", got)
	}
	l.wantState6("fd00:1::10/128\n" + local6 + `
fd00:1::/64 proto dhcp metric 1024
fd00:2::/64 via fe80::1 proto dhcp metric 1024
fe80::/64 proto kernel metric 256
`)
	stop()
	n.wait(netcfg.Lost)
	l.wantState6(local6 + "\nfe80::/64 proto kernel metric 256\n")
	if _, err := os.Stat(filepath.Join(n.dir, "run/net-eth0.conf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lease file after the lease: %v", err)
	}
	l.dhcpd6(subnet)
	n.wait(netcfg.Configured)
}

// TestIPv6Duplicate gets an address that another machine has: it is declined,
// and the next one taken.
func TestIPv6Duplicate(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable6("eth0", mac, "s0", server6)
	_, leases := l.dhcpd6("range6 fd00:1::70 fd00:1::7f;")
	n := l.run("ip=dhcp6")
	first := n.wait(netcfg.Configured).Config.Addr
	n.commands <- netcfg.ReleaseAll
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	l.ip("-n", l.server, "addr", "add", first.Addr().String()+"/64", "dev", "s0")
	n = l.run("ip=dhcp6")
	if e := n.wait(netcfg.Configured); e.Config.Addr == first || e.Config.Addr.Bits() != 128 {
		t.Errorf("address %s, want another than %s", e.Config.Addr, first)
	}
	if e := n.wait(netcfg.Settled); e.Err != nil {
		t.Errorf("settled with %v", e.Err)
	}
	b, err := os.ReadFile(leases)
	if !strings.Contains(string(b), "binding state abandoned") {
		t.Errorf("the server has heard no DECLINE: %v\n%s", err, b)
	}
}

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
	if got := l.ip("-n", l.client, "-br", "link", "show", "eth1"); strings.Contains(got, ",UP") {
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
		if got := l.ip("-n", l.client, "-br", "link", "show", device); !strings.Contains(got, ",UP") {
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
		got := l.ip("-n", l.client, "-br", "link", "show", device)
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
		l.ip("-n", l.server, "link", "set", "s0", "down")
		l.ip("-n", l.server, "link", "set", "s0", "up")
		l.ip("-n", l.server, "addr", "replace", router6+"/64", "dev", "s0")
		l.ip("-n", l.server, "addr", "replace", server6, "dev", "s0")
		n.wait(netcfg.Configured)
	}
	n.drain()
	l.ip("-n", l.client, "link", "set", "eth0", "down")
	l.ip("-n", l.client, "link", "set", "eth0", "up")
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
	l.ip("-n", l.client, "addr", "del", auto6, "dev", "eth0")
	if e := n.wait(netcfg.Lost); e.Config.Addr.String() != auto6 {
		t.Errorf("lost %s, want %s", e.Config.Addr, auto6)
	}
	if _, err := os.Stat(filepath.Join(n.dir, "run/net-eth0.conf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lease file after the address: %v", err)
	}
	l.ip("-n", l.client, "link", "set", "eth0", "down")
	l.ip("-n", l.client, "link", "set", "eth0", "up")
	n.wait(netcfg.Configured)
}

// TestIPv6Restart runs again over what an earlier run has left: name servers
// are learnt again, and the address stays.
func TestIPv6Restart(t *testing.T) {
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
	l.ip("-n", l.client, "addr", "del", auto6, "dev", "eth0")
	n.wait(netcfg.Lost)
	if got := n.file("run/net-eth0.conf"); !strings.Contains(got, "IPV4ADDR='10.9.0.") || strings.Contains(got, "IPV6ADDR") {
		t.Errorf("lease file after the loss of IPv6:\n%s", got)
	}
	if got := n.file("etc/resolv.conf"); got != "nameserver 10.9.0.1\n" {
		t.Errorf("resolv.conf = %q", got)
	}
	if got := l.ip("-n", l.client, "-4", "-br", "addr", "show", "eth0"); !strings.Contains(got, "10.9.0.") {
		t.Errorf("eth0 has %s", got)
	}
}
