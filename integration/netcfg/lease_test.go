//go:build linux

package netcfg_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/netcfg"
)

const (
	mac  = "52:54:00:00:00:01"
	mac2 = "52:54:00:00:00:02"
)

// write writes a file for a server and returns its path.
func (l *lab) write(name, content string) string {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// dhcpd starts ISC dhcpd with a subnet 10.9.0.0/24 on s0.
func (l *lab) dhcpd(global, subnet string) (stop func()) {
	l.t.Helper()
	conf := l.write("dhcpd.conf", global+"\nauthoritative;\nsubnet 10.9.0.0 netmask 255.255.255.0 {\n"+subnet+"\n}\n")
	leases := l.write("leases", "")
	return l.server.Start("dhcpd", "-4", "-f", "-d", "--no-pid", "-user", "root", "-cf", conf, "-lf", leases, "s0")
}

// udhcpd starts busybox's server on s0.
func (l *lab) udhcpd(conf string) (stop func()) {
	l.t.Helper()
	leases := l.write("leases", "")
	path := l.write("udhcpd.conf", "interface s0\nlease_file "+leases+"\npidfile "+leases+".pid\n"+conf+"\n")
	return l.server.Start("busybox", "udhcpd", "-f", "-S", path)
}

// wantState compares what ip shows.
func (l *lab) wantState(want string) {
	l.t.Helper()
	want = strings.TrimPrefix(want, "\n")
	if diff := cmp.Diff(want, l.state()); diff != "" {
		l.t.Errorf("state (-want +got):\n%s", diff)
	}
}

// TestLease shows what ip sees after a lease of each server.
func TestLease(t *testing.T) {
	t.Parallel()
	dnsmasq := func(args ...string) func(*lab) {
		return func(l *lab) { l.dnsmasq(append(args, "--interface=s0")...) }
	}
	const (
		lo    = "lo 127.0.0.1/8\n"
		eth   = lo + "eth0@if2 10.9.0.10/24\n"
		plain = eth + "default via 10.9.0.1 dev eth0 proto dhcp src 10.9.0.10\n" +
			"10.9.0.0/24 dev eth0 proto kernel scope link src 10.9.0.10\n"
		pool = "--dhcp-range=10.9.0.10,10.9.0.10,255.255.255.0,1h"
	)
	tests := []struct {
		name   string
		server func(*lab)
		line   string
		state  string
		resolv string
		lease  string // a line of the lease file
	}{
		{
			"dnsmasq", dnsmasq(pool, "--dhcp-option=3,10.9.0.1", "--dhcp-option=6,10.9.0.1,1.1.1.1", "--domain=example.org",
				"--dhcp-host="+mac+",node7"), "ip=dhcp",
			plain, "search example.org\nnameserver 10.9.0.1\nnameserver 1.1.1.1\n", "HOSTNAME='node7'\n",
		},
		{
			"dnsmasq, rapid commit", dnsmasq(pool, "--dhcp-option=3,10.9.0.1", "--dhcp-option=6,10.9.0.1", "--dhcp-rapid-commit"), "ip=dhcp",
			plain, "nameserver 10.9.0.1\n", "DHCPLEASETIME='3600'\n",
		},
		{
			"dhcpd", func(l *lab) {
				l.dhcpd("", "range 10.9.0.10; default-lease-time 3600; option routers 10.9.0.1; option domain-name-servers 10.9.0.1;"+
					`option domain-search "a.example", "b.example"; option ntp-servers 10.9.0.7; option root-path "10.9.0.1:/srv"; filename "vmlinuz"; next-server 10.9.0.9;`)
			}, "ip=dhcp",
			plain, "search a.example b.example\nnameserver 10.9.0.1\n", "ROOTSERVER='10.9.0.9'\nROOTPATH='10.9.0.1:/srv'\nfilename='vmlinuz'\n",
		},
		{
			"udhcpd", func(l *lab) {
				l.udhcpd("start 10.9.0.10\nend 10.9.0.10\noption subnet 255.255.255.0\noption router 10.9.0.1\noption dns 10.9.0.1\noption lease 3600")
			}, "ip=dhcp",
			plain, "nameserver 10.9.0.1\n", "PROTO='dhcp'\nIPV4ADDR='10.9.0.10'\nIPV4BROADCAST='10.9.0.255'\nIPV4NETMASK='255.255.255.0'\nIPV4GATEWAY='10.9.0.1'\n",
		},
		{
			"option 121 over option 3", dnsmasq(pool, "--dhcp-option=3,10.9.0.1", "--dhcp-option=121,0.0.0.0/0,10.9.0.2,192.168.7.0/24,10.9.0.3"), "ip=dhcp",
			eth + "default via 10.9.0.2 dev eth0 proto dhcp src 10.9.0.10\n" +
				"10.9.0.0/24 dev eth0 proto kernel scope link src 10.9.0.10\n" +
				"192.168.7.0/24 via 10.9.0.3 dev eth0 proto dhcp src 10.9.0.10\n", "", "IPV4GATEWAY='10.9.0.2'\n",
		},
		{
			"gateway off the link", dnsmasq(pool, "--dhcp-option=3,172.16.0.1"), "ip=dhcp",
			eth + "default via 172.16.0.1 dev eth0 proto dhcp src 10.9.0.10\n" +
				"10.9.0.0/24 dev eth0 proto kernel scope link src 10.9.0.10\n" +
				"172.16.0.1 dev eth0 proto dhcp scope link src 10.9.0.10\n", "", "IPV4GATEWAY='172.16.0.1'\n",
		},
		{
			"/32", dnsmasq(pool, "--dhcp-option=1,255.255.255.255", "--dhcp-option=3,10.9.0.1"), "ip=dhcp",
			lo + "eth0@if2 10.9.0.10/32\n" +
				"default via 10.9.0.1 dev eth0 proto dhcp src 10.9.0.10\n" +
				"10.9.0.1 dev eth0 proto dhcp scope link src 10.9.0.10\n", "", "IPV4NETMASK='255.255.255.255'\n",
		},
		{
			"option 26", dnsmasq(pool, "--dhcp-option=3,10.9.0.1", "--dhcp-option=26,1400"), "ip=dhcp", plain, "", "MTU='1400'\n",
		},
		{
			"a lease for ever", dnsmasq("--dhcp-range=10.9.0.10,10.9.0.10,255.255.255.0,infinite", "--dhcp-option=3,10.9.0.1"), "ip=dhcp",
			plain, "", "DHCPLEASETIME='0'\n",
		},
		{
			"an address of one's own choice, a name server of the command line",
			dnsmasq("--dhcp-range=10.9.0.10,10.9.0.99,255.255.255.0,1h", "--dhcp-option=6,10.9.0.1"), "ip=10.9.0.77::::node7:eth0:dhcp nameserver=9.9.9.9",
			lo + "eth0@if2 10.9.0.77/24\n" +
				"default via 10.9.0.1 dev eth0 proto dhcp src 10.9.0.77\n" +
				"10.9.0.0/24 dev eth0 proto kernel scope link src 10.9.0.77\n", "nameserver 9.9.9.9\nnameserver 10.9.0.1\n", "HOSTNAME='node7'\n",
		},
		{
			"static", func(*lab) {}, "ip=10.9.0.10::10.9.0.1:255.255.255.0:node7:eth0:off:1.1.1.1 rd.route=192.168.9.0/24:10.9.0.4",
			eth + "default via 10.9.0.1 dev eth0 src 10.9.0.10\n" +
				"10.9.0.0/24 dev eth0 proto kernel scope link src 10.9.0.10\n" +
				"192.168.9.0/24 via 10.9.0.4 dev eth0 src 10.9.0.10\n", "nameserver 1.1.1.1\n", "PROTO='none'\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.cable("eth0", mac, "s0", "10.9.0.1/24")
			test.server(l)
			n := l.run(test.line)
			if e := n.wait(netcfg.Settled); e.Err != nil {
				t.Errorf("settled with %v", e.Err)
			}
			l.wantState(test.state)
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
			l.wantState(test.state) // what is there stays
		})
	}
}

// TestApply applies three configs, each twice, over an address and a route of
// somebody else, and takes the last away.
func TestApply(t *testing.T) {
	l := newLab(t)
	l.cable("eth0", mac, "s0")
	l.client.IP("link", "set", "eth0", "up")
	l.client.IP("addr", "add", "172.20.0.5/24", "dev", "eth0")
	l.client.IP("route", "add", "172.21.0.0/16", "via", "172.20.0.1")
	foreign := l.state()
	config := func(ip string) netcfg.Config {
		s, err := netcfg.ParseIP(ip)
		if err != nil {
			t.Fatal(err)
		}
		return s.Config()
	}
	var old netcfg.Config
	apply := func(c netcfg.Config) {
		t.Helper()
		err := l.client.Inside(func() error {
			h, err := netcfg.Open()
			if err != nil {
				return err
			}
			defer h.Close()
			links, err := h.Links()
			if err != nil {
				return err
			}
			for _, link := range links {
				if link.Name == "eth0" {
					return h.Apply(link, old, c, 0)
				}
			}
			return fmt.Errorf("no eth0 among %+v", links)
		})
		if err != nil {
			t.Fatal(err)
		}
		old = c
	}
	for _, ip := range []string{
		"10.9.0.10::10.9.0.1:24::eth0:off",
		"10.9.0.10::10.9.0.2:24::eth0:off",
		"10.9.0.11::10.9.0.2:24::eth0:off",
		"10.9.1.10::192.168.1.1:32::eth0:off",
		"10.9.2.10:10.9.2.1/32:10.9.2.1:32::eth0:off",
	} {
		apply(config(ip))
		once := l.state()
		if !strings.Contains(once, " "+config(ip).Addr.Addr().String()+"/") && !strings.Contains(once, " "+config(ip).Addr.Addr().String()+" peer") {
			t.Errorf("no address of %s:\n%s", ip, once)
		}
		if gw := config(ip).Gateway.String(); !strings.Contains(once, "default via "+gw+" dev eth0") || !strings.Contains(once, "172.21.0.0/16") {
			t.Errorf("after %s:\n%s", ip, once)
		}
		apply(config(ip))
		if diff := cmp.Diff(once, l.state()); diff != "" {
			t.Errorf("%s applied twice (-once +twice):\n%s", ip, diff)
		}
	}
	apply(netcfg.Config{})
	if diff := cmp.Diff(foreign, l.state()); diff != "" {
		t.Errorf("after the end (-before +after):\n%s", diff)
	}
	apply(config("[2001:db8::2]::[2001:db8::1]:64::eth0:off"))
	apply(config("[2001:db8::2]::[2001:db8::1]:64::eth0:off"))
	if got := l.client.IP("-6", "route", "show", "default"); !strings.HasPrefix(got, "default via 2001:db8::1 dev eth0") || strings.Count(got, "\n") != 1 {
		t.Errorf("IPv6 default route: %s", got)
	}
	if got := l.client.IP("-6", "-br", "addr", "show", "eth0"); !strings.Contains(got, "2001:db8::2/64") {
		t.Errorf("IPv6 address: %s", got)
	}
}
