package netcfg

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// comparer makes cmp compare addresses as values.
func comparer() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestParseIP(t *testing.T) {
	mac := MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	tests := []struct {
		name, in string
		want     Spec
	}{
		// nfsroot.rst
		{"kernel: off", "off", Spec{Method: Off}},
		{"kernel: none", "none", Spec{Method: Off}},
		{"kernel: nothing", "", Spec{Method: Off}},
		{"kernel: on", "on", Spec{}},
		{"kernel: any", "any", Spec{}},
		{"kernel: dhcp", "dhcp", Spec{}},
		{"kernel: bootp is served by DHCP", "bootp", Spec{}},
		{"kernel: both", "both", Spec{}},
		{"kernel: client id", "dhcp,1,52:54:00:12:34:56", Spec{ClientID: []byte("\x0152:54:00:12:34:56")}},
		{"kernel: client id, hexadecimal type", "dhcp,0xff,a,b", Spec{ClientID: []byte("\xffa,b")}},
		{"kernel: an address by itself", "10.1.2.3", Spec{Method: Static, Addr: prefix("10.1.2.3/8")}},
		{"kernel: 0.0.0.0 is no address", "0.0.0.0", Spec{Method: Off}},
		{"kernel: ten fields", "192.168.1.2:192.168.1.1:192.168.1.254:255.255.255.128:node7.example.org:eth1:off:1.1.1.1:8.8.8.8:192.168.1.3", Spec{
			Method: Static, Addr: prefix("192.168.1.2/25"), Server: addr("192.168.1.1"), Gateway: addr("192.168.1.254"),
			Hostname: "node7", Domain: "example.org", Device: "eth1",
			DNS: []netip.Addr{addr("1.1.1.1"), addr("8.8.8.8")}, NTP: []netip.Addr{addr("192.168.1.3")},
		}},
		{"kernel: ntp alone", "10.0.0.2::::::off:::10.0.0.9", Spec{
			Method: Static, Addr: prefix("10.0.0.2/8"), NTP: []netip.Addr{addr("10.0.0.9")}}},
		{"kernel: class A", "10.0.0.2::::::off", Spec{Method: Static, Addr: prefix("10.0.0.2/8")}},
		{"kernel: class B", "172.16.0.2::::::off", Spec{Method: Static, Addr: prefix("172.16.0.2/16")}},
		{"kernel: class C", "192.168.0.2::::::off", Spec{Method: Static, Addr: prefix("192.168.0.2/24")}},
		{"kernel: address without autoconf", "10.0.0.2:::255.255.255.0", Spec{Method: Static, Addr: prefix("10.0.0.2/24")}},
		{"kernel: address and any", "10.0.0.2:::255.255.255.0::eth0:any", Spec{Method: Static, Addr: prefix("10.0.0.2/24"), Device: "eth0"}},
		{"kernel: device and dhcp", ":::::eth0:dhcp", Spec{Device: "eth0"}},
		{"kernel: device and nothing", ":::::eth0", Spec{Device: "eth0"}},
		{"kernel: device and off", ":::::eth0:off", Spec{Method: Off, Device: "eth0"}},
		{"kernel: host name", "::::node7::dhcp", Spec{Hostname: "node7"}},
		{"kernel: client id in the seventh field", ":::::eth0:dhcp,0,id", Spec{Device: "eth0", ClientID: []byte("\x00id")}},
		{"kernel: server by in_aton", "172.16.0.200:none:172.16.0.1:255.255.255.0:myhostname::none:1.1.1.1", Spec{
			Method: Static, Addr: prefix("172.16.0.200/24"), Gateway: addr("172.16.0.1"), Hostname: "myhostname", DNS: []netip.Addr{addr("1.1.1.1")}}},

		// dracut.cmdline(7)
		{"dracut: dhcp6", "dhcp6", Spec{Method: DHCP6}},
		{"dracut: auto6", "auto6", Spec{Method: Auto6}},
		{"dracut: either6", "either6", Spec{Method: Either6}},
		{"dracut: link6", "link6", Spec{Method: LinkLocal}},
		{"dracut: link-local", "eth0:link-local", Spec{Method: LinkLocal, Device: "eth0"}},
		{"dracut: single-dhcp", "single-dhcp", Spec{}},
		{"dracut: device and method", "ens3:dhcp", Spec{Device: "ens3"}},
		{"dracut: device and on", "ens3:on", Spec{Device: "ens3"}},
		{"dracut: device and mtu", "ens3:dhcp:1400", Spec{Device: "ens3", MTU: 1400}},
		{"dracut: device, mtu and mac", "ens3:dhcp:1400:52:54:00:12:34:56", Spec{Device: "ens3", MTU: 1400, SetMAC: mac}},
		{"dracut: device and mac", "ens3:dhcp::52-54-00-12-34-56", Spec{Device: "ens3", SetMAC: mac}},
		{"dracut: device and dhcp6", "ens3:dhcp6", Spec{Method: DHCP6, Device: "ens3"}},
		{"dracut: explicit with mtu and mac", "10.0.0.2::10.0.0.1:24:h:ens3:none:9000:52:54:00:12:34:56", Spec{
			Method: Static, Addr: prefix("10.0.0.2/24"), Gateway: addr("10.0.0.1"), Hostname: "h", Device: "ens3", MTU: 9000, SetMAC: mac}},
		{"dracut: explicit with mac", "10.0.0.2::10.0.0.1:24:h:ens3:none::52:54:00:12:34:56", Spec{
			Method: Static, Addr: prefix("10.0.0.2/24"), Gateway: addr("10.0.0.1"), Hostname: "h", Device: "ens3", SetMAC: mac}},
		{"dracut: explicit with dns", "10.0.0.2::10.0.0.1:24:h:ens3:none:9.9.9.9:1.0.0.1", Spec{
			Method: Static, Addr: prefix("10.0.0.2/24"), Gateway: addr("10.0.0.1"), Hostname: "h", Device: "ens3",
			DNS: []netip.Addr{addr("9.9.9.9"), addr("1.0.0.1")}}},
		{"dracut: address and dhcp", "10.0.0.2::::h:ens3:dhcp", Spec{Addr: prefix("10.0.0.2/8"), Hostname: "h", Device: "ens3"}},
		{"dracut: peer", "10.0.0.2:10.0.0.1/32::32::ens3:none", Spec{
			Method: Static, Addr: prefix("10.0.0.2/32"), Peer: prefix("10.0.0.1/32"), Device: "ens3"}},
		{"dracut: IPv6", "[2001:DB8::2]::[2001:DB8::1]:64:h:ens3:none:[2001:DB8::53]", Spec{
			Method: Static, Addr: prefix("2001:db8::2/64"), Gateway: addr("2001:db8::1"), Hostname: "h", Device: "ens3",
			DNS: []netip.Addr{addr("2001:db8::53")}}},
		{"dracut: IPv6 alone", "[2001:DB8::1]", Spec{Method: Static, Addr: prefix("2001:db8::1/64")}},
		{"dracut: IPv6 peer", "[2001:db8::2]:[2001:db8::1]/128::128::ens3:none", Spec{
			Method: Static, Addr: prefix("2001:db8::2/128"), Peer: prefix("2001:db8::1/128"), Device: "ens3"}},

		// README.ipconfig of klibc
		{"klibc: all", "all", Spec{}},
		{"klibc: static", "10.0.0.2::::::static", Spec{Method: Static, Addr: prefix("10.0.0.2/8")}},
		{"klibc: short form", "eth0", Spec{Device: "eth0"}},
		{"klibc: loopback", "127.0.0.1:::::lo:none", Spec{Method: Static, Addr: prefix("127.0.0.1/8"), Device: "lo"}},
		{"klibc: eth2 by hand", "192.168.1.1:::::eth2:none", Spec{Method: Static, Addr: prefix("192.168.1.1/24"), Device: "eth2"}},
		{"klibc: device all", ":::::all:dhcp", Spec{}},

		{"device by address", ":::::52-54-00-12-34-56:dhcp", Spec{HW: mac}},
		{"device by BOOTIF", ":::::BOOTIF:dhcp", Spec{BootDev: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseIP(test.in)
			if err != nil {
				t.Fatalf("ParseIP(%q): %v", test.in, err)
			}
			if diff := cmp.Diff(test.want, got, comparer()); diff != "" {
				t.Errorf("ParseIP(%q) (-want +got):\n%s", test.in, diff)
			}
		})
	}
}

func TestParseIPErrors(t *testing.T) {
	tests := []struct{ in, want string }{
		{"rarp", "autoconf: RARP needs"},
		{":::::eth0:rarp", "autoconf: RARP needs"},
		{"dhpc", `autoconf: unknown method "dhpc"`},
		{"eth0:dhpc", `autoconf: unknown method "dhpc"`},
		{"10.0.0.2::::::maybe", `autoconf: unknown method "maybe"`},
		{"10.0.0.256::::::off", `client address: "10.0.0.256" is no IP address`},
		{"10.0.0.2x:10.0.0.1:::h:eth0:off", `client address: "10.0.0.2x" is no IP address`},
		{"much-too-long-a-name:dhcp", "field 1 is no client address, and device: "},
		{"10.0.0.2:1.2.3::::eth0:off", `server or peer: "1.2.3" is no IP address`},
		{"10.0.0.2:10.0.0.1/33::::eth0:off", "peer: "},
		{"10.0.0.2::1.2.3:::eth0:off", `gateway: "1.2.3" is no IP address`},
		{"10.0.0.2::[fe80::1]:::eth0:off", "gateway: fe80::1 and the client address are of two families"},
		{"10.0.0.2:::255.0.255.0::eth0:off", "netmask: the bits of 255.0.255.0"},
		{"10.0.0.2:::33::eth0:off", "netmask: 33 is not 1 to 32 bits"},
		{"10.0.0.2:::x::eth0:off", `netmask: "x"`},
		{"[2001:db8::1]:::255.255.0.0::eth0:off", "netmask: 255.255.0.0 does not go with an IPv6"},
		{"224.0.0.1::::::off", "client address: 224.0.0.1"},
		{"255.255.255.255::::::off", "client address: 255.255.255.255"},
		{"10.0.0.2::::$(reboot):eth0:off", "hostname: "},
		{"10.0.0.2:::::eth0/../x:off", "device: "},
		{"10.0.0.2:::::much-too-long-a-name:off", "device: "},
		{"10.0.0.2:::::eth0:off:x", `dns0: "x"`},
		{"10.0.0.2:::::eth0:off::x", `dns1: "x"`},
		{"10.0.0.2:::::eth0:off:::x", `ntp0: "x"`},
		{"10.0.0.2:::::eth0:off::::x", "field 11: there are ten fields"},
		{"eth0:dhcp:20", `mtu: "20"`},
		{"eth0:dhcp:1500:52:54", `mac: "52:54" is no MAC address`},
		{"eth0:dhcp:1500:01:00:5e:00:00:01", "mac: 01:00:5e:00:00:01 is a group address"},
		{"dhcp,1", "client id: want dhcp,<type>,<id>"},
		{"dhcp,256,x", `client id: type "256"`},
		{"dhcp,1," + strings.Repeat("x", 252), "client id: 252 bytes"},
		{"[2001:db8::1", "field 1: no closing bracket"},
		{"[2001:db8::1]x:", "field 1: "},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			got, err := ParseIP(test.in)
			if err == nil {
				t.Fatalf("ParseIP(%q) = %+v, want an error", test.in, got)
			}
			if !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "ip="+test.in+": ") {
				t.Errorf("ParseIP(%q): %v, want %q", test.in, err, test.want)
			}
		})
	}
}

func FuzzParseIP(f *testing.F) {
	for _, s := range []string{
		"", "dhcp", "dhcp,1,x", "eth0:dhcp:1500:52:54:00:12:34:56", "[2001:db8::1]/64:::::e0:none",
		"192.168.1.2:192.168.1.1:192.168.1.254:255.255.255.0:n.x:eth1:off:1.1.1.1:8.8.8.8:1.2.3.4",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseIP(in)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "ip="+in+": ") {
				t.Errorf("the error does not begin with its parameter: %v", err)
			}
			return
		}
		if s.Device != "" && !validDevice(s.Device) {
			t.Errorf("device %q", s.Device)
		}
		if s.Method == Static && (!s.Addr.IsValid() || !usable(s.Addr.Addr())) {
			t.Errorf("static without an address: %+v", s)
		}
		if s.Hostname != "" && !validDomain(s.Hostname) {
			t.Errorf("host name %q", s.Hostname)
		}
		s.Config()
	})
}
