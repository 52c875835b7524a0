package netboot

import (
	"net/netip"
	"time"
)

// exchange tables: see TestExchanges.
type exchangeTest struct {
	name   string
	config func(*DHCPConfig)
	play   string
}

func exchanges() []exchangeTest {
	book := func(nodes testBook) func(*DHCPConfig) { return func(c *DHCPConfig) { c.Book = nodes } }
	reserved := testBook{"52:54:00:00:00:01": {Hostname: "node1", Address: netip.MustParseAddr("10.9.0.50")}}
	inPool := testBook{"52:54:00:00:00:01": {Address: netip.MustParseAddr("10.9.0.10")}}
	humble := func(c *DHCPConfig) { c.Authoritative = false }
	relayed := func(c *DHCPConfig) {
		c.Subnets = append(c.Subnets, Subnet{Prefix: netip.MustParsePrefix("10.7.0.0/24"), Pools: []Range{{netip.MustParseAddr("10.7.0.20"), netip.MustParseAddr("10.7.0.29")}}})
	}
	const get01 = "discover 01 -> offer 10.9.0.10 to hw\nrequest 01 ip=10.9.0.10 server=10.9.0.1 -> ack 10.9.0.10 to hw\n"
	return []exchangeTest{
		{"four messages", nil, get01},
		{"broadcast flag", nil, "discover 01 broadcast -> offer 10.9.0.10 to all\nrequest 01 broadcast ip=10.9.0.10 server=10.9.0.1 -> ack 10.9.0.10 to all"},
		{"each client its address", nil, get01 + "discover 02 -> offer 10.9.0.11 to hw\ndiscover 03 -> offer 10.9.0.12 to hw\ndiscover 04 -> silence"},
		{"same client, same address", nil, get01 + `
			discover 01 -> offer 10.9.0.10 to hw
			+2h
			discover 01 -> offer 10.9.0.10 to hw
			restart
			discover 01 -> offer 10.9.0.10 to hw`},
		{"the address asked for", nil, "discover 01 ip=10.9.0.12 -> offer 10.9.0.12 to hw\ndiscover 02 ip=10.9.0.12 -> offer 10.9.0.10 to hw\ndiscover 03 ip=10.9.0.99 -> offer 10.9.0.11 to hw"},
		{"an offer ends", nil, `
			discover 01 -> offer 10.9.0.10 to hw
			discover 02 -> offer 10.9.0.11 to hw
			discover 03 -> offer 10.9.0.12 to hw
			discover 04 -> silence
			+31s
			discover 04 -> offer 10.9.0.10 to hw
			request 01 ip=10.9.0.10 server=10.9.0.1 -> nak to all
			request 02 ip=10.9.0.11 server=10.9.0.1 -> ack 10.9.0.11 to hw`},
		{"expired leases, the oldest first", nil, get01 + `
			+1m
			discover 02 -> offer 10.9.0.11 to hw
			request 02 ip=10.9.0.11 server=10.9.0.1 -> ack 10.9.0.11 to hw
			discover 03 -> offer 10.9.0.12 to hw
			request 03 ip=10.9.0.12 server=10.9.0.1 -> ack 10.9.0.12 to hw
			+59m30s
			discover 04 -> offer 10.9.0.10 to hw
			request 01 ip=10.9.0.10 -> nak to all
			discover 05 -> silence`},
		{"another server is chosen", nil, "discover 01 -> offer 10.9.0.10 to hw\nrequest 01 ip=10.9.0.200 server=10.9.0.2 -> silence\ndiscover 02 ip=10.9.0.10 -> offer 10.9.0.10 to hw"},
		{"another server is chosen, the lease stays", nil, get01 + "request 01 ip=10.9.0.200 server=10.9.0.2 -> silence\ndiscover 02 ip=10.9.0.10 -> offer 10.9.0.11 to hw"},
		{"a restart between offer and request", nil, "discover 01 -> offer 10.9.0.10 to hw\nrestart\nrequest 01 ip=10.9.0.10 server=10.9.0.1 -> ack 10.9.0.10 to hw"},
		{"request of another's offer", nil, "discover 01 -> offer 10.9.0.10 to hw\nrequest 02 ip=10.9.0.10 server=10.9.0.1 -> nak to all"},
		{"init-reboot", nil, get01 + "+10m\nrequest 01 ip=10.9.0.10 -> ack 10.9.0.10 to hw\nrequest 01 ip=10.9.0.11 -> nak to all\nrequest 01 ip=192.168.1.5 -> nak to all"},
		{"init-reboot, unknown, authoritative", nil, "request 01 ip=10.9.0.11 -> ack 10.9.0.11 to hw\nrequest 02 ip=10.9.0.11 -> nak to all\nrequest 03 ip=10.9.0.99 -> nak to all\nrequest 03 ip=172.16.0.1 -> nak to all"},
		{"init-reboot, unknown, not authoritative", humble, "request 01 ip=10.9.0.11 -> silence\nrequest 01 ip=172.16.0.1 -> silence\n" + get01 + "request 01 ip=10.9.0.11 -> nak to all"},
		{"renewing", nil, get01 + "+30m\nrequest 01 ci=10.9.0.10 unicast -> ack 10.9.0.10 to 10.9.0.10:68\n+55m\nrequest 02 ip=10.9.0.10 -> nak to all"},
		{"renewing after a restart", nil, get01 + "restart\n+30m\nrequest 01 ci=10.9.0.10 unicast -> ack 10.9.0.10 to 10.9.0.10:68"},
		{"rebinding", nil, get01 + "+55m\nrequest 01 ci=10.9.0.10 -> ack 10.9.0.10 to 10.9.0.10:68"},
		{"rebinding a lease of another server", humble, "request 01 ci=10.9.0.10 -> silence"},
		{"renewing what is another's", nil, get01 + "request 02 ci=10.9.0.10 unicast -> nak to all"},
		{"release", nil, get01 + "release 02 ci=10.9.0.10 server=10.9.0.1 -> silence\ndiscover 02 ip=10.9.0.10 -> offer 10.9.0.11 to hw\nrelease 01 ci=10.9.0.10 server=10.9.0.1 -> silence\ndiscover 03 ip=10.9.0.10 -> offer 10.9.0.10 to hw"},
		{"release, and back again", nil, get01 + "release 01 ci=10.9.0.10 server=10.9.0.1 -> silence\ndiscover 02 -> offer 10.9.0.11 to hw\nrestart\ndiscover 01 -> offer 10.9.0.10 to hw"},
		{"decline", nil, get01 + `
			decline 02 ip=10.9.0.10 server=10.9.0.1 -> silence
			decline 01 ip=10.9.0.10 server=10.9.0.1 -> silence
			discover 01 -> offer 10.9.0.11 to hw
			restart
			discover 01 -> offer 10.9.0.11 to hw
			discover 02 ip=10.9.0.10 -> offer 10.9.0.12 to hw
			+61m
			discover 03 -> offer 10.9.0.11 to hw
			discover 04 -> offer 10.9.0.12 to hw
			discover 05 -> offer 10.9.0.10 to hw`},
		{"an address that somebody has", func(c *DHCPConfig) { c.Probe = true }, `
			discover 01 -> offer 10.9.0.10 to hw
			conflict 10.9.0.10
			discover 01 -> offer 10.9.0.11 to hw
			restart
			discover 02 ip=10.9.0.10 -> offer 10.9.0.11 to hw`},
		{"inform", nil, "inform 01 ci=10.9.0.200 -> ack to 10.9.0.200:68\ninform 01 ci=192.0.2.7 -> silence\ninform 01 ci=192.0.2.7 unicast -> silence"},
		{"rapid commit", func(c *DHCPConfig) { c.RapidCommit = true }, "discover 01 rapid -> ack 10.9.0.10 to hw\ndiscover 02 -> offer 10.9.0.11 to hw\nrestart\nrequest 01 ip=10.9.0.10 -> ack 10.9.0.10 to hw"},
		{"rapid commit not configured", nil, "discover 01 rapid -> offer 10.9.0.10 to hw"},
		{"bootp", nil, "bootp 01 -> silence"},
		{"relay", relayed, "discover 01 gi=10.7.0.1 unicast -> offer 10.7.0.20 to 10.7.0.1:67\nrequest 01 gi=10.7.0.1 unicast ip=10.7.0.20 server=10.9.0.1 -> ack 10.7.0.20 to 10.7.0.1:67\nrequest 01 gi=10.7.0.1 ip=10.9.0.10 -> nak to 10.7.0.1:67"},
		{"relay of a network that the server does not know", relayed, "discover 01 gi=10.6.0.1 unicast -> silence\nrequest 01 gi=10.6.0.1 ip=10.6.0.4 -> silence"},
		{"relay with link selection", relayed, "discover 01 gi=10.9.0.3 hex=82:05040a070001 -> offer 10.7.0.20 to 10.9.0.3:67"},
		{"renewal through a router", relayed, "discover 01 gi=10.7.0.1 -> offer 10.7.0.20 to 10.7.0.1:67\nrequest 01 gi=10.7.0.1 ip=10.7.0.20 server=10.9.0.1 -> ack 10.7.0.20 to 10.7.0.1:67\nrequest 01 ci=10.7.0.20 unicast -> ack 10.7.0.20 to 10.7.0.20:68"},
		{"a client that moves", relayed, get01 + "discover 01 gi=10.7.0.1 -> offer 10.7.0.20 to 10.7.0.1:67\nrequest 01 gi=10.7.0.1 ip=10.7.0.20 server=10.9.0.1 -> ack 10.7.0.20 to 10.7.0.1:67\nrestart\nreload\nrequest 01 gi=10.7.0.1 ip=10.7.0.20 -> ack 10.7.0.20 to 10.7.0.1:67"},
		{"reserved", book(reserved), "discover 01 -> offer 10.9.0.50 to hw\nrequest 01 ip=10.9.0.50 server=10.9.0.1 -> ack 10.9.0.50 to hw\ndiscover 02 ip=10.9.0.50 -> offer 10.9.0.10 to hw\nrequest 02 ip=10.9.0.50 -> nak to all"},
		{"reserved in a pool", book(inPool), "discover 02 -> offer 10.9.0.11 to hw\ndiscover 03 -> offer 10.9.0.12 to hw\ndiscover 04 -> silence\ndiscover 01 -> offer 10.9.0.10 to hw"},
		{"reserved by UUID, in either order of bytes", book(testBook{"00112233-4455-6677-8899-aabbccddeeff": {Address: netip.MustParseAddr("10.9.0.60")}}), `
			discover 01 uuid=00112233-4455-6677-8899-aabbccddeeff -> offer 10.9.0.60 to hw
			discover 02 uuid=33221100-5544-7766-8899-aabbccddeeff -> offer 10.9.0.10 to hw
			request 01 ip=10.9.0.60 server=10.9.0.1 uuid=00112233-4455-6677-8899-aabbccddeeff -> ack 10.9.0.60 to hw
			restart
			discover 01 -> offer 10.9.0.60 to hw`},
		{"reserved by identifier", book(testBook{"id7": {Address: netip.MustParseAddr("10.9.0.61")}}), "discover 01 id=id7 -> offer 10.9.0.61 to hw\ndiscover 02 id=id8 -> offer 10.9.0.10 to hw"},
		{"reserved now, leased before", book(reserved), "discover 02 -> offer 10.9.0.10 to hw\nrequest 01 ip=10.9.0.11 -> nak to all\ndiscover 01 ip=10.9.0.11 -> offer 10.9.0.50 to hw"},
		{"a machine in three stages", nil, "discover 01 id=firmware -> offer 10.9.0.10 to hw\ndiscover 01 id=ipxe -> offer 10.9.0.10 to hw\ndiscover 01 -> offer 10.9.0.10 to hw"},
		{"told apart by identifier", func(c *DHCPConfig) { c.ByClientID = true }, "discover 01 id=aa -> offer 10.9.0.10 to hw\ndiscover 01 id=bb -> offer 10.9.0.11 to hw\ndiscover 02 id=aa -> offer 10.9.0.10 to hw"},
		{"unknown clients denied", func(c *DHCPConfig) { c.Book, c.DenyUnknown = reserved, true }, "discover 02 -> silence\nrequest 02 ip=10.9.0.10 -> silence\ninform 02 ci=10.9.0.99 -> silence\ndiscover 01 -> offer 10.9.0.50 to hw"},
		{"a node refused", book(testBook{"52:54:00:00:00:01": {Refused: true}}), "discover 01 -> silence\ndiscover 02 -> offer 10.9.0.10 to hw"},
		{"too many requests", func(c *DHCPConfig) { c.Limit.PerClient = 2 }, "discover 01 -> offer 10.9.0.10 to hw\ndiscover 01 -> offer 10.9.0.10 to hw\ndiscover 01 -> silence\ndiscover 02 -> offer 10.9.0.11 to hw\n+11s\ndiscover 01 -> offer 10.9.0.10 to hw"},
		{"too many of all", func(c *DHCPConfig) { c.Limit.PerSecond = 2 }, "discover 01 -> offer 10.9.0.10 to hw\ndiscover 02 -> offer 10.9.0.11 to hw\ndiscover 03 -> silence\n+1s\ndiscover 03 -> offer 10.9.0.12 to hw"},
		{"no network nor broadcast address", func(c *DHCPConfig) {
			c.Subnets[0].Pools = []Range{{netip.MustParseAddr("10.9.0.0"), netip.MustParseAddr("10.9.0.2")}}
		}, "discover 01 -> offer 10.9.0.2 to hw\ndiscover 02 -> silence\nrequest 02 ip=10.9.0.1 -> nak to all"},
		{"lease times asked for", func(c *DHCPConfig) { c.Subnets[0].MinLease, c.Subnets[0].MaxLease = time.Minute, 2*time.Hour }, `
			discover 01 -> offer 10.9.0.10 to hw
			request 01 ip=10.9.0.10 server=10.9.0.1 lease=1 -> ack 10.9.0.10 to hw
			discover 02 -> offer 10.9.0.11 to hw
			request 02 ip=10.9.0.11 server=10.9.0.1 lease=4294967295 -> ack 10.9.0.11 to hw
			+1m
			request 03 ip=10.9.0.10 -> ack 10.9.0.10 to hw
			+118m
			request 04 ip=10.9.0.11 -> nak to all
			+1m
			request 04 ip=10.9.0.11 -> ack 10.9.0.11 to hw`},
		{"proxy", proxied, "discover 01 -> silence\ndiscover 01 class=PXEClient arch=9 -> offer to all\nrequest 01 class=PXEClient ip=10.9.0.9 server=10.9.0.2 -> silence\nrequest 01 class=PXEClient ci=10.9.0.9 4011 arch=9 -> ack to 10.9.0.77:68\ninform 01 class=PXEClient ci=10.9.0.9 4011 -> ack to 10.9.0.77:68\nrequest 01 ci=10.9.0.9 4011 -> silence"},
		{"proxy, an architecture without a program", proxied, "discover 01 class=PXEClient arch=6 -> silence\ndiscover 01 class=HTTPClient arch=16 -> offer to all\ndiscover 01 class=HTTPClient arch=19 -> silence"},
		{"proxy behind a relay", proxied, "discover 01 class=PXEClient gi=10.7.0.1 -> offer to 10.7.0.1:67"},
	}
}

func proxied(c *DHCPConfig) { c.Proxy, c.Subnets = true, nil }
