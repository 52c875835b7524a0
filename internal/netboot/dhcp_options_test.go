package netboot

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// TestOptions shows what answers have in them: the header's fields for booting,
// and all options, as text.
func TestOptions(t *testing.T) {
	rich := func(c *DHCPConfig) {
		s := &c.Subnets[0]
		s.NTP, s.MTU, s.Search = []netip.Addr{testServer}, 1400, []string{"a.example", "b.example."}
		s.Routes = []Route{{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParseAddr("10.9.0.3")}, {netip.MustParsePrefix("0.0.0.0/0"), testServer}}
		s.Options = []CustomOption{{Code: 114, Data: []byte("http://10.9.0.1/")}, {Code: 150, Data: []byte{10, 9, 0, 1}, Always: true}}
		c.Book = testBook{"52:54:00:00:00:01": {Hostname: "node1"}}
	}
	const (
		head  = "54=0a090001 51=00000e10 58=00000708 59=00000c4e "
		uuid  = "00112233-4455-6677-8899-aabbccddeeff"
		raw   = "0000112233445566778899aabbccddeeff"
		plain = "53=02 " + head + "1=ffffff00 3=0a090001 6=0a09000109090909 15=6578616d706c652e6f7267 28=0a0900ff"
	)
	tests := []struct {
		name   string
		config func(*DHCPConfig)
		ask    string
		want   string
	}{
		{"all that is configured, without a list", nil, "discover 01", plain},
		{"what is asked for", nil, "discover 01 want=1,6", "53=02 " + head + "1=ffffff00 6=0a09000109090909"},
		{"identifier echoed", nil, "discover 01 want=1 id=abc", "53=02 " + head + "61=616263 1=ffffff00"},
		{"ack", nil, "request 01 ip=10.9.0.10 server=10.9.0.1 want=1", "53=05 " + head + "1=ffffff00"},
		{"nak", nil, "request 01 ip=10.8.0.10 server=10.9.0.1 want=1 id=abc", "53=06 54=0a090001 56=77726f6e67206e6574776f726b 61=616263"},
		{"inform has no times", nil, "inform 01 ci=10.9.0.9 want=3", "53=05 54=0a090001 1=ffffff00 3=0a090001"},
		{"rapid commit", func(c *DHCPConfig) { c.RapidCommit = true }, "discover 01 rapid want=1", "53=05 " + head + "80= 1=ffffff00"},
		{"relay's option last", nil, "discover 01 gi=10.9.0.2 want=1,3 hex=82:0102aabb", "53=02 " + head + "1=ffffff00 3=0a090001 82=0102aabb"},
		{
			"everything", rich, "discover 01 want=1,121,3,6,12,15,28,26,42,119,249,114 size=1500",
			"53=02 " + head + "1=ffffff00 121=18c0a8070a090003000a090001 3=0a090001 6=0a09000109090909 15=6578616d706c652e6f7267 28=0a0900ff 26=0578 42=0a090001 " +
				"119=0161076578616d706c650001620765" + "78616d706c6500 249=18c0a8070a090003000a090001 114=687474703a2f2f31302e392e302e312f 150=0a090001 12=6e6f646531",
		},
		{
			"BIOS", nil, "discover 01 want=1,66,67 class=PXEClient:Arch:00000:UNDI:002001 arch=0 uuid=" + uuid,
			"file=undionly.kpxe next=10.9.0.1 53=02 " + head + "60=505845436c69656e74 43=060108ff 97=" + raw + " 1=ffffff00 67=756e64696f6e6c792e6b707865 66=31302e392e302e31",
		},
		{
			"EFI x64 as 7", nil, "discover 01 want=1 class=PXEClient arch=7",
			"file=ipxe.efi next=10.9.0.1 53=02 " + head + "60=505845436c69656e74 43=060108ff 1=ffffff00",
		},
		{
			"EFI arm64", nil, "discover 01 want=1 class=PXEClient arch=11",
			"file=ipxe-arm64.efi next=10.9.0.1 53=02 " + head + "60=505845436c69656e74 43=060108ff 1=ffffff00",
		},
		{"EFI arm, for which there is no program", nil, "discover 01 want=1 class=PXEClient arch=10", "53=02 " + head + "1=ffffff00"},
		{
			"HTTP boot", nil, "discover 01 want=1,67 class=HTTPClient:Arch:00016 arch=16",
			"file=http://10.9.0.1/ipxe.efi 53=02 " + head + "60=48545450436c69656e74 1=ffffff00 67=687474703a2f2f31302e392e302e312f697078652e656669",
		},
		{
			"iPXE", nil, "discover 01 want=1 class=PXEClient arch=9 user=iPXE hex=175:130101",
			"file=http://10.9.0.1/boot.ipxe?mac=52:54:00:00:00:01 next=10.9.0.1 53=02 " + head + "60=505845436c69656e74 43=060108ff 1=ffffff00 175=b00101",
		},
		{
			"iPXE without HTTP", nil, "discover 01 want=1 class=PXEClient user=iPXE hex=175:150101",
			"file=boot.ipxe next=10.9.0.1 53=02 " + head + "60=505845436c69656e74 43=060108ff 1=ffffff00 175=b00101",
		},
		{
			"proxy", proxied, "discover 01 want=1,3,67 class=PXEClient arch=9 uuid=" + uuid,
			"file=ipxe.efi next=10.9.0.1 53=02 54=0a090001 60=505845436c69656e74 43=060108ff 97=" + raw + " 67=697078652e656669",
		},
		{
			"proxy, a boot server's item", proxied, "request 01 4011 want=67 ci=10.9.0.9 class=PXEClient arch=9 hex=43:470480000000ff",
			"file=ipxe.efi next=10.9.0.1 53=05 54=0a090001 60=505845436c69656e74 43=060108470480000000ff 67=697078652e656669",
		},
		{
			"proxy, iPXE", proxied, "discover 01 want=67 class=PXEClient arch=9 user=iPXE",
			"file=http://10.9.0.1/boot.ipxe?mac=52:54:00:00:00:01 next=10.9.0.1 53=02 54=0a090001 60=505845436c69656e74 43=060108ff " +
				"67=" + fmt.Sprintf("%x", "http://10.9.0.1/boot.ipxe?mac=52:54:00:00:00:01"),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, test.config)
			if diff := cmp.Diff(test.want, b.options(b.answer(test.ask))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.ask, diff)
			}
		})
	}
}

// options lists what an answer says, options in their order.
func (b *bench) options(a Answer) string {
	b.t.Helper()
	d := b.read(a)
	if d == nil {
		return "silence"
	}
	var words []string
	if d.BootFileName != "" {
		words = append(words, "file="+d.BootFileName)
	}
	if !d.ServerIPAddr.IsUnspecified() {
		words = append(words, "next="+d.ServerIPAddr.String())
	}
	var m dhcpMessage
	if err := m.parseAs(opReply, a.Packet); err != nil {
		b.t.Fatal(err)
	}
	for _, o := range m.options {
		words = append(words, fmt.Sprintf("%d=%x", o.code, o.data))
	}
	return strings.Join(words, " ")
}

// TestRoom shows that an answer is no longer than the client takes, and what it
// keeps.
func TestRoom(t *testing.T) {
	big := func(c *DHCPConfig) {
		c.Subnets[0].Options = []CustomOption{{Code: 224, Data: make([]byte, 200)}, {Code: 225, Data: make([]byte, 600)}, {Code: 226, Data: make([]byte, 10)}}
	}
	for _, test := range []struct {
		ask  string
		most int
		want []byte
		not  []byte
	}{
		{"discover 01", 548, []byte{1, 3, 224, 226}, []byte{225}},
		{"discover 01 size=100", 548, []byte{1, 3, 224, 226}, []byte{225}},
		{"discover 01 size=1500", 1472, []byte{1, 3, 224, 225, 226}, nil},
		{"discover 01 size=65535", 1472, []byte{1, 3, 224, 225, 226}, nil},
		{"discover 01 gi=10.9.0.2 hex=82:01ff" + strings.Repeat("00", 253), 548, []byte{1, 51, 82}, []byte{224, 225}},
	} {
		b := newBench(t, big)
		a := b.answer(test.ask)
		d := b.read(a)
		if len(a.Packet) > test.most {
			t.Errorf("%s: %d bytes, at most %d fit", test.ask, len(a.Packet), test.most)
		}
		for _, code := range test.want {
			if !d.Options.Has(dhcpv4.GenericOptionCode(code)) {
				t.Errorf("%s: no option %d", test.ask, code)
			}
		}
		for _, code := range test.not {
			if d.Options.Has(dhcpv4.GenericOptionCode(code)) {
				t.Errorf("%s: option %d", test.ask, code)
			}
		}
		if len(d.Options[225]) != 600 && len(test.not) == 0 {
			t.Errorf("%s: option 225 has %d bytes", test.ask, len(d.Options[225]))
		}
	}
}

// TestMalformed shows that what is no request is an error, and which.
func TestMalformed(t *testing.T) {
	b := newBench(t, nil)
	good, from := b.ask("discover 01 id=abcdef")
	with := func(change func([]byte) []byte) []byte { return change(append([]byte(nil), good...)) }
	for _, test := range []struct {
		name   string
		packet []byte
		want   error
	}{
		{"empty", nil, errShort},
		{"short", good[:239], errShort},
		{"a reply", with(func(p []byte) []byte { p[0] = 2; return p }), errNoDHCP},
		{"hardware address of 17 bytes", with(func(p []byte) []byte { p[2] = 17; return p }), errNoDHCP},
		{"no cookie", with(func(p []byte) []byte { p[236] = 0; return p }), errNoDHCP},
		{"option past the end", with(func(p []byte) []byte { return append(p[:240], 53, 2, 1) }), errNoOption},
		{"option without length", with(func(p []byte) []byte { return append(p[:240], 53) }), errNoOption},
		{"nobody", with(func(p []byte) []byte { p[2] = 0; return append(p[:240], 53, 1, 1, 255) }), errNoClient},
		{"relay's option of 256 bytes", with(func(p []byte) []byte {
			p = append(append(p[:240], 53, 1, 1, 82, 255), make([]byte, 255)...)
			return append(p, 82, 1, 0, 255)
		}), errAgent},
	} {
		if a, err := b.core.Reply(b.now, test.packet, from); err != test.want || a.Packet != nil {
			t.Errorf("%s: %v, %v; want %v", test.name, a.Packet, err, test.want)
		}
	}
}

// TestValidate shows what users are told about wrong configurations.
func TestValidate(t *testing.T) {
	for _, test := range []struct {
		want   string
		change func(*DHCPConfig)
	}{
		{"", func(*DHCPConfig) {}},
		{"dhcp: proxy mode gives out no addresses: leave out the subnets, or the proxy", func(c *DHCPConfig) { c.Proxy = true }},
		{"subnet 10.9.0.1/24: not an IPv4 network such as 10.0.0.0/24", func(c *DHCPConfig) { c.Subnets[0].Prefix = netip.MustParsePrefix("10.9.0.1/24") }},
		{"subnet 10.9.0.0/24: pool 10.9.0.12-10.9.0.10: not a range of IPv4 addresses, the lower first", func(c *DHCPConfig) {
			p := &c.Subnets[0].Pools[0]
			p.First, p.Last = p.Last, p.First
		}},
		{"subnet 10.9.0.0/24: pool 10.9.0.10-10.9.1.1: outside of the subnet", func(c *DHCPConfig) { c.Subnets[0].Pools[0].Last = netip.MustParseAddr("10.9.1.1") }},
		{"subnet 10.9.0.0/24: pool 10.9.0.12-10.9.0.20: overlaps with 10.9.0.10-10.9.0.12", func(c *DHCPConfig) {
			c.Subnets[0].Pools = append(c.Subnets[0].Pools, Range{netip.MustParseAddr("10.9.0.12"), netip.MustParseAddr("10.9.0.20")})
		}},
		{"subnet 10.9.0.0/24: overlaps with 10.9.0.0/24", func(c *DHCPConfig) { c.Subnets = append(c.Subnets, c.Subnets[0]) }},
		{"subnet 10.9.0.0/24: lease times 1s, 1s at least, 1s at most: not in this order, or not between 30s and 87600h0m0s", func(c *DHCPConfig) { c.Subnets[0].Lease = time.Second }},
		{"subnet 10.9.0.0/24: MTU 20: not between 68 and 65535", func(c *DHCPConfig) { c.Subnets[0].MTU = 20 }},
		{"subnet 10.9.0.0/24: ::1: not an IPv4 address", func(c *DHCPConfig) { c.Subnets[0].DNS = []netip.Addr{netip.IPv6Loopback()} }},
		{"subnet 10.9.0.0/24: option 255: codes are 1 to 254, with at most 1024 bytes", func(c *DHCPConfig) { c.Subnets[0].Options = []CustomOption{{Code: 255}} }},
		{`iPXE script: "boot.ipxe" is not an HTTP URL`, func(c *DHCPConfig) { c.Boot.Script = "boot.ipxe" }},
	} {
		c := DHCPConfig{Subnets: []Subnet{testSubnet}, Boot: testBoot}
		c.Subnets[0].Pools = append([]Range(nil), testSubnet.Pools...)
		test.change(&c)
		got := ""
		if err := c.Validate(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("Validate: %q, want %q", got, test.want)
		}
	}
}
