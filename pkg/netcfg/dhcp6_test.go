package netcfg

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

var duid6 = []byte{0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, 1}

// server6 is the DUID of a server.
const server6 = "\x00\x03\x00\x01\x52\x54\x00\x00\x00\x99"

// TestMessage6Sent has the library read what the client sends.
func TestMessage6Sent(t *testing.T) {
	b := newBench6(t)
	b.c.hostname, b.c.want = "node7.example", addr("fd00:1::77")
	b.c.aim(goal6Address, b.now)
	s := b.sent(b.c.up(b.now), kind6Solicit)
	got, err := dhcpv6.MessageFromBytes(s.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got.MessageType != dhcpv6.MessageTypeSolicit || got.TransactionID != [3]byte{byte(s.xid >> 16), byte(s.xid >> 8), byte(s.xid)} {
		t.Errorf("message %s, transaction %v, want SOLICIT and %x", got.MessageType, got.TransactionID, s.xid)
	}
	o := got.Options
	if !bytes.Equal(o.ClientID().ToBytes(), duid6) {
		t.Errorf("client id %s", o.ClientID())
	}
	ia := o.OneIANA()
	if ia == nil || ia.IaId != [4]byte{0, 0, 0, 1} || ia.Options.OneAddress() == nil || ia.Options.OneAddress().IPv6Addr.String() != "fd00:1::77" {
		t.Errorf("IA_NA %v", ia)
	}
	if got := o.GetOne(dhcpv6.OptionRapidCommit); got == nil {
		t.Error("no rapid commit")
	}
	for _, code := range []dhcpv6.OptionCode{
		dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionSNTPServerList, dhcpv6.OptionFQDN,
		dhcpv6.OptionNTPServer, dhcpv6.OptionCode(82),
	} {
		if !o.RequestedOptions().Contains(code) {
			t.Errorf("option %s is not asked for", code)
		}
	}
	if f := o.FQDN(); f == nil || f.Flags != 1 || strings.Join(f.DomainName.Labels, " ") != "node7.example" {
		t.Errorf("FQDN %v", f)
	}
	if again, err := parseMessage6(got.ToBytes()); err != nil || again.kind != s.kind || again.xid != s.xid || len(again.options) != len(s.options) {
		t.Errorf("there and back: %+v, %v", again, err)
	}
}

// reply6 is what the library makes of a server's answer.
func reply6(t *testing.T, kind dhcpv6.MessageType, xid uint32, options ...dhcpv6.Option) message6 {
	t.Helper()
	m, err := parseMessage6(replyBytes6(t, kind, xid, options...))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func replyBytes6(t testing.TB, kind dhcpv6.MessageType, xid uint32, options ...dhcpv6.Option) []byte {
	t.Helper()
	client, err := dhcpv6.DUIDFromBytes(duid6)
	if err != nil {
		t.Fatal(err)
	}
	server, err := dhcpv6.DUIDFromBytes([]byte(server6))
	if err != nil {
		t.Fatal(err)
	}
	m := dhcpv6.Message{MessageType: kind, TransactionID: [3]byte{byte(xid >> 16), byte(xid >> 8), byte(xid)}}
	m.AddOption(dhcpv6.OptClientID(client))
	m.AddOption(dhcpv6.OptServerID(server))
	for _, o := range options {
		m.AddOption(o)
	}
	return m.ToBytes()
}

// iana6 is an IA_NA with addresses that live 60 and 100 s.
func iana6(t1, t2 time.Duration, addrs ...string) *dhcpv6.OptIANA {
	ia := &dhcpv6.OptIANA{IaId: [4]byte{0, 0, 0, 1}, T1: t1, T2: t2}
	for _, a := range addrs {
		ia.Options.Add(iaaddr6(a, time.Minute, 100*time.Second))
	}
	return ia
}

func iaaddr6(a string, preferred, valid time.Duration) *dhcpv6.OptIAAddress {
	return &dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP(a), PreferredLifetime: preferred, ValidLifetime: valid}
}

func TestLease6(t *testing.T) {
	const forever = forever6 * time.Second
	base := func(change func(*Config)) Config {
		c := Config{Proto: "dhcp6", Addr: prefix("fd00:1::10/128"), Lease: 100 * time.Second, T1: 30 * time.Second, T2: 48 * time.Second}
		change(&c)
		return c
	}
	same := func(*Config) {}
	times := func(lease, t1, t2 time.Duration) func(*Config) {
		return func(c *Config) { c.Lease, c.T1, c.T2 = lease*time.Second, t1*time.Second, t2*time.Second }
	}
	one := func(t1, t2, preferred, valid time.Duration) []dhcpv6.Option {
		ia := iana6(t1*time.Second, t2*time.Second)
		ia.Options.Add(iaaddr6("fd00:1::10", preferred*time.Second, valid*time.Second))
		return []dhcpv6.Option{ia}
	}
	list := func(options ...dhcpv6.Option) []dhcpv6.Option { return options }
	tests := []struct {
		name    string
		options []dhcpv6.Option
		want    Config
	}{
		{"T1 and T2 of the server", list(iana6(20*time.Second, 40*time.Second, "fd00:1::10")), base(times(100, 20, 40))},
		{"no T1 nor T2", list(iana6(0, 0, "fd00:1::10")), base(same)},
		{"no T2", list(iana6(20*time.Second, 0, "fd00:1::10")), base(times(100, 20, 48))},
		{"T1 after T2", list(iana6(50*time.Second, 40*time.Second, "fd00:1::10")), Config{}},
		{"T1 and T2 never", list(iana6(forever, forever, "fd00:1::10")), base(same)},
		{"for ever", one(0, 0, forever6, forever6), base(times(0, 0, 0))},
		{"for ever, not preferred for ever", one(0, 0, 60, forever6), base(times(0, 0, 0))},
		{"never preferred", one(0, 0, 0, 100), base(times(100, 50, 80))},
		{"preferred for longer than valid", one(0, 0, 101, 100), Config{}},
		{"valid for no time", one(0, 0, 0, 0), Config{}},
		{"valid for a second", one(0, 0, 1, 1), base(times(10, 5, 8))},
		{"several addresses", list(iana6(0, 0, "fd00:1::9", "fd00:1::10")), base(same)},
		{"another IA_NA", list(&dhcpv6.OptIANA{IaId: [4]byte{9}, Options: iana6(0, 0, "fd00:1::9").Options}, iana6(0, 0, "fd00:1::10")), base(same)},
		{"no IA_NA", nil, Config{}},
		{"a link-local address", list(iana6(0, 0, "fe80::5")), Config{}},
		{"a group", list(iana6(0, 0, "ff02::5")), Config{}},
		{"an IPv4 address", list(iana6(0, 0, "::ffff:10.0.0.1")), Config{}},
		{"loopback", list(iana6(0, 0, "::1")), Config{}},
		{"name servers", list(iana6(0, 0, "fd00:1::10"), dhcpv6.OptDNS(net.ParseIP("fd00::53"), net.ParseIP("ff02::fb"), net.ParseIP("fe80::1"), net.ParseIP("fd00::53"))),
			base(func(c *Config) { c.DNS = []netip.Addr{addr("fd00::53"), addr("fe80::1")} })},
		{"search list", list(iana6(0, 0, "fd00:1::10"), dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"a.example", "b.example"}})),
			base(func(c *Config) { c.Search = []string{"a.example", "b.example"} })},
		{"NTP over SNTP", list(iana6(0, 0, "fd00:1::10"),
			&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionSNTPServerList, OptionData: net.ParseIP("fd00::7c")},
			&dhcpv6.OptNTPServer{Suboptions: dhcpv6.Options{ntpServer6("fd00::7b")}}),
			base(func(c *Config) { c.NTP = []netip.Addr{addr("fd00::7b")} })},
		{"SNTP", list(iana6(0, 0, "fd00:1::10"), &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionSNTPServerList, OptionData: net.ParseIP("fd00::7c")}),
			base(func(c *Config) { c.NTP = []netip.Addr{addr("fd00::7c")} })},
		{"FQDN", list(iana6(0, 0, "fd00:1::10"), &dhcpv6.OptFQDN{DomainName: &rfc1035label.Labels{Labels: []string{"node7.example.org"}}}),
			base(func(c *Config) { c.Hostname, c.Domain = "node7", "example.org" })},
		{"part of a name", list(iana6(0, 0, "fd00:1::10"), &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionFQDN, OptionData: []byte("\x00\x05node7")}),
			base(func(c *Config) { c.Hostname = "node7" })},
		{"a name for a shell", list(iana6(0, 0, "fd00:1::10"), &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionFQDN, OptionData: []byte("\x00\x05a;b$c")}), base(same)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := reply6(t, dhcpv6.MessageTypeReply, 1, test.options...)
			ia, _ := m.ia(1)
			var got Config
			if lease := m.lease(ia, addr("fd00:1::10")); lease != nil {
				got = *lease
			}
			if diff := cmp.Diff(test.want, got, comparer()); diff != "" {
				t.Errorf("lease (-want +got):\n%s", diff)
			}
		})
	}
}

func ntpServer6(a string) dhcpv6.Option {
	o := dhcpv6.NTPSuboptionSrvAddr(net.ParseIP(a))
	return &o
}

func TestStatus6(t *testing.T) {
	ia := iana6(0, 0)
	ia.Options.Add(&dhcpv6.OptStatusCode{StatusCode: iana.StatusNoAddrsAvail, StatusMessage: "none left"})
	m := reply6(t, dhcpv6.MessageTypeReply, 1, ia, &dhcpv6.OptStatusCode{StatusCode: iana.StatusNotOnLink, StatusMessage: "wrong\nlink"})
	if s, text := m.options.status(); s != status6NotOnLink || text != "" {
		t.Errorf("status %s %q", s, text)
	}
	if got, _ := m.ia(1); got.status != status6NoAddrs || got.text != "none left" {
		t.Errorf("status of the IA_NA: %s %q", got.status, got.text)
	}
	if s := status6(9).String(); s != "an unknown status" {
		t.Errorf("status 9 is %q", s)
	}
}

func TestParseMessage6Errors(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing", "", "cut short"},
		{"three bytes", "\x07\x00\x00", "cut short"},
		{"a relay's", "\x0c\x00\x00\x00", "of a relay"},
		{"half an option", "\x07\x00\x00\x01\x00\x01", "runs past the end"},
		{"an option that is too long", "\x07\x00\x00\x01\x00\x01\x00\x05abcd", "runs past the end"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parseMessage6([]byte(test.in)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("parseMessage6(%q): %v, want %q", test.in, err, test.want)
			}
		})
	}
}

// FuzzMessage6 holds that a message goes there and back, that the library reads
// it in the same way, and what a lease from it may be.
func FuzzMessage6(f *testing.F) {
	f.Add(replyBytes6(f, dhcpv6.MessageTypeReply, 7, iana6(0, 0, "fd00:1::10")))
	f.Add(replyBytes6(f, dhcpv6.MessageTypeAdvertise, 7, iana6(10, 20, "fd00:1::10", "fd00:1::11"),
		dhcpv6.OptDNS(net.ParseIP("fd00::53")), dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"a.example"}}),
		&dhcpv6.OptNTPServer{Suboptions: dhcpv6.Options{ntpServer6("fd00::7b")}},
		&dhcpv6.OptFQDN{DomainName: &rfc1035label.Labels{Labels: []string{"node7"}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage6(b)
		if err != nil {
			return
		}
		if got := m.bytes(); !bytes.Equal(got, b) {
			t.Fatalf("there and back: %x, want %x", got, b)
		}
		if lib, err := dhcpv6.MessageFromBytes(b); err == nil && len(lib.Options.Options) != len(m.options) {
			t.Errorf("%d options, the library has %d", len(m.options), len(lib.Options.Options))
		}
		ia, ok := m.ia(1)
		c := m.lease(ia, netip.Addr{})
		switch {
		case c == nil:
			c = m.info()
			c.Addr = prefix("fd00::1/128")
		case !ok || !usable6(c.Addr.Addr()) || c.Addr.Bits() != 128:
			t.Errorf("lease %+v", c)
		case c.Lease != 0 && (c.T1 <= 0 || c.T1 >= c.T2 || c.T2 >= c.Lease):
			t.Errorf("times %s, %s, %s", c.T1, c.T2, c.Lease)
		}
		wantSafe(t, *c)
	})
}

// wantSafe holds that nothing in a config means anything to a shell or to a
// resolver but what it should.
func wantSafe(t *testing.T, c Config) {
	t.Helper()
	for line := range strings.Lines(c.ResolvConf()) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if word != "search" && word != "nameserver" || strings.ContainsAny(rest, "#;'\"$`\\\r\t") {
			t.Errorf("line %q in resolv.conf", line)
		}
	}
	for line := range strings.Lines(c.LeaseFile("eth0")) {
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.ContainsAny(name, " '$`") || !strings.HasPrefix(value, "'") || !strings.HasSuffix(value, "'\n") {
			t.Errorf("line %q in the lease file", line)
		}
	}
}

// FuzzNdUserOpt reads options of router advertisements.
func FuzzNdUserOpt(f *testing.F) {
	f.Add(userOpt(2, "\x19\x03\x00\x00\x00\x00\x00\x3c"+"\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x53"))
	f.Add(userOpt(2, "\x1f\x03\x00\x00\x00\x00\x00\x3c"+"\x01a\x07example\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, ok := parseNdUserOpt(b)
		if !ok {
			return
		}
		var a advertised
		now := time.Unix(1000, 0)
		for range 3 {
			a.add(o, now)
		}
		if len(a) > 2*maxAdvertised || o.lifetime == 0 && len(a) > 0 {
			t.Errorf("%d values of %d bytes, lifetime %s", len(a), len(b), o.lifetime)
		}
		if !a.due().IsZero() && !a.due().After(now) {
			t.Errorf("due %s", a.due())
		}
		c := Config{Proto: "auto6", Addr: prefix("fd00::1/64")}
		for _, said := range o.said {
			if said.dns.IsValid() {
				c.DNS = append(c.DNS, said.dns)
			} else {
				c.Search = append(c.Search, said.search)
			}
		}
		wantSafe(t, c)
	})
}

// userOpt is the payload of an RTM_NEWNDUSEROPT message.
func userOpt(index int, option string) []byte {
	b := []byte{10, 0, 0, 0, 0, 0, 0, 0, ndRouterAdv, 0, 0, 0, 0, 0, 0, 0}
	binary.NativeEndian.PutUint16(b[2:], uint16(len(option)))
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return append(b, option...)
}
