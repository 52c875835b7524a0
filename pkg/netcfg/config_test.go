package netcfg

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpecConfig(t *testing.T) {
	tests := []struct {
		name, ip string
		want     Config
	}{
		{"kernel", "10.0.0.2:10.0.0.9:10.0.0.1:255.255.255.0:node7.example:eth0:off:1.1.1.1::10.0.0.3", Config{
			Proto: "static", Addr: prefix("10.0.0.2/24"), Gateway: addr("10.0.0.1"), Routes: []Route{{prefix("0.0.0.0/0"), addr("10.0.0.1")}},
			DNS: []netip.Addr{addr("1.1.1.1")}, NTP: []netip.Addr{addr("10.0.0.3")}, Hostname: "node7", Domain: "example",
			Search: []string{"example"}, BootServer: addr("10.0.0.9"),
		}},
		{"/32", "10.0.0.2::192.168.1.1:32::eth0:none", Config{
			Proto: "static", Addr: prefix("10.0.0.2/32"), Gateway: addr("192.168.1.1"),
			Routes: []Route{{Dst: prefix("192.168.1.1/32")}, {prefix("0.0.0.0/0"), addr("192.168.1.1")}},
		}},
		{"peer", "10.0.0.2:10.0.0.1/32:10.0.0.1:32::eth0:none", Config{
			Proto: "static", Addr: prefix("10.0.0.2/32"), Peer: prefix("10.0.0.1/32"), Gateway: addr("10.0.0.1"),
			Routes: []Route{{prefix("0.0.0.0/0"), addr("10.0.0.1")}},
		}},
		{"IPv6", "[2001:db8::2]::[fe80::1]:64::eth0:none", Config{
			Proto: "static", Addr: prefix("2001:db8::2/64"), Gateway: addr("fe80::1"), Routes: []Route{{prefix("::/0"), addr("fe80::1")}},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := ParseIP(test.ip)
			if err != nil {
				t.Fatal(err)
			}
			got := s.Config()
			if diff := cmp.Diff(test.want, got, comparer()); diff != "" {
				t.Errorf("Config of %q (-want +got):\n%s", test.ip, diff)
			}
			if !got.Equal(test.want) {
				t.Errorf("Equal says no")
			}
		})
	}
}

// TestOverride puts the command line over a lease.
func TestOverride(t *testing.T) {
	lease := Config{
		Proto: "dhcp", Addr: prefix("10.0.2.15/24"), Gateway: addr("10.0.2.2"), Routes: []Route{{prefix("0.0.0.0/0"), addr("10.0.2.2")}},
		DNS: []netip.Addr{addr("10.0.2.3")}, Domain: "lease.example", Search: []string{"lease.example"}, Hostname: "leased",
	}
	p, err := parseLine("ip=::10.0.2.9::node7.example:eth0:dhcp:9.9.9.9 nameserver=1.1.1.1 rd.peerdns=0")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Proto: "dhcp", Addr: lease.Addr, Gateway: addr("10.0.2.9"), Routes: []Route{{prefix("0.0.0.0/0"), addr("10.0.2.9")}},
		DNS: []netip.Addr{addr("1.1.1.1"), addr("9.9.9.9")}, Domain: "example", Hostname: "node7",
	}
	if diff := cmp.Diff(want, lease.override(p.Specs[0], p), comparer()); diff != "" {
		t.Errorf("override (-want +got):\n%s", diff)
	}
}

func TestResolvConf(t *testing.T) {
	c := Config{Domain: "example", DNS: []netip.Addr{addr("1.1.1.1"), addr("2001:db8::1"), addr("3.3.3.3"), addr("4.4.4.4")}}
	want := "search example\nnameserver 1.1.1.1\nnameserver 2001:db8::1\nnameserver 3.3.3.3\n"
	if got := c.ResolvConf(); got != want {
		t.Errorf("ResolvConf = %q, want %q", got, want)
	}
	if got := (Config{}).ResolvConf(); got != "" {
		t.Errorf("ResolvConf of nothing = %q", got)
	}
}

// TestWriteFiles writes twice, the second time over a link as images have it.
func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	c := Config{Proto: "dhcp", Addr: prefix("10.0.2.15/24")}
	for _, resolv := range []string{"nameserver 1.1.1.1\n", "nameserver 1.1.1.1\n", "nameserver 2.2.2.2\n", ""} {
		if err := writeFiles(dir, "eth0", resolv, c); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "etc/resolv.conf"))
		if err != nil || resolv != "" && string(got) != resolv {
			t.Errorf("resolv.conf = %q, %v, want %q", got, err, resolv)
		}
	}
	for _, target := range []string{"../run/resolv.conf", "/run/absolute/resolv.conf"} {
		link := filepath.Join(dir, "etc/resolv.conf")
		os.Remove(link)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if err := writeFiles(dir, "eth0", "nameserver 3.3.3.3\n", c); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(link); err != nil || got != target {
			t.Errorf("resolv.conf leads to %q, %v, want %q", got, err, target)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "run/absolute/resolv.conf")); err != nil || string(got) != "nameserver 3.3.3.3\n" {
		t.Errorf("behind the link: %q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*/.netcfg-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFormerLease(t *testing.T) {
	dir := t.TempDir()
	want := Config{
		Proto: "dhcp", Addr: prefix("10.0.2.15/32"), Gateway: addr("192.168.1.1"),
		Routes: []Route{{Dst: prefix("192.168.1.1/32")}, {prefix("0.0.0.0/0"), addr("192.168.1.1")}},
	}
	if c := formerLease(dir, "eth0", DHCP); c.Addr.IsValid() {
		t.Errorf("formerLease without a file = %+v", c)
	}
	if err := writeFiles(dir, "eth0", "", want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, formerLease(dir, "eth0", DHCP), comparer()); diff != "" {
		t.Errorf("formerLease (-want +got):\n%s", diff)
	}
	if c := formerLease(dir, "eth0", DHCP6); c.Addr.IsValid() {
		t.Errorf("formerLease of IPv4, for IPv6 = %+v", c)
	}
	six := Config{Proto: "dhcp6", Addr: prefix("fd00:1::15/128")}
	if err := writeFiles(dir, "eth0", "", want, six); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(six, formerLease(dir, "eth0", DHCP6), comparer()); diff != "" {
		t.Errorf("formerLease of IPv6 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, formerLease(dir, "eth0", DHCP), comparer()); diff != "" {
		t.Errorf("formerLease of both (-want +got):\n%s", diff)
	}
	static := want
	static.Proto = "static"
	if err := writeFiles(dir, "eth0", "", static); err != nil {
		t.Fatal(err)
	}
	if c := formerLease(dir, "eth0", DHCP); c.Addr.IsValid() {
		t.Errorf("formerLease of a fixed address = %+v", c)
	}
}

func TestFrame(t *testing.T) {
	hw := MAC{0x52, 0x54, 0, 0, 0, 1}
	payload := []byte("message!!")
	frame := broadcastFrame(hw, addr("10.0.2.15"), payload)
	if sum := sum16(0, frame[etherLen:etherLen+ipLen]); sum != 0xffff {
		t.Errorf("the IP header sums to %x", sum)
	}
	pseudo := append(append([]byte{}, frame[etherLen+12:etherLen+20]...), 0, protocolUDP, 0, byte(udpLen+len(payload)))
	if sum := sum16(uint32(sum16(0, pseudo)), frame[etherLen+ipLen:]); sum != 0xffff {
		t.Errorf("the UDP datagram sums to %x", sum)
	}
	if _, ok := dhcpPayload(frame); ok {
		t.Error("a client's frame passes for a server's")
	}
	// Turn it round.
	frame[etherLen+ipLen+1], frame[etherLen+ipLen+3] = serverPort, clientPort
	if got, ok := dhcpPayload(append(frame, 0, 0, 0)); !ok || !bytes.Equal(got, payload) {
		t.Errorf("payload %q, %t, want %q", got, ok, payload)
	}
	for n := range frame {
		if got, ok := dhcpPayload(frame[:n]); ok {
			t.Errorf("%d of %d bytes carry %q", n, len(frame), got)
		}
	}
}

func FuzzFrame(f *testing.F) {
	frame := broadcastFrame(MAC{}, netip.Addr{}, ack(nil).Bytes())
	frame[etherLen+ipLen+1], frame[etherLen+ipLen+3] = serverPort, clientPort
	f.Add(frame)
	f.Fuzz(func(t *testing.T, b []byte) {
		if payload, ok := dhcpPayload(b); ok && len(payload) > len(b)-etherLen-ipLen-udpLen {
			t.Errorf("%d bytes in a frame of %d", len(payload), len(b))
		}
	})
}

// TestLeaseFile shows what a link has of both families.
func TestLeaseFile(t *testing.T) {
	four := Config{
		Proto: "dhcp", Addr: prefix("10.0.2.15/24"), Gateway: addr("10.0.2.2"), DNS: []netip.Addr{addr("10.0.2.3"), addr("fd00::3")},
		Server: addr("10.0.2.2"), RootPath: "/srv", MTU: 1400, Lease: time.Hour,
	}
	six := Config{
		Proto: "dhcp6", Addr: prefix("fd00::15/128"), Gateway: addr("fe80::2"), DNS: []netip.Addr{addr("fd00::4"), addr("fd00::5")},
		NTP: []netip.Addr{addr("fd00::7b")}, Hostname: "node7", Search: []string{"a.example", "b.example"}, Lease: time.Minute,
	}
	tests := []struct {
		name  string
		given []Config
		want  string
	}{
		{"both", []Config{four, six}, `DEVICE='eth0'
PROTO='dhcp'
IPV4ADDR='10.0.2.15'
IPV4BROADCAST='10.0.2.255'
IPV4NETMASK='255.255.255.0'
IPV4GATEWAY='10.0.2.2'
IPV6PROTO='dhcp6'
IPV6ADDR='fd00::15/128'
IPV6GATEWAY='fe80::2'
IPV4DNS0='10.0.2.3'
IPV4DNS1='0.0.0.0'
IPV4NTP0='0.0.0.0'
IPV6DNS0='fd00::3'
IPV6DNS1='fd00::4'
IPV6NTP0='fd00::7b'
HOSTNAME='node7'
DNSDOMAIN=''
NISDOMAIN=''
ROOTSERVER='10.0.2.2'
ROOTPATH='/srv'
filename=''
MTU='1400'
DHCPLEASETIME='3600'
DOMAINSEARCH='a.example b.example'
`},
		{"IPv6 alone", []Config{{Proto: "static", Addr: prefix("fd00::15/64")}}, `DEVICE='eth0'
PROTO='none'
IPV6PROTO='none'
IPV6ADDR='fd00::15/64'
IPV4DNS0='0.0.0.0'
IPV4DNS1='0.0.0.0'
IPV4NTP0='0.0.0.0'
HOSTNAME=''
DNSDOMAIN=''
NISDOMAIN=''
ROOTSERVER='0.0.0.0'
ROOTPATH=''
filename=''
MTU='0'
DHCPLEASETIME='0'
DOMAINSEARCH=''
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.given[0].LeaseFile("eth0", test.given[1:]...)); diff != "" {
				t.Errorf("LeaseFile (-want +got):\n%s", diff)
			}
		})
	}
}
