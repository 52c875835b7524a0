package netcfg

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ack is an ACK for 10.0.2.15 with the given options, a string of bytes each.
func ack(options map[byte]string) Message {
	m := Message{
		Reply: true, XID: 7, HW: MAC{0x52, 0x54, 0, 0, 0, 1}, Your: addr("10.0.2.15"),
		Options: map[byte][]byte{optType: {byte(Ack)}, optServerID: {10, 0, 2, 2}},
	}
	for k, v := range options {
		m.Options[k] = []byte(v)
	}
	return m
}

func seconds(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

const (
	mask24  = "\xff\xff\xff\x00"
	gateway = "\x0a\x00\x02\x02"
)

func TestLease(t *testing.T) {
	hour := func(change func(*Config)) Config {
		c := Config{
			Proto: "dhcp", Addr: prefix("10.0.2.15/24"), Server: addr("10.0.2.2"),
			Lease: time.Hour, T1: 30 * time.Minute, T2: 52*time.Minute + 30*time.Second,
		}
		change(&c)
		return c
	}
	same := func(*Config) {}
	times := func(lease, t1, t2 time.Duration) func(*Config) {
		return func(c *Config) { c.Lease, c.T1, c.T2 = lease, t1, t2 }
	}
	via := func(dst, gw string) Route { return Route{prefix(dst), addr(gw)} }
	tests := []struct {
		name    string
		options map[byte]string
		want    Config
	}{
		{"address and mask", map[byte]string{1: mask24, 51: seconds(3600)}, hour(same)},
		{"no lease time", map[byte]string{1: mask24}, hour(same)},
		{"no mask: class A", map[byte]string{51: seconds(3600)}, hour(func(c *Config) { c.Addr = prefix("10.0.2.15/8") })},
		{"mask in pieces", map[byte]string{1: "\xff\x00\xff\x00"}, hour(func(c *Config) { c.Addr = prefix("10.0.2.15/8") })},
		{"mask of zeros", map[byte]string{1: "\x00\x00\x00\x00"}, hour(func(c *Config) { c.Addr = prefix("10.0.2.15/8") })},
		{"mask of three bytes", map[byte]string{1: "\xff\xff\xff"}, hour(func(c *Config) { c.Addr = prefix("10.0.2.15/8") })},
		{"gateway", map[byte]string{1: mask24, 3: gateway}, hour(func(c *Config) {
			c.Gateway, c.Routes = addr("10.0.2.2"), []Route{via("0.0.0.0/0", "10.0.2.2")}
		})},
		{"first usable gateway", map[byte]string{1: mask24, 3: "\x00\x00\x00\x00\xe0\x00\x00\x01\x0a\x00\x02\x0f" + gateway}, hour(func(c *Config) {
			c.Gateway, c.Routes = addr("10.0.2.2"), []Route{via("0.0.0.0/0", "10.0.2.2")}
		})},
		{"off-link gateway", map[byte]string{1: mask24, 3: "\xc0\xa8\x01\x01"}, hour(func(c *Config) {
			c.Gateway, c.Routes = addr("192.168.1.1"), []Route{{Dst: prefix("192.168.1.1/32")}, via("0.0.0.0/0", "192.168.1.1")}
		})},
		{"/32", map[byte]string{1: "\xff\xff\xff\xff", 3: gateway}, hour(func(c *Config) {
			c.Addr, c.Gateway = prefix("10.0.2.15/32"), addr("10.0.2.2")
			c.Routes = []Route{{Dst: prefix("10.0.2.2/32")}, via("0.0.0.0/0", "10.0.2.2")}
		})},
		{"121 wins over 3", map[byte]string{1: mask24, 3: "\x0a\x00\x02\x09",
			121: "\x18\xc0\xa8\x07\x0a\x00\x02\x03" + "\x00\x0a\x00\x02\x04" + "\x20\xa9\xfe\xa9\xfe\x00\x00\x00\x00"}, hour(func(c *Config) {
			c.Gateway = addr("10.0.2.4")
			c.Routes = []Route{{Dst: prefix("169.254.169.254/32")}, via("192.168.7.0/24", "10.0.2.3"), via("0.0.0.0/0", "10.0.2.4")}
		})},
		{"121 brings the way to its gateway", map[byte]string{1: "\xff\xff\xff\xff", 121: "\x00\xac\x10\x00\x01" + "\x20\xac\x10\x00\x01\x00\x00\x00\x00"}, hour(func(c *Config) {
			c.Addr, c.Gateway = prefix("10.0.2.15/32"), addr("172.16.0.1")
			c.Routes = []Route{{Dst: prefix("172.16.0.1/32")}, via("0.0.0.0/0", "172.16.0.1")}
		})},
		{"halves of the Internet", map[byte]string{1: mask24, 121: "\x01\x00" + gateway + "\x01\x80" + gateway}, hour(func(c *Config) {
			c.Routes = []Route{via("0.0.0.0/1", "10.0.2.2"), via("128.0.0.0/1", "10.0.2.2")}
		})},
		{"249", map[byte]string{1: mask24, 249: "\x00\x0a\x00\x02\x04"}, hour(func(c *Config) {
			c.Gateway, c.Routes = addr("10.0.2.4"), []Route{via("0.0.0.0/0", "10.0.2.4")}
		})},
		{"121 cut short: back to 3", map[byte]string{1: mask24, 3: gateway, 121: "\x18\xc0\xa8"}, hour(func(c *Config) {
			c.Gateway, c.Routes = addr("10.0.2.2"), []Route{via("0.0.0.0/0", "10.0.2.2")}
		})},
		{"121 with 33 bits", map[byte]string{1: mask24, 121: "\x21\x01\x02\x03\x04\x05\x0a\x00\x02\x02"}, hour(same)},
		{"routes twice, to itself, to the subnet, to multicast", map[byte]string{1: mask24, 121: "\x08\x0b" + gateway + "\x08\x0b\x0a\x00\x02\x03" +
			"\x08\x0c\x0a\x00\x02\x0f" + "\x18\x0a\x00\x02" + gateway + "\x04\xe0" + gateway}, hour(func(c *Config) {
			c.Routes = []Route{via("11.0.0.0/8", "10.0.2.2")}
		})},
		{"name servers", map[byte]string{1: mask24, 6: "\x0a\x00\x02\x03\x00\x00\x00\x00\xff\xff\xff\xff\x0a\x00\x02\x03\x01\x01\x01\x01\x09"}, hour(func(c *Config) {
			c.DNS = []netip.Addr{addr("10.0.2.3"), addr("1.1.1.1")}
		})},
		{"names", map[byte]string{1: mask24, 12: "node7.site.example\x00", 15: "example.org", 119: "\x01a\x07example\x00\x01b\xc0\x02"}, hour(func(c *Config) {
			c.Hostname, c.Domain, c.Search = "node7", "example.org", []string{"a.example", "b.example"}
		})},
		{"search list in option 15", map[byte]string{1: mask24, 15: "a.example b.example. $(x)"}, hour(func(c *Config) {
			c.Domain, c.Search = "a.example", []string{"a.example", "b.example"}
		})},
		{"hostile names", map[byte]string{1: mask24, 12: "x;reboot", 15: "a\nnameserver 6.6.6.6", 119: "\x03a b\x00", 17: "/x\n/y", 67: "$(x)'"}, hour(func(c *Config) {
			c.BootFile = "$(x)'"
		})},
		{"overlong host name", map[byte]string{1: mask24, 12: strings.Repeat("x", 64)}, hour(same)},
		{"empty options", map[byte]string{1: mask24, 3: "", 6: "", 12: "", 15: "", 26: "", 42: "", 51: "", 58: "", 119: "", 121: ""}, hour(same)},
		{"mtu", map[byte]string{1: mask24, 26: "\x05\x78"}, hour(func(c *Config) { c.MTU = 1400 })},
		{"mtu of 68", map[byte]string{1: mask24, 26: "\x00\x44"}, hour(same)},
		{"ntp", map[byte]string{1: mask24, 42: gateway}, hour(func(c *Config) { c.NTP = []netip.Addr{addr("10.0.2.2")} })},
		{"root", map[byte]string{1: mask24, 17: "10.0.2.2:/srv", 67: "vmlinuz\x00"}, hour(func(c *Config) { c.RootPath, c.BootFile = "10.0.2.2:/srv", "vmlinuz" })},
		{"lease for ever", map[byte]string{1: mask24, 51: "\xff\xff\xff\xff", 58: seconds(5)}, hour(times(0, 0, 0))},
		{"lease of 0", map[byte]string{1: mask24, 51: seconds(0)}, hour(times(10*time.Second, 5*time.Second, 8750*time.Millisecond))},
		{"lease of 2^32-2", map[byte]string{1: mask24, 51: "\xff\xff\xff\xfe", 58: seconds(60), 59: seconds(120)},
			hour(times((1<<32-2)*time.Second, time.Minute, 2*time.Minute))},
		{"own T1 and T2", map[byte]string{1: mask24, 51: seconds(3600), 58: seconds(600), 59: seconds(1200)}, hour(times(time.Hour, 10*time.Minute, 20*time.Minute))},
		{"T1 after T2", map[byte]string{1: mask24, 51: seconds(3600), 58: seconds(1800), 59: seconds(1200)},
			hour(times(time.Hour, 20*time.Minute/7*4, 20*time.Minute))},
		{"T1 and T2 of 0", map[byte]string{1: mask24, 51: seconds(3600), 58: seconds(0), 59: seconds(0)}, hour(same)},
		{"T2 after the end", map[byte]string{1: mask24, 51: seconds(3600), 59: seconds(9999)}, hour(same)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// Over the wire, so that the codec is in it.
			m, err := ParseMessage(ack(test.options).Bytes())
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Lease()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, comparer()); diff != "" {
				t.Errorf("Lease (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeaseRefusesAddresses(t *testing.T) {
	for _, a := range []netip.Addr{
		{}, addr("127.0.0.1"), addr("224.0.0.1"), addr("255.255.255.255"), addr("0.1.2.3"), addr("10.0.2.0"), addr("10.0.2.255"),
	} {
		m := ack(map[byte]string{optMask: mask24})
		m.Your = a
		if c, err := m.Lease(); err == nil {
			t.Errorf("Lease of %s = %+v, want an error", a, c)
		}
	}
}

// TestOverload reads options out of the fields for file and server.
func TestOverload(t *testing.T) {
	m := ack(map[byte]string{optOverload: "\x03", optMask: mask24})
	b := m.Bytes()
	copy(b[offsetFile:], "\x0c\x05node7\xff")
	copy(b[offsetServer:], "\x0f\x07example\xff")
	got, err := ParseMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := got.Lease()
	if err != nil || c.Hostname != "node7" || c.Domain != "example" || c.BootFile != "" {
		t.Errorf("Lease = %+v, %v, want host name node7, domain example and no file", c, err)
	}
}

// overloaded is the message with options in the field for the file.
func (m Message) overloaded(options string) []byte {
	b := m.Bytes()
	copy(b[offsetFile:headerLen], options)
	return b
}

func TestParseMessageErrors(t *testing.T) {
	good := ack(nil).Bytes()
	change := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), good...)) }
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, errShort},
		{"header only", good[:headerLen], errShort},
		{"no magic", change(func(b []byte) []byte { b[headerLen] = 0; return b }), errNoDHCP},
		{"token ring", change(func(b []byte) []byte { b[1] = 6; return b }), errNoDHCP},
		{"option past the end", append(change(func(b []byte) []byte { return b[:headerLen+4] }), 12, 9, 'x'), errNoOption},
		{"option without length", append(change(func(b []byte) []byte { return b[:headerLen+4] }), 12), errNoOption},
		{"option one byte short", append(change(func(b []byte) []byte { return b[:headerLen+4] }), 12, 1), errNoOption},
		{"no end mark", append(change(func(b []byte) []byte { return b[:headerLen+4] }), 12, 1, 'x'), nil},
		{"infiniband", change(func(b []byte) []byte { b[2] = 16; return b }), errNoDHCP},
		{"overload cut short", ack(map[byte]string{optOverload: "\x01"}).overloaded("\x0c\x80"), errNoOption},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := ParseMessage(test.in); !errors.Is(err, test.want) {
				t.Errorf("ParseMessage: %v, want %v", err, test.want)
			}
		})
	}
}

func TestSearchList(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"two", "\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04", "eng.apple.com marketing.apple.com"}, // RFC 3397, section 2
		{"pointer to a name that ends in one", "\x01a\x07example\x00\x01b\xc0\x02\x01c\xc0\x0b", "a.example b.example c.b.example"},
		{"pointer to itself", "\xc0\x00", ""},
		{"pointer forwards", "\xc0\x02\x01a\x00", ""},
		{"pointers in a circle", "\x01a\xc0\x02\xc0\x00", ""},
		{"cut short", "\x03eng\x05app", ""},
		{"no end", "\x03eng", ""},
		{"the root", "\x00\x01a\x00", "a"},
		{"a space", "\x03a b\x00\x01c\x00", "c"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(searchList([]byte(test.in)), " "); got != test.want {
				t.Errorf("searchList(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func TestLeaseFileQuotes(t *testing.T) {
	c := Config{Proto: "dhcp", Addr: prefix("10.0.2.15/24"), RootPath: "/a'$(reboot)"}
	if got, want := c.LeaseFile("eth0"), `ROOTPATH='/a'\''$(reboot)'`+"\n"; !strings.Contains(got, want) {
		t.Errorf("LeaseFile = %s, want a line %s", got, want)
	}
}

// FuzzLease reads packets as a hostile server could send them.
func FuzzLease(f *testing.F) {
	f.Add(ack(nil).Bytes())
	f.Add(ack(map[byte]string{1: mask24, 3: gateway, 6: gateway, 12: "h", 15: "d", 26: "\x05\xdc", 51: seconds(60),
		119: "\x01a\x00\x01b\xc0\x00", 121: "\x08\x0b" + gateway + "\x00" + gateway}).Bytes())
	f.Add(ack(map[byte]string{optOverload: "\x03", 121: "\x20\x01\x02\x03\x04\x00\x00\x00\x00"}).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMessage(b)
		if err != nil {
			return
		}
		c, err := m.Lease()
		if err != nil {
			return
		}
		if c.Lease != 0 && (c.T1 <= 0 || c.T1 >= c.T2 || c.T2 >= c.Lease) {
			t.Errorf("times %s, %s, %s", c.T1, c.T2, c.Lease)
		}
		for i, r := range c.Routes {
			reachable := c.subnet().Contains(r.Gateway)
			for _, o := range c.Routes[:i] {
				reachable = reachable || !o.Gateway.IsValid() && o.Dst.Contains(r.Gateway)
			}
			if r.Gateway.IsValid() && !reachable {
				t.Errorf("the gateway of %v cannot be reached: %v", r, c.Routes)
			}
		}
		for line := range strings.Lines(c.ResolvConf()) {
			word, _, _ := strings.Cut(line, " ")
			if word != "search" && word != "nameserver" {
				t.Errorf("line %q in resolv.conf", line)
			}
		}
		if n := strings.Count(c.LeaseFile("eth0"), "\n"); n != 18 {
			t.Errorf("%d lines in the lease file", n)
		}
	})
}
