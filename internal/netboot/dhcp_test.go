package netboot

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// The network of the tests, and when they begin.
var (
	testServer = netip.MustParseAddr("10.9.0.1")
	testSubnet = Subnet{
		Prefix:  netip.MustParsePrefix("10.9.0.0/24"),
		Pools:   []Range{{netip.MustParseAddr("10.9.0.10"), netip.MustParseAddr("10.9.0.12")}},
		Routers: []netip.Addr{testServer},
		DNS:     []netip.Addr{testServer, netip.MustParseAddr("9.9.9.9")},
		Domain:  "example.org",
	}
	testBoot = BootConfig{
		Programs:     map[Arch]string{ArchBIOS: "undionly.kpxe", ArchEFI64: "ipxe.efi", ArchEFIArm64: "ipxe-arm64.efi"},
		HTTPPrograms: map[Arch]string{ArchHTTP64: "http://${server}/ipxe.efi"},
		Script:       "http://${server}/boot.ipxe?mac=${mac}",
		ScriptTFTP:   "boot.ipxe",
	}
	testStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// testBook is a list of machines by hardware address.
type testBook map[string]Node

func (b testBook) Lookup(c Client) (Node, bool) {
	for k, n := range b {
		if k == c.MAC.String() || c.HasUUID(k) || c.ID != "" && k == c.ID {
			return n, true
		}
	}
	return Node{}, false
}

func (b testBook) Reserved(a netip.Addr) bool {
	for _, n := range b {
		if n.Address == a {
			return true
		}
	}
	return false
}

// bench is a core with its store, its clock and its link.
type bench struct {
	t     *testing.T
	core  *Responder
	store Store
	now   time.Time
	link  Link
}

func newBench(t *testing.T, change func(*DHCPConfig)) *bench {
	t.Helper()
	c := DHCPConfig{Subnets: []Subnet{testSubnet}, Boot: testBoot, Authoritative: true}
	if change != nil {
		change(&c)
	}
	b := &bench{t: t, store: &Memory{}, now: testStart, link: Link{
		Name: "eth0", HW: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addrs: []netip.Prefix{netip.PrefixFrom(testServer, 24)},
	}}
	var err error
	if b.core, err = NewResponder(c, b.store); err != nil {
		t.Fatal(err)
	}
	return b
}

// ask is a request in the making: "discover 01 arch=7 class=PXEClient".
//
// The words: the type; the last byte of the hardware address; then
// ip= (option 50), server= (54), ci=, gi=, id= (61), name= (12), uuid=,
// arch=, class=, user=, lease=, size= (57), want= (55, comma-separated),
// hex=code:bytes, and the flags broadcast, rapid, unicast (to the server), 4011.
func (b *bench) ask(line string) ([]byte, Source) {
	b.t.Helper()
	words := strings.Fields(line)
	kinds := map[string]dhcpv4.MessageType{
		"discover": dhcpv4.MessageTypeDiscover, "request": dhcpv4.MessageTypeRequest, "decline": dhcpv4.MessageTypeDecline,
		"release": dhcpv4.MessageTypeRelease, "inform": dhcpv4.MessageTypeInform, "bootp": dhcpv4.MessageTypeNone,
	}
	var last byte
	fmt.Sscanf(words[1], "%x", &last)
	d, err := dhcpv4.New(dhcpv4.WithHwAddr(net.HardwareAddr{0x52, 0x54, 0, 0, 0, last}), dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, last}))
	if err != nil {
		b.t.Fatal(err)
	}
	if kind := kinds[words[0]]; kind != dhcpv4.MessageTypeNone {
		d.UpdateOption(dhcpv4.OptMessageType(kind))
	}
	from := Source{Link: &b.link, From: netip.MustParseAddrPort("10.9.0.77:68"), Port: dhcpServerPort}
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		ip := net.ParseIP(value).To4()
		set := func(code byte, v []byte) { d.Options[code] = v }
		switch name {
		case "ip":
			set(optRequested, ip)
		case "server":
			set(optServerID, ip)
		case "ci":
			d.ClientIPAddr = ip
		case "gi":
			d.GatewayIPAddr = ip
		case "id":
			set(optClientID, []byte(value))
		case "name":
			set(optHostname, []byte(value))
		case "uuid":
			raw, _ := hex.DecodeString(strings.ReplaceAll(value, "-", ""))
			set(optUUID, append([]byte{0}, raw...))
		case "arch":
			var a uint16
			fmt.Sscan(value, &a)
			set(optArch, []byte{byte(a >> 8), byte(a)})
		case "class":
			set(optClass, []byte(value))
		case "user":
			set(optUserClass, []byte(value))
		case "lease":
			var s uint32
			fmt.Sscan(value, &s)
			set(optLeaseTime, []byte{byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)})
		case "size":
			var s uint16
			fmt.Sscan(value, &s)
			set(optMaxSize, []byte{byte(s >> 8), byte(s)})
		case "want":
			var list []byte
			for c := range strings.SplitSeq(value, ",") {
				var n byte
				fmt.Sscan(c, &n)
				list = append(list, n)
			}
			set(optParameters, list)
		case "hex":
			var n byte
			code, text, _ := strings.Cut(value, ":")
			fmt.Sscan(code, &n)
			raw, err := hex.DecodeString(text)
			if err != nil {
				b.t.Fatal(err)
			}
			set(n, raw)
		case "broadcast":
			d.SetBroadcast()
		case "rapid":
			set(optRapidCommit, nil)
		case "unicast":
			from.To = testServer
		case "4011":
			from.Port, from.To = pxePort, testServer
		default:
			b.t.Fatalf("ask %q: what is %q?", line, w)
		}
	}
	return d.ToBytes(), from
}

// answer has a request answered, and its leases stored.
func (b *bench) answer(line string) Answer {
	b.t.Helper()
	packet, from := b.ask(line)
	a, err := b.core.Reply(b.now, packet, from)
	if err != nil {
		b.t.Fatalf("%s: %v", line, err)
	}
	refused, err := b.store.Commit(Batch{Leases: a.Leases})
	if err != nil || len(refused) > 0 {
		b.t.Fatalf("%s: store: refused %v, %v", line, refused, err)
	}
	return a
}

// read decodes an answer with the library, nil if there is none.
func (b *bench) read(a Answer) *dhcpv4.DHCPv4 {
	b.t.Helper()
	if a.Packet == nil {
		return nil
	}
	d, err := dhcpv4.FromBytes(a.Packet)
	if err != nil {
		b.t.Fatalf("answer %x: %v", a.Packet, err)
	}
	return d
}

// brief shows an answer in a line: "offer 10.9.0.10 to 10.9.0.10", "nak",
// "silence".
func (b *bench) brief(a Answer) string {
	b.t.Helper()
	d := b.read(a)
	if d == nil {
		return "silence"
	}
	s := strings.ToLower(d.MessageType().String())
	if !d.YourIPAddr.IsUnspecified() {
		s += " " + d.YourIPAddr.String()
	}
	to := a.To.Addr.String()
	switch {
	case a.To.HW.String() == "ff:ff:ff:ff:ff:ff":
		to = "all"
	case a.To.HW != nil:
		to = "hw"
	}
	return s + " to " + to
}

// TestExchanges plays requests one after another on a fresh server each. A line
// is a request, "->", and the answer; "+30s" lets time pass; "restart" begins
// again with what is stored; "conflict ADDR" is what a probe finds.
func TestExchanges(t *testing.T) {
	for _, test := range exchanges() {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, test.config)
			for line := range strings.Lines(strings.TrimSpace(test.play)) {
				line = strings.TrimSpace(line)
				ask, want, ok := strings.Cut(line, " -> ")
				switch {
				case strings.HasPrefix(line, "+"):
					d, err := time.ParseDuration(line[1:])
					if err != nil {
						t.Fatal(err)
					}
					b.now = b.now.Add(d)
				case line == "":
				case line == "restart":
					core, err := NewResponder(b.core.config, b.store)
					if err != nil {
						t.Fatal(err)
					}
					b.core = core
				case line == "reload":
					if err := b.core.Configure(b.core.config); err != nil {
						t.Fatal(err)
					}
				case strings.HasPrefix(line, "conflict "):
					leases := b.core.Conflict(b.now, netip.MustParseAddr(line[len("conflict "):]))
					if refused, _ := b.store.Commit(Batch{Leases: leases}); len(refused) > 0 || len(leases) == 0 {
						t.Errorf("%s: %v, refused %v", line, leases, refused)
					}
				case ok:
					if got := b.brief(b.answer(ask)); got != want {
						t.Errorf("%s -> %s, want %s", ask, got, want)
					}
				default:
					t.Fatalf("what is %q?", line)
				}
			}
			b.check()
		})
	}
}

// check looks whether the table is of one mind with itself.
func (b *bench) check() {
	b.t.Helper()
	if err := b.core.table.check(); err != nil {
		b.t.Error(err)
	}
}

// check is for tests: it compares the table's indexes.
func (t *table) check() error {
	for a, b := range t.byAddr {
		s := t.contains(a)
		if b.Addr != a || s == nil {
			return fmt.Errorf("%s is kept as %s", b.Addr, a)
		}
		switch {
		case b.index < 0: // no pool gives it away, or the configuration reserves it
		case b.index >= len(s.expiring) || s.expiring[b.index] != b || !s.inPool(a):
			return fmt.Errorf("%s: index %d is not it", a, b.index)
		}
	}
	for k, b := range t.byKey {
		if b.key != k || t.byAddr[b.Addr] != b {
			return fmt.Errorf("client %x has %s, which is %x's", k, b.Addr, b.key)
		}
	}
	for _, s := range t.subnets {
		for _, p := range s.pools {
			left := 0
			for i := range p.size {
				_, has := t.byAddr[address(p.first+uint32(i))]
				if used := p.used[i/64]&(1<<(i%64)) != 0; used != has {
					return fmt.Errorf("%s: used %v, binding %v", address(p.first+uint32(i)), used, has)
				}
				if !has {
					left++
				}
			}
			if left != p.left {
				return fmt.Errorf("pool of %s: %d left, counted %d", address(p.first), left, p.left)
			}
		}
		for i := 1; i < len(s.expiring); i++ {
			if s.expiring.Less(i, (i-1)/2) {
				return fmt.Errorf("heap: %d before its parent", i)
			}
		}
	}
	return nil
}
