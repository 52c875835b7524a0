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

	"rambox/internal/vmtest"
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
	l.client.Cable(device, l.server, far, "address", mac)
	set := l.server.Words("sh", "-c", "cd /proc/sys/net/ipv6/conf/"+far+" && echo 0 >accept_dad && echo 0 >accept_ra && echo 1 >addr_gen_mode")
	vmtest.Command(l.t, set[0], set[1:]...)
	l.server.IP("link", "set", far, "up")
	for _, a := range append([]string{router6 + "/64"}, addrs...) {
		l.server.IP("addr", "add", a, "dev", far)
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
	return l.server.Start("dhcpd", "-6", "-f", "-d", "--no-pid", "-user", "root", "-cf", conf, "-lf", leases, "s0"), leases
}

// state6 is what ip shows of eth0's IPv6: addresses, and routes without their
// lifetimes.
func (l *lab) state6() string {
	l.t.Helper()
	var b strings.Builder
	words := strings.Fields(l.client.IP("-6", "-br", "addr", "show", "eth0"))
	for _, a := range words[min(2, len(words)):] {
		b.WriteString(a + "\n")
	}
	for line := range strings.Lines(l.client.IP("-6", "route", "show", "dev", "eth0")) {
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
	t.Parallel()
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
	t.Parallel()
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
				l.server.IP("link", "set", "s0", "down")
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
	if got := l.client.IP("-6", "addr", "show", "dev", "eth0", "scope", "global"); !strings.Contains(got, "valid_lft 1") && !strings.Contains(got, "valid_lft 20") {
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
	l.server.IP("addr", "add", first.Addr().String()+"/64", "dev", "s0")
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
