package netcfg

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// parseLine parses a command line without quotes.
func parseLine(line string) (Plan, error) {
	params := map[string][]string{}
	for word := range strings.FieldsSeq(line) {
		k, v, _ := strings.Cut(word, "=")
		params[k] = append(params[k], v)
	}
	return Parse(func(name string) []string { return params[name] })
}

func TestParse(t *testing.T) {
	mac := MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	// base is the plan of an empty line, changed.
	base := func(change func(*Plan)) Plan {
		p := Plan{
			Specs: []Spec{{}}, Timeout: 10 * time.Second, DeviceTimeout: 10 * time.Second, CarrierTimeout: 10 * time.Second,
			PeerDNS: true, VendorClass: "rambox",
		}
		change(&p)
		return p
	}
	given := func(specs ...Spec) func(*Plan) {
		return func(p *Plan) { p.Mode, p.Specs, p.Timeout = ModeGiven, specs, 30*time.Second }
	}
	tests := []struct {
		name, line string
		want       Plan
	}{
		{"nothing", "", base(func(*Plan) {})},
		{"dhcp", "ip=dhcp", base(given(Spec{}))},
		{"nfsaddrs", "nfsaddrs=10.0.0.2::::::off", base(given(Spec{Method: Static, Addr: prefix("10.0.0.2/8")}))},
		{"several", "ip=eth0:dhcp ip=10.0.0.2:::24::eth1:none", base(given(
			Spec{Device: "eth0"}, Spec{Method: Static, Addr: prefix("10.0.0.2/24"), Device: "eth1"}))},
		{"IPv6", "ip=dhcp6 ip=eth0:auto6 ip=either6 ip=link-local", base(given(
			Spec{Method: DHCP6}, Spec{Method: Auto6, Device: "eth0"}, Spec{Method: Either6}, Spec{Method: LinkLocal}))},
		{"off", "ip=off", base(func(p *Plan) { p.Mode, p.Specs, p.Timeout = ModeOff, nil, 30*time.Second })},
		{"one of two off", "ip=off ip=eth0:dhcp", base(given(Spec{Device: "eth0"}))},
		{"rambox.net=off", "ip=dhcp rambox.net=off", base(func(p *Plan) { p.Mode, p.Specs, p.Timeout = ModeOff, nil, 30*time.Second })},
		{"background", "rambox.net=background", base(func(p *Plan) { p.Mode, p.Timeout = ModeBackground, 30*time.Second })},
		{"wait", "rambox.net=wait rambox.net.timeout=5", base(func(p *Plan) { p.Mode, p.Timeout = ModeWait, 5*time.Second })},
		{"timeouts", "rambox.net.timeout=60 rd.net.timeout.iflink=3 rd.net.timeout.carrier=4", base(func(p *Plan) {
			p.Timeout, p.DeviceTimeout, p.CarrierTimeout = time.Minute, 3*time.Second, 4*time.Second
		})},
		{"BOOTIF of PXELINUX", "BOOTIF=01-52-54-00-12-34-56", base(func(p *Plan) { p.BootIf = mac })},
		{"BOOTIF plain", "BOOTIF=52:54:00:12:34:56", base(func(p *Plan) { p.BootIf = mac })},
		{"BOOTIF not wanted", "BOOTIF=01-52-54-00-12-34-56 rd.bootif=0", base(func(*Plan) {})},
		{"bootdev", "bootdev=eth1", base(func(p *Plan) { p.BootDev = "eth1" })},
		{"name servers", "nameserver=1.1.1.1 nameserver=[2001:db8::1] rd.peerdns=0", base(func(p *Plan) {
			p.Nameservers, p.PeerDNS = []netip.Addr{addr("1.1.1.1"), addr("2001:db8::1")}, false
		})},
		// The examples of dracut.cmdline(7).
		{"routes", "rd.route=192.168.200.0/24:192.168.100.222:ens10 rd.route=192.168.200.0/24:192.168.100.222 " +
			"rd.route=192.168.200.0/24::ens10 rd.route=[2001:DB8:3::/8]:[2001:DB8:2::1]:ens10", base(func(p *Plan) {
			p.Routes = []StaticRoute{
				{Route{prefix("192.168.200.0/24"), addr("192.168.100.222")}, "ens10"},
				{Route{prefix("192.168.200.0/24"), addr("192.168.100.222")}, ""},
				{Route{prefix("192.168.200.0/24"), netip.Addr{}}, "ens10"},
				{Route{prefix("2000::/8"), addr("2001:db8:2::1")}, "ens10"},
			}
		})},
		{"dotted mask", "rd.route=10.0.0.0/255.0.0.0:10.9.0.1", base(func(p *Plan) {
			p.Routes = []StaticRoute{{Route{prefix("10.0.0.0/8"), addr("10.9.0.1")}, ""}}
		})},
		{"names", "ifname=bootnet:52:54:00:12:34:56", base(func(p *Plan) { p.Renames = []Rename{{"bootnet", mac}} })},
		{"vlan, four styles", "vlan=vlan0005:eth0 vlan=vlan5:eth0 vlan=eth0.0005:eth0 vlan=eth0.5:eth0", base(func(p *Plan) {
			p.VLANs = []VLAN{{"vlan0005", "eth0", 5}, {"vlan5", "eth0", 5}, {"eth0.0005", "eth0", 5}, {"eth0.5", "eth0", 5}}
		})},
		{"probe", "rambox.net.probe=500", base(func(p *Plan) { p.Probe = 500 * time.Millisecond })},
		{"vendor class and need", "dhcpclass=site rd.neednet=1", base(func(p *Plan) {
			p.Mode, p.Timeout, p.VendorClass, p.NeedNet = ModeWait, givenTimeout, "site", true
		})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseLine(test.line)
			if err != nil {
				t.Fatalf("Parse(%q): %v", test.line, err)
			}
			if diff := cmp.Diff(test.want, got, comparer()); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", test.line, diff)
			}
		})
	}
}

// TestParseErrors holds that each error names its parameter, and what the plan
// is all the same.
func TestParseErrors(t *testing.T) {
	tests := []struct {
		line, want string
		mode       Mode
		specs      int
	}{
		{"ip=dhpc", "ip=dhpc: autoconf: ", ModeGiven, 1},
		{"ip=dhpc ip=eth0:dhcp", "ip=dhpc: autoconf: ", ModeGiven, 1},
		{"rambox.net=maybe", "rambox.net=maybe: ", ModeAuto, 1},
		{"rambox.net.timeout=-1", "rambox.net.timeout=-1: ", ModeAuto, 1},
		{"BOOTIF=20-52-54-00-12-34-56", "BOOTIF=20-52-54-00-12-34-56: hardware type", ModeAuto, 1},
		{"BOOTIF=eth0", "BOOTIF=eth0: ", ModeAuto, 1},
		{"bootdev=a/b", "bootdev=a/b: ", ModeAuto, 1},
		{"nameserver=dns.example", "nameserver=dns.example: ", ModeAuto, 1},
		{"rd.route=10.0.0.0/8", "rd.route=10.0.0.0/8: want ", ModeAuto, 1},
		{"rd.route=10.0.0.0/8:", "rd.route=10.0.0.0/8:: neither a gateway nor a device", ModeAuto, 1},
		{"rd.route=10.0.0.0/40:10.9.0.1", "netmask: ", ModeAuto, 1},
		{"rd.route=10.0.0.0/8:[fe80::1]", "gateway: of another family", ModeAuto, 1},
		{"ifname=bootnet:x", "ifname=bootnet:x: ", ModeAuto, 1},
		{"vlan=eth0.4095:eth0", "vlan=eth0.4095:eth0: ", ModeAuto, 1},
		{"vlan=eth0.5", "vlan=eth0.5: want <name>:<device>", ModeAuto, 1},
	}
	for _, test := range tests {
		t.Run(test.line, func(t *testing.T) {
			got, err := parseLine(test.line)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%q): %v, want %q", test.line, err, test.want)
			}
			if got.Mode != test.mode || len(got.Specs) != test.specs {
				t.Errorf("Parse(%q) has mode %s and specs %v, want %s and %d", test.line, got.Mode, got.Specs, test.mode, test.specs)
			}
		})
	}
}

func TestPlanLinks(t *testing.T) {
	hw := func(n byte) MAC { return MAC{0x52, 0x54, 0, 0, 0, n} }
	links := []Link{
		{Index: 1, Name: "lo", Loop: true},
		{Index: 2, Name: "eth0", HW: hw(0), Ether: true},
		{Index: 3, Name: "eth1", HW: hw(1), Ether: true},
		{Index: 4, Name: "eth1.5", HW: hw(1), Ether: true, Kind: "vlan"},
		{Index: 5, Name: "br0", HW: hw(2), Ether: true, Kind: "bridge"},
		{Index: 6, Name: "eth2", HW: hw(2), Ether: true, Port: true},
		{Index: 7, Name: "ib0"},
	}
	tests := []struct {
		name, line string
		spec       int
		want       string
	}{
		{"all Ethernet hardware", "ip=dhcp", 0, "eth0 eth1"},
		{"by name", "ip=eth1:dhcp", 0, "eth1"},
		{"a bridge, by name", "ip=br0:dhcp", 0, "br0"},
		{"by address, not its VLAN", "ip=:::::52-54-00-00-00-01:dhcp", 0, "eth1"},
		{"by BOOTIF", "ip=dhcp BOOTIF=01-52-54-00-00-00-01", 0, "eth1"},
		{"a name wins over BOOTIF", "ip=eth0:dhcp BOOTIF=01-52-54-00-00-00-01", 0, "eth0"},
		{"device BOOTIF", "ip=:::::BOOTIF:dhcp BOOTIF=01-52-54-00-00-00-00", 0, "eth0"},
		{"device BOOTIF without BOOTIF=", "ip=:::::BOOTIF:dhcp", 0, ""},
		{"by bootdev", "ip=dhcp bootdev=eth1", 0, "eth1"},
		{"what others do not name", "ip=eth0:dhcp ip=dhcp", 1, "eth1"},
		{"what others name for IPv4 alone", "ip=eth0:dhcp ip=auto6", 1, "eth0 eth1"},
		{"absent", "ip=eth7:dhcp", 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := parseLine(test.line)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, l := range p.Links(p.Specs[test.spec], links) {
				names = append(names, l.Name)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("Links = %q, want %q", got, test.want)
			}
		})
	}
}
