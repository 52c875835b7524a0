package netboot

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestReservedExpired has more reservations whose leases have run out than
// anybody wants to look through for each request: they are not in the way of a
// pool's own addresses, whose leases have run out later.
func TestReservedExpired(t *testing.T) {
	const reserved = 1000
	book := testBook{}
	for i := range reserved {
		book[fmt.Sprintf("52:54:01:00:%02x:%02x", i>>8, i&0xff)] = Node{Address: address(number(netip.MustParseAddr("10.9.1.0")) + uint32(i))}
	}
	for name, pool := range map[string]Range{
		"outside of the pool": {netip.MustParseAddr("10.9.9.1"), netip.MustParseAddr("10.9.9.1")},
		"in the pool":         {netip.MustParseAddr("10.9.1.0"), address(number(netip.MustParseAddr("10.9.1.0")) + reserved)},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSubnet
			s.Prefix, s.Pools = netip.MustParsePrefix("10.9.0.0/16"), []Range{pool}
			b := newBench(t, func(c *DHCPConfig) { c.Subnets, c.Book = []Subnet{s}, book })
			place := func(a netip.Addr, client string, at time.Time) {
				b.core.table.place(&binding{Lease: Lease{Addr: a, Client: []byte(client), Expires: at}, key: client, kept: true, index: -1})
			}
			for mac, n := range book {
				place(n.Address, mac, b.now.Add(-2*time.Hour))
			}
			place(pool.Last, "somebody", b.now.Add(-time.Hour))
			want := "offer " + pool.Last.String() + " to hw"
			for range 2 {
				if got := b.brief(b.answer("discover 77")); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
			b.check()
			if err := b.core.Configure(b.core.config); err != nil {
				t.Fatal(err)
			}
			b.check()
		})
	}
}

// TestOverload reads options from the header's fields (RFC 2132, section 9.3).
func TestOverload(t *testing.T) {
	b := newBench(t, nil)
	for _, tc := range []struct {
		name, file, sname, want string
		overload                byte
	}{
		{"none", "\x0c\x01f\xff", "\x0c\x01s\xff", "x", 0},
		{"file", "\x0c\x01f\xff", "\x0c\x01s\xff", "xf", 1},
		{"sname", "\x0c\x01f\xff", "\x0c\x01s\xff", "xs", 2},
		{"both", "\x0c\x01f\xff", "\x0c\x01s", "xfs", 3},
		{"past the end", "\x0c\xffff", "", "", 1},
	} {
		packet, _ := b.ask("discover 01 name=x hex=52:" + fmt.Sprintf("%02x", tc.overload))
		copy(packet[offsetFile:], tc.file)
		copy(packet[offsetName:], tc.sname)
		var m dhcpMessage
		err := m.parse(packet)
		if got := string(m.option(optHostname)); (err != nil) != (tc.want == "") || err == nil && got != tc.want {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
		}
	}
}
