package netcfg

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func a6(s string, flags uint32) addr6 { return addr6{prefix(s), flags} }

func TestNet6(t *testing.T) {
	tests := []struct {
		name   string
		addrs  []addr6
		local  string // "": none
		taken  bool
		global string
		coming bool
	}{
		{"nothing", nil, "", false, "", false},
		{"link-local", []addr6{a6("fe80::1/64", 0x80)}, "fe80::1/64", false, "", false},
		{"link-local, being checked", []addr6{a6("fe80::1/64", addrTentative)}, "", false, "", false},
		{"link-local, being checked while in use", []addr6{a6("fe80::1/64", addrTentative|addrOptimistic)}, "", false, "", false},
		{"link-local, taken", []addr6{a6("fe80::1/64", addrTentative|addrDADFailed)}, "", true, "", false},
		{"one taken, another not", []addr6{a6("fe80::1/64", addrDADFailed), a6("fe80::2/64", 0)}, "fe80::2/64", false, "", false},
		{"global", []addr6{a6("fe80::1/64", 0), a6("2001:db8::1/64", 0)}, "fe80::1/64", false, "2001:db8::1/64", false},
		{"unique local", []addr6{a6("fd00::1/64", 0)}, "", false, "fd00::1/64", false},
		{"being checked", []addr6{a6("fd00::1/64", addrTentative)}, "", false, "", true},
		{"taken", []addr6{a6("fd00::1/64", addrDADFailed|addrTentative)}, "", false, "", false},
		{"for privacy", []addr6{a6("fd00::9/64", addrTemporary)}, "", false, "", false},
		{"ours", []addr6{a6("fd00::77/128", 0)}, "", false, "", false},
		{"the first", []addr6{a6("fd00::1/64", 0), a6("fd00::2/64", 0)}, "", false, "fd00::1/64", false},
		{"the one from before", []addr6{a6("fd00::1/64", 0), a6("fd00::5/64", 0)}, "", false, "fd00::5/64", false},
		{"deprecated", []addr6{a6("fd00::1/64", addrDeprecated)}, "", false, "fd00::1/64", false},
		{"not the deprecated one", []addr6{a6("fd00::1/64", addrDeprecated), a6("fd00::2/64", 0)}, "", false, "fd00::2/64", false},
		{"not the one from before, deprecated", []addr6{a6("fd00::1/64", 0), a6("fd00::5/64", addrDeprecated)}, "", false, "fd00::1/64", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := net6{addrs: test.addrs}
			local, taken := n.local()
			global, coming := n.global(prefix("fd00::5/64"), func(a netip.Addr) bool { return a == addr("fd00::77") })
			if got := valid6(local); got != test.local || taken != test.taken {
				t.Errorf("local = %q, %t, want %q, %t", got, taken, test.local, test.taken)
			}
			if got := valid6(global); got != test.global || coming != test.coming {
				t.Errorf("global = %q, %t, want %q, %t", got, coming, test.global, test.coming)
			}
		})
	}
}

func valid6(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

// TestSixGoal is what is asked of DHCPv6, by method and by what routers say.
func TestSixGoal(t *testing.T) {
	const late = true
	tests := []struct {
		method Method
		flags  uint32
		auto   string // "?": being checked
		late   bool   // the routers' time is over
		want   goal6
		doing  string
	}{
		{LinkLocal, raManaged, "", late, goal6None, "the router gives no address"},
		{Auto6, 0, "", late, goal6None, "no router advertisement"},
		{Auto6, raReceived, "", late, goal6None, "the router gives no address"},
		{Auto6, raReceived, "?", late, goal6None, "its address is being checked"},
		{Auto6, raReceived | raOtherConf, "fd00::1/64", late, goal6Information, ""},
		{Auto6, raReceived | raManaged, "", late, goal6Information, "the router gives no address"},
		{DHCP6, 0, "", false, goal6Address, "idle"},
		{DHCP6, raReceived, "fd00::1/64", late, goal6Address, "idle"},
		{Either6, 0, "", false, goal6None, "no router advertisement"},
		{Either6, 0, "", late, goal6Address, "idle"},
		{Either6, raReceived, "", late, goal6Address, "idle"},
		{Either6, raReceived, "?", late, goal6None, "its address is being checked"},
		{Either6, raReceived, "fd00::1/64", late, goal6None, ""},
		{Either6, raReceived | raOtherConf, "fd00::1/64", late, goal6Information, ""},
		{Either6, raReceived | raManaged, "fd00::1/64", false, goal6Address, ""},
		{Either6, raReceived | raManaged | raOtherConf, "", false, goal6Address, "idle"},
	}
	for _, test := range tests {
		s := newSix(Spec{Method: test.method}, Plan{}, Link{Name: "eth0"}, netip.Addr{}, func() uint32 { return 0 })
		if !test.late {
			s.routers = time.Unix(1000, 0)
		}
		n := net6{flags: test.flags, addrs: []addr6{a6("fe80::1/64", 0)}}
		switch test.auto {
		case "":
		case "?":
			n.addrs = append(n.addrs, a6("fd00::1/64", addrTentative))
		default:
			n.addrs = append(n.addrs, a6(test.auto, 0))
		}
		ours := func(netip.Addr) bool { return false }
		s.observe(n, true, ours)
		if got := s.goal(); got != test.want {
			t.Errorf("%s, flags %x, address %q, late %t: goal %d, want %d", test.method, test.flags, test.auto, test.late, got, test.want)
		}
		if c, ok := s.current(); test.doing != "" && s.String() != test.doing && !(ok && c.Addr.IsValid()) {
			t.Errorf("%s, flags %x, address %q, late %t: %q, want %q", test.method, test.flags, test.auto, test.late, s, test.doing)
		}
		s.observe(n, false, ours)
		if got := s.goal(); got != goal6None {
			t.Errorf("%s without a carrier: goal %d", test.method, got)
		}
	}
}

// TestSixCurrent is what a link has, by method and by what it was given.
func TestSixCurrent(t *testing.T) {
	lease := &Config{Proto: "dhcp6", Addr: prefix("fd00::10/128"), DNS: []netip.Addr{addr("fd00::53")}, Search: []string{"lease.example"}, Lease: time.Hour}
	info := &Config{Proto: "dhcp6", NTP: []netip.Addr{addr("fd00::7b")}, Hostname: "node7"}
	said := advertised{{saying{dns: addr("fe80::1")}, time.Time{}}, {saying{search: "ra.example"}, time.Time{}}, {saying{search: "lease.example"}, time.Time{}}}
	zoned := addr("fe80::1").WithZone("eth0")
	tests := []struct {
		name   string
		method Method
		change func(*six)
		want   Config
		same   bool // nothing changes
	}{
		{"link-local", LinkLocal, nil, Config{Proto: "link6", Addr: prefix("fe80::5/64")}, false},
		{"a router's", Auto6, nil, Config{Proto: "auto6", Addr: prefix("fd00::5/64"), Gateway: addr("fe80::1"),
			DNS: []netip.Addr{zoned}, Search: []string{"ra.example", "lease.example"}}, false},
		{"a router's, with information", Either6, func(s *six) { s.info = info }, Config{Proto: "auto6", Addr: prefix("fd00::5/64"), Gateway: addr("fe80::1"),
			DNS: []netip.Addr{zoned}, Search: []string{"ra.example", "lease.example"}, NTP: info.NTP, Hostname: "node7"}, false},
		{"DHCP, not yet", DHCP6, nil, Config{}, false},
		{"DHCP, being checked", DHCP6, func(s *six) { s.lease, s.checking = lease, true }, Config{}, false},
		{"DHCP", DHCP6, func(s *six) { s.lease = lease }, Config{Proto: "dhcp6", Addr: prefix("fd00::10/128"), Gateway: addr("fe80::1"),
			DNS: []netip.Addr{addr("fd00::53"), zoned}, Search: []string{"lease.example", "ra.example"}, Lease: time.Hour}, false},
		{"DHCP, checked again", DHCP6, func(s *six) { s.lease, s.checking, s.config = lease, true, *lease }, Config{}, true},
		{"DHCP without a link", DHCP6, func(s *six) { s.lease, s.local, s.config = lease, netip.Addr{}, *lease }, Config{}, true},
		{"both, the lease being checked", Either6, func(s *six) { s.lease, s.checking = lease, true },
			Config{Proto: "auto6", Addr: prefix("fd00::5/64"), Gateway: addr("fe80::1"), DNS: []netip.Addr{zoned}, Search: []string{"ra.example", "lease.example"}}, false},
		{"both", Either6, func(s *six) { s.lease = lease }, Config{Proto: "dhcp6", Addr: prefix("fd00::10/128"), Gateway: addr("fe80::1"),
			DNS: []netip.Addr{addr("fd00::53"), zoned}, Search: []string{"lease.example", "ra.example"}, Lease: time.Hour}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSix(Spec{Method: test.method}, Plan{}, Link{Name: "eth0"}, netip.Addr{}, func() uint32 { return 0 })
			s.said = said
			s.observe(net6{gateway: addr("fe80::1"), addrs: []addr6{a6("fe80::5/64", 0), a6("fd00::5/64", 0)}}, true, func(netip.Addr) bool { return false })
			if test.change != nil {
				test.change(s)
			}
			got, ok := s.current()
			if ok == test.same {
				t.Errorf("ok is %t", ok)
			}
			if diff := cmp.Diff(test.want, got, comparer()); diff != "" {
				t.Errorf("current (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewSix(t *testing.T) {
	tests := []struct {
		ip, former, hostname, want string
		up, asked                  bool
	}{
		{"dhcp6", "", "", "invalid IP", true, false},
		{"dhcp6", "fd00::9", "", "fd00::9", false, true},
		{"[fd00::77]::::node7.example:eth0:dhcp6", "", "node7.example", "fd00::77", true, false},
		{"[fd00::77]::::node7:eth0:either6", "fd00::9", "node7", "fd00::9", true, false},
		{"10.0.0.2::::node7:eth0:dhcp6", "", "node7", "invalid IP", true, false},
		{"link6", "", "", "invalid IP", true, true},
	}
	for _, test := range tests {
		spec, err := ParseIP(test.ip)
		if err != nil {
			t.Fatal(err)
		}
		var former netip.Addr
		if test.former != "" {
			former = addr(test.former)
		}
		s := newSix(spec, Plan{}, Link{Up: test.up}, former, nil)
		if s.client.hostname != test.hostname || s.client.want.String() != test.want || s.asked != test.asked {
			t.Errorf("ip=%s, before %s: host name %q, wants %s, routers asked %t", test.ip, test.former, s.client.hostname, s.client.want, s.asked)
		}
	}
}
