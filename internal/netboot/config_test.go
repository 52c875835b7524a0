package netboot

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// configHead is the least that a configuration has, four lines.
const configHead = `listen = "eth0"
kernel = "vmlinuz"
[[subnet]]
network = "10.0.0.0/24"
`

// noKernel is a configuration's beginning without one, three lines.
const noKernel = "listen = \"eth0\"\n[[subnet]]\nnetwork = \"10.0.0.0/24\"\n"

func groupText(who, kernel string, more ...string) string {
	return "[[group]]\n" + who + "\nkernel = \"" + kernel + "\"\n" + lineText(more)
}

func nodeText(mac string, more ...string) string {
	return "[[node]]\nmac = \"" + mac + "\"\n" + lineText(more)
}

func lineText(all []string) string {
	var b strings.Builder
	for _, l := range all {
		b.WriteString(l + "\n")
	}
	return b.String()
}

// TestNodeOfGroup has nodes that may get from a group what they lack.
func TestNodeOfGroup(t *testing.T) {
	for name, text := range map[string]string{
		"by MAC":                 noKernel + groupText(`mac = "02:"`, "k") + nodeText("02:00:00:00:00:01"),
		"by address":             noKernel + groupText(`subnet = "10.0.0.0/25"`, "k") + nodeText("02:00:00:00:00:01", `address = "10.0.0.2"`),
		"perhaps by address":     noKernel + groupText(`subnet = "10.0.0.0/25"`, "k") + nodeText("02:00:00:00:00:01"),
		"perhaps by UUID":        noKernel + groupText(`uuid = "00112233-4455-6677-8899-aabbccddeeff"`, "k") + nodeText("02:00:00:00:00:01"),
		"perhaps by arch":        noKernel + groupText("arch = \"x64\"\nmac = \"02:\"", "k") + nodeText("02:00:00:00:00:01"),
		"denied, of two":         noKernel + "[[group]]\narch = \"arm\"\ndeny = true\n" + groupText(`arch = "x64"`, "k") + nodeText("02:00:00:00:00:01"),
		"denied whatever it is":  noKernel + "[[group]]\nmac = \"02:\"\ndeny = true\n" + nodeText("02:00:00:00:00:01"),
		"its image by the group": configHead + groupText(`mac = "02:"`, "k", `image = "i"`) + nodeText("02:00:00:00:00:01", `root = "r"`),
	} {
		if _, err := ParseConfig("f", "/d", []byte(text)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

func TestParseConfigErrors(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"syntax", "listen = \"eth0\"\nkernel = \n", "f:2: "},
		{"unknown key", configHead + "[[node]]\nmac = \"02:00:00:00:00:01\"\nhost = \"a\"\n", "f:7: host: is no key of node"},
		{"unknown key at the top", "listen = \"eth0\"\nmodes = \"proxy\"\nmode = \"proxy\"\n", "f:2: modes: is no key"},
		{"unknown table", configHead + "[nodes]\n", "f:5: nodes: is no key"},
		{"a table twice", configHead + "[program]\n[program]\n", "f:6: "},
		{"nothing", "", "f:1: no listen"},
		{"no subnet", "listen = \"eth0\"\n", "f:1: no [[subnet]]"},
		{"mode", "listen = \"eth0\"\nmode = \"both\"\n", `f:2: mode: "both": want dhcp or proxy`},
		{"kind of value", "listen = 3\nmode = \"proxy\"\n", "f:1: listen: want a text in quotes, or a list of such"},
		{"port", "listen = \"eth0\"\nmode = \"proxy\"\nhttp-port = 70000\n", "f:3: http-port: want a number from 1 to 65535"},
		{"subnet of a proxy", "mode = \"proxy\"\n" + configHead, "f:4: subnet: with mode = \"proxy\""},
		{"network", "listen = \"eth0\"\n[[subnet]]\nnetwork = \"10.0.0.1/24\"\n", `f:3: network: "10.0.0.1/24": want a network`},
		{"IPv6", "listen = \"eth0\"\n[[subnet]]\nnetwork = \"fd00::/64\"\n", "f:3: subnet fd00::/64: not an IPv4 network"},
		{"pool outside", configHead + "lease = \"1h\"\npool = \"10.0.1.1-10.0.1.9\"\n", "f:6: pool 10.0.1.1-10.0.1.9: outside of the subnet"},
		{"pool backwards", configHead + "pool = \"10.0.0.9-10.0.0.1\"\n", "f:5: pool: \"10.0.0.9-10.0.0.1\": want two addresses, the lower first"},
		{"pools overlap", configHead + "pool = [\"10.0.0.1-10.0.0.9\", \"10.0.0.9-10.0.0.20\"]\n", "f:5: pool 10.0.0.9-10.0.0.20: overlaps"},
		{"lease", configHead + "lease = \"1s\"\n", "f:5: lease: 1s is not between"},
		{"lease without a unit", configHead + "lease = \"60\"\n", `f:5: lease: "60": want a time`},
		{"lease times", configHead + "lease = \"1h\"\nmin-lease = \"2h\"\n", "f:6: min-lease: is not on its side"},
		{"router", configHead + "router = \"10.0.0.256\"\n", `f:5: router: "10.0.0.256": want an IPv4 address`},
		{"subnets overlap", configHead + "[[subnet]]\nnetwork = \"10.0.0.128/25\"\n", "f:6: subnet 10.0.0.128/25: overlaps with 10.0.0.0/24"},
		{"MAC", configHead + "[[node]]\nmac = \"02:00\"\n", `f:6: mac: "02:00": want a MAC address`},
		{"same MAC", configHead + "[[node]]\nmac = \"02:00:00:00:00:0a\"\n[[node]]\nmac = \"02-00-00-00-00-0A\"\n", "f:8: mac: 02:00:00:00:00:0a: the node at line 5 has it"},
		{"same address", configHead + "[[node]]\nmac = \"02:00:00:00:00:01\"\naddress = \"10.0.0.5\"\n[[node]]\nmac = \"02:00:00:00:00:02\"\naddress = \"10.0.0.5\"\n", "f:10: address: 10.0.0.5: the node at line 5 has it"},
		{"same hostname", configHead + "[[node]]\nmac = \"02:00:00:00:00:01\"\nhostname = \"a\"\n[[node]]\nmac = \"02:00:00:00:00:02\"\nhostname = \"A\"\n", "f:10: hostname: A: the node at line 5 has it"},
		{"same UUID, turned round", configHead + "[[node]]\nuuid = \"00112233-4455-6677-8899-aabbccddeeff\"\n[[node]]\nuuid = \"33221100-5544-7766-8899-AABBCCDDEEFF\"\n", "f:8: uuid: 33221100-5544-7766-8899-aabbccddeeff: the node at line 5 has it"},
		{"no UUID at all", configHead + "[[node]]\nuuid = \"00000000-0000-0000-0000-000000000000\"\n", "f:6: uuid: 00000000-0000-0000-0000-000000000000: is what machines without a UUID say"},
		{"address outside", configHead + "[[node]]\nmac = \"02:00:00:00:00:01\"\naddress = \"10.0.1.5\"\n", "f:7: address: 10.0.1.5: is in no [[subnet]]"},
		{"broadcast address", configHead + "[[node]]\nmac = \"02:00:00:00:00:01\"\naddress = \"10.0.0.255\"\n", "f:7: address: 10.0.0.255: is the network's own"},
		{"hostname", configHead + "[[node]]\nmac = \"02:00:00:00:00:01\"\nhostname = \"a b\"\n", `f:7: hostname: "a b": want letters`},
		{"whose node", configHead + "[[node]]\nhostname = \"a\"\n", "f:5: node: want mac or uuid"},
		{"whose group", configHead + "[[group]]\nappend = \"a\"\n", "f:5: group: want mac, uuid, arch or subnet"},
		{"architecture", configHead + "[[group]]\narch = \"amd64\"\n", `f:6: arch: "amd64": want bios, x86, x64`},
		{"append's names", configHead + "[[node]]\nmac = \"02:00:00:00:00:01\"\nappend = \"a ${name}\"\n", "f:7: append: ${name}: want ${mac}"},
		{"append for iPXE", configHead + "[[node]]\nmac = \"02:00:00:00:00:01\"\nappend = \"a || b\"\n", `f:7: append: "||": iPXE would end the command here`},
		{"no kernel", "listen = \"eth0\"\n[[subnet]]\nnetwork = \"10.0.0.0/24\"\n[[node]]\nmac = \"02:00:00:00:00:01\"\n", "f:4: node: no kernel"},
		{"no kernel in its group", noKernel + groupText("mac = \"02:\"", "k") + nodeText("06:00:00:00:00:01"), "f:7: node: no kernel"},
		{"no kernel in the subnet's group", noKernel + groupText("subnet = \"10.0.0.0/25\"", "k") + nodeText("02:00:00:00:00:01", `address = "10.0.0.200"`), "f:7: node: no kernel"},
		{"no kernel in the UUID's group", noKernel + groupText("uuid = \"00112233-4455-6677-8899-aabbccddeeff\"", "k") + nodeText("02:00:00:00:00:01", `uuid = "10112233-4455-6677-8899-aabbccddeeff"`), "f:7: node: no kernel"},
		{"no kernel but where it is denied", noKernel + "[[group]]\narch = \"x64\"\ndeny = true\n" + nodeText("02:00:00:00:00:01"), "f:7: node: no kernel"},
		{"a root by its group", configHead + groupText("mac = \"02:\"", "k", `root = "r"`, `image = "i"`) + groupText("mac = \"06:\"", "k") + nodeText("06:00:00:00:00:01", `root = "r"`), "f:13: node: has a root, and no image to fetch it"},
		{"root alone", configHead + "[[node]]\nmac = \"02:00:00:00:00:01\"\nroot = \"r\"\n", "f:5: node: has a root, and no image to fetch it"},
		{"server", "servers = \"10.0.0.2\"\n" + configHead, `f:1: servers: server "10.0.0.2": want http://HOST`},
		{"in one line", configHead[:strings.Index(configHead, "[[")] + "subnet = [{network = \"10.0.0.0/24\"}]\nnode = [{mac = \"x\"}]\n", `f:4: mac: "x": want a MAC address`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseConfig("f", "/d", []byte(tc.text))
			var bad *ConfigError
			if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("ParseConfig: %v, want %s\n%s", err, tc.want, tc.text)
			}
		})
	}
}

const bookConfig = `listen = ["eth0", "10.1.0.1"]
kernel = "vmlinuz"
image = "/images/first"
append = "quiet"
unknown = "deny"
watchers = ["10.9.0.0/16", "10.8.0.1"]

[[subnet]]
network = "10.0.0.0/24"
pool = "10.0.0.100-10.0.0.199"
[[subnet]]
network = "10.1.0.0/24"

[[group]]
arch = "arm64"
kernel = "Image"
append = ""
[[group]]
mac = ["52-54-00", "02:"]
root = "root.squashfs"
[[group]]
subnet = "10.1.0.0/24"
deny = true

[[node]]
mac = "52:54:00:00:00:01"
hostname = "n1"
address = "10.0.0.1"
append = "who=${mac}"
[[node]]
uuid = "00112233-4455-6677-8899-aabbccddeeff"
hostname = "n2"
image = "other"
[[node]]
mac = "06:00:00:00:00:03"
deny = true
`

func TestConfigLookup(t *testing.T) {
	c, err := ParseConfig("f", "/d", []byte(bookConfig))
	if err != nil {
		t.Fatal(err)
	}
	mac := func(s string) net.HardwareAddr {
		m, err := net.ParseMAC(s)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	group := Node{Kernel: "/d/vmlinuz", Image: "/images/first", Append: "quiet", Root: "/d/root.squashfs"}
	n1 := group
	n1.Hostname, n1.Address, n1.Append = "n1", netip.MustParseAddr("10.0.0.1"), "who=${mac}"
	for _, tc := range []struct {
		name   string
		client Client
		want   Node
		known  bool
	}{
		{"by MAC, with its group", Client{MAC: mac("52:54:00:00:00:01")}, n1, true},
		{"by UUID", Client{MAC: mac("0a:00:00:00:00:01"), UUID: "33221100-5544-7766-8899-aabbccddeeff"}, Node{Hostname: "n2", Kernel: "/d/vmlinuz", Image: "/d/other", Append: "quiet"}, true},
		{"refused node", Client{MAC: mac("06:00:00:00:00:03")}, Node{Kernel: "/d/vmlinuz", Image: "/images/first", Append: "quiet", Refused: true}, true},
		{"first group", Client{MAC: mac("02:00:00:00:00:09"), Arch: ArchHTTPArm64}, Node{Kernel: "/d/Image", Image: "/images/first"}, true},
		{"group by MAC", Client{MAC: mac("02:00:00:00:00:09")}, group, true},
		{"refused group", Client{MAC: mac("0a:00:00:00:00:09"), Relay: netip.MustParseAddr("10.1.0.1")}, Node{Kernel: "/d/vmlinuz", Image: "/images/first", Append: "quiet", Refused: true}, true},
		{"refused group, on the link", Client{MAC: mac("0a:00:00:00:00:09"), Subnet: netip.MustParsePrefix("10.1.0.0/24")}, Node{Kernel: "/d/vmlinuz", Image: "/images/first", Append: "quiet", Refused: true}, true},
		{"unknown", Client{MAC: mac("0a:00:00:00:00:09")}, Node{Kernel: "/d/vmlinuz", Image: "/images/first", Append: "quiet", Refused: true}, false},
	} {
		got, known := c.Lookup(tc.client)
		if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || known != tc.known {
			t.Errorf("%s: known %v, want %v (-want +got):\n%s", tc.name, known, tc.known, diff)
		}
	}
	if !c.Reserved(netip.MustParseAddr("10.0.0.1")) || c.Reserved(netip.MustParseAddr("10.0.0.2")) {
		t.Error("Reserved: want 10.0.0.1 alone")
	}
}

func TestConfigUnknownBoot(t *testing.T) {
	c, err := ParseConfig("f", "/d", []byte(configHead))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := c.Lookup(Client{}); !ok || n.Refused || n.Kernel != "/d/vmlinuz" {
		t.Errorf("Lookup of somebody = %+v, %v, want the default", n, ok)
	}
}

func TestLoadConfigFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "serve.toml")
	if err := os.WriteFile(file, []byte(configHead), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(file); err == nil || !strings.HasPrefix(err.Error(), file+":2: kernel: ") {
		t.Errorf("LoadConfig without the kernel: %v, want the line that names it", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "vmlinuz"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(file); err != nil {
		t.Errorf("LoadConfig: %v", err)
	}
}

// TestConfigDocumentation parses the examples of docs/serve.md.
func TestConfigDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/serve.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(examples) == 0 {
		t.Error("docs/serve.md has no example")
	}
	for _, e := range examples {
		if _, err := ParseConfig("docs/serve.md", "/srv/boot", e[1]); err != nil {
			t.Errorf("%v, counted from the example's beginning\n%s", err, e[1])
		}
	}
}

func TestSimpleSubnet(t *testing.T) {
	for _, tc := range []struct{ own, first, last string }{
		{"10.0.0.1/24", "10.0.0.128", "10.0.0.254"},
		{"10.0.0.9/30", "10.0.0.10", "10.0.0.10"},
		{"10.1.2.3/8", "10.239.255.255", "10.255.255.254"},
	} {
		s, err := SimpleSubnet(netip.MustParsePrefix(tc.own), Range{})
		want := Range{netip.MustParseAddr(tc.first), netip.MustParseAddr(tc.last)}
		if err != nil || len(s.Pools) != 1 || s.Pools[0] != want {
			t.Errorf("SimpleSubnet(%s) = %v, %v, want the pool %v", tc.own, s.Pools, err, want)
		}
	}
	if _, err := SimpleSubnet(netip.MustParsePrefix("10.0.0.1/32"), Range{}); err == nil {
		t.Error("SimpleSubnet(10.0.0.1/32): no error")
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(configHead))
	f.Add([]byte(bookConfig))
	f.Add([]byte("listen = \"e\"\nmode = \"proxy\"\nnode = [{mac = \"02:00:00:00:00:01\", kernel = \"k\"}]\n[program]\nbios = \"pxelinux\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig("f", "/d", text)
		if err != nil {
			var bad *ConfigError
			if !errors.As(err, &bad) {
				t.Errorf("ParseConfig: %v: is no ConfigError", err)
			}
			return
		}
		// What it takes, the server takes, too.
		if err := (DHCPConfig{Proxy: c.Proxy, Subnets: c.Subnets, Book: c}).Validate(); err != nil {
			t.Errorf("ParseConfig takes what DHCPConfig refuses: %v\n%s", err, text)
		}
		for _, n := range c.nodes {
			if got, known := c.Lookup(Client{MAC: n.mac, UUID: n.uuid}); !known || got.Hostname != n.hostname && n.mac != nil {
				t.Errorf("Lookup of node at line %d = %+v, %v", n.line, got, known)
			}
		}
	})
}
