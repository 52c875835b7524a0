package netboot

import (
	"errors"
	"flag"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/cmdline"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (to take the new one: go test ./internal/netboot -run %s -update):\n%s", file, t.Name(), diff)
	}
}

var (
	testMAC    = net.HardwareAddr{0x52, 0x54, 0, 0xab, 0xcd, 0xef}
	testClient = Client{MAC: testMAC, UUID: "01234567-89ab-cdef-0123-456789abcdef", IP: netip.MustParseAddr("10.0.0.7")}
	testNode   = Node{Hostname: "n7", Append: `console=ttyS0 hostname=${hostname} id=${uuid} at="${ip}/24" -- ${mac}`}
	testRoot   = &RemoteRoot{Name: "rambox/0123/root.squashfs", Digest: Digest{0xab}, Servers: []string{"http://10.0.0.1:8080", "http://10.0.0.2"}}
)

func TestBootLine(t *testing.T) {
	const digest = "sha256:ab00000000000000000000000000000000000000000000000000000000000000"
	for _, tc := range []struct {
		name   string
		client Client
		node   Node
		root   *RemoteRoot
		want   string
		fault  string
	}{
		{"everything", testClient, testNode, nil, `BOOTIF=01-52-54-00-ab-cd-ef console=ttyS0 hostname=n7 id=67452301-ab89-efcd-0123-456789abcdef at="10.0.0.7/24" -- 52:54:00:ab:cd:ef`, ""},
		{"nothing", Client{}, Node{}, nil, "", ""},
		{"its own BOOTIF", testClient, Node{Append: "BOOTIF=eth0"}, nil, "BOOTIF=eth0", ""},
		{"the node's address counts more", testClient, Node{Append: "BOOTIF=x ip=${ip}", Address: netip.MustParseAddr("10.0.0.9")}, nil, "BOOTIF=x ip=10.0.0.9", ""},
		{"a root image", Client{}, Node{Append: "quiet -- a"}, testRoot, "root=http://10.0.0.1:8080/rambox/0123/root.squashfs rambox.mirror=http://10.0.0.2/rambox/0123/root.squashfs rambox.digest=" + digest + " quiet -- a", ""},
		{"two roots", testClient, Node{Append: "root=/dev/vda"}, testRoot, "", "node 52:54:00:ab:cd:ef: command line: has root=, which the root image would give it"},
		{"a root image and no server", testClient, testNode, &RemoteRoot{Name: "r"}, "", "node n7: root image r: no server to fetch it from"},
		{"a bad server", testClient, testNode, &RemoteRoot{Name: "r", Servers: []string{"10.0.0.1:80"}}, "", `node n7: server "10.0.0.1:80": parse "10.0.0.1:80": first path segment in URL cannot contain colon`},
		{"ftp", testClient, testNode, &RemoteRoot{Name: "r", Servers: []string{"ftp://h"}}, "", `node n7: server "ftp://h": want http://HOST or http://HOST:PORT`},
		{"an unknown name", testClient, Node{Hostname: "n7", Append: "a=${serial}"}, nil, "", "node n7: command line: ${serial}: want ${mac}, ${uuid}, ${hostname} or ${ip}"},
		{"not closed", testClient, Node{Append: "a=${mac"}, nil, "", "node 52:54:00:ab:cd:ef: command line: ${ without }"},
		{"not known", Client{IP: netip.MustParseAddr("10.0.0.7")}, Node{Append: "a=${uuid}"}, nil, "", "node at 10.0.0.7: command line: ${uuid}: is not known of this machine"},
		{"too long", testClient, Node{Hostname: "n7", Append: strings.Repeat("x", 2048)}, nil, "", "node n7: command line of 2076 bytes: kernels keep 2047"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := BootLine(tc.client, tc.node, tc.root)
			if got != tc.want || errorText(err) != tc.fault {
				t.Errorf("BootLine = %q, %q, want %q, %q", got, errorText(err), tc.want, tc.fault)
			}
		})
	}
}

// TestRemoteRootWords: what is written is what the guest's parser finds.
func TestRemoteRootWords(t *testing.T) {
	line, err := BootLine(Client{}, Node{}, testRoot)
	if err != nil {
		t.Fatal(err)
	}
	args := cmdline.Parse(line)
	root, _ := args.Value("root")
	digest, _ := args.Value("rambox.digest")
	got := append([]string{root, digest}, args.Values("rambox.mirror")...)
	want := []string{"http://10.0.0.1:8080/rambox/0123/root.squashfs", testRoot.Digest.String(), "http://10.0.0.2/rambox/0123/root.squashfs"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestScripts(t *testing.T) {
	line, err := BootLine(testClient, testNode, testRoot)
	if err != nil {
		t.Fatal(err)
	}
	full := Load{Servers: testRoot.Servers, Kernel: "rambox/01/vmlinuz", Initrd: "rambox/02/small.img", Cmdline: line}
	for _, tc := range []struct {
		name string
		load Load
	}{
		{"full", full},
		{"kernel-only", Load{Servers: testRoot.Servers[:1], Kernel: "vmlinuz"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			script, err := IPXEScript(testClient, testNode, tc.load)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tc.name+".ipxe", script)
			config, err := PXELinuxConfig(testClient, testNode, tc.load)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tc.name+".pxelinux", config)
		})
	}
	chain, err := IPXEChain(testRoot.Servers)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "chain.ipxe", chain)
}

func TestScriptsRefuse(t *testing.T) {
	servers := []string{"http://10.0.0.1"}
	for _, tc := range []struct {
		name, line      string
		ipxe, pxelinux  string
		kernel, servers bool // are left out
	}{
		{name: "a newline", line: "a\nb", ipxe: "node n7: command line: byte 0x0a, which a boot loader's configuration cannot carry", pxelinux: "node n7: command line: byte 0x0a, which a boot loader's configuration cannot carry"},
		{name: "a tab", line: "a\tb", ipxe: "node n7: command line: byte 0x09, which a boot loader's configuration cannot carry", pxelinux: "node n7: command line: byte 0x09, which a boot loader's configuration cannot carry"},
		{name: "a setting", line: "a=${b}", ipxe: `node n7: command line: "a=${b}": iPXE would expand it`},
		{name: "a comment", line: "a #b", ipxe: `node n7: command line: "#b": iPXE would end the command here`},
		{name: "or", line: "a || b", ipxe: `node n7: command line: "||": iPXE would end the command here`},
		{name: "spaces in quotes", line: `a="b  c"`, ipxe: "node n7: command line: more than one space in a row, which iPXE would join, and quotes"},
		{name: "one space in quotes", line: `a="b c"`},
		{name: "spaces", line: "a   b"},
		{name: "not ASCII", line: "a=ä"},
		{name: "a hyphen", line: " -", pxelinux: `node n7: command line: "-" alone, which PXELINUX drops`},
		{name: "no kernel", kernel: true, ipxe: "node n7: no kernel", pxelinux: "node n7: no kernel"},
		{name: "no server", servers: true, ipxe: "node n7: no HTTP server to load from"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := Load{Servers: servers, Kernel: "k", Cmdline: tc.line}
			if tc.kernel {
				l.Kernel = ""
			}
			if tc.servers {
				l.Servers = nil
			}
			_, err := IPXEScript(testClient, testNode, l)
			if errorText(err) != tc.ipxe {
				t.Errorf("iPXE: %q, want %q", errorText(err), tc.ipxe)
			}
			_, err = PXELinuxConfig(testClient, testNode, l)
			if errorText(err) != tc.pxelinux {
				t.Errorf("PXELINUX: %q, want %q", errorText(err), tc.pxelinux)
			}
		})
	}
}

// FuzzScripts: whatever a command line has in it, no script has a line more or a
// command more for it.
func FuzzScripts(f *testing.F) {
	f.Add(`console=ttyS0 a="b c" -- d`, "n7")
	f.Add("a || reboot", "n\n7")
	f.Add("${net0/mac} #x", "")
	f.Fuzz(func(t *testing.T, line, hostname string) {
		l := Load{Servers: []string{"http://10.0.0.1"}, Kernel: "k", Initrd: "i", Cmdline: line}
		n := Node{Hostname: hostname}
		plain, err := IPXEScript(testClient, n, Load{Servers: l.Servers, Kernel: "k", Initrd: "i"})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := IPXEScript(testClient, n, l); err == nil {
			if strings.Count(s, "\n") != strings.Count(plain, "\n") || strings.Count(s, "${") != strings.Count(plain, "${") || strings.Count(s, " || ") != strings.Count(plain, " || ") {
				t.Fatalf("%q makes\n%s", line, s)
			}
		}
		if s, err := PXELinuxConfig(testClient, n, l); err == nil && strings.Count(s, "\n") > 7 {
			t.Fatalf("%q makes\n%s", line, s)
		}
	})
}

// onlyBook knows one machine, by its MAC address.
type onlyBook struct{ node Node }

func (b onlyBook) Lookup(c Client) (Node, bool) { return b.node, c.MAC.String() == testMAC.String() }
func (b onlyBook) Reserved(netip.Addr) bool     { return false }

func TestGenerator(t *testing.T) {
	known := func(c Client) Client {
		if c.UUID == testClient.UUID || c.IP == testClient.IP && c.MAC == nil {
			c.MAC = testMAC
		}
		return c
	}
	for _, tc := range []struct {
		name, from string
		refused    bool
		ok         bool
		want       string // that the text has
		fault      string
	}{
		{name: "boot.ipxe", ok: true, want: "chain --replace"},
		{name: "ipxe/mac=52:54:00:ab:cd:ef,uuid=,arch=x64", ok: true, want: "kernel --name ipxe.kernel http://10.0.0.1/k"},
		{name: "ipxe/mac=52:54:00:ab:cd:ef", ok: true, want: "# node n7"},
		{name: "ipxe/mac=52-54-00-ab-cd-ef,arch=i386", ok: true, want: "# node n7"},
		{name: "ipxe/mac=52:54:00:ab:cd:ef,sysuuid=67452301-AB89-efcd-0123-456789abcdef", ok: true, want: "uuid 01234567-89ab-cdef-0123-456789abcdef"},
		{name: "ipxe/mac=52:54:00:00:00:00", fault: "node 52:54:00:00:00:00: not in the configuration: file does not exist"},
		{name: "ipxe/mac=52:54:00:ab:cd:ef", refused: true, fault: "node n7: is refused: permission denied"},
		{name: "ipxe/arch=x64"},
		{name: "ipxe/mac=x"},
		{name: "pxelinux.cfg/01-52-54-00-ab-cd-ef", ok: true, want: "LINUX /k"},
		{name: "sub/dir/pxelinux.cfg/01-52-54-00-ab-cd-ef", ok: true, want: "LINUX /k"},
		{name: "pxelinux.cfg/01234567-89ab-cdef-0123-456789ABCDEF", from: "10.0.0.8", ok: true, want: "LINUX /k"},
		{name: "pxelinux.cfg/11234567-89ab-cdef-0123-456789ABCDEF", from: "10.0.0.8"},
		{name: "pxelinux.cfg/0A000007", ok: true, want: "LINUX /k"},
		{name: "pxelinux.cfg/0A0", ok: true, want: "LINUX /k"},
		{name: "pxelinux.cfg/0A000008"},
		{name: "pxelinux.cfg/0A000008", from: "10.0.0.8"},
		{name: "pxelinux.cfg/default", ok: true, want: "LINUX /k"},
		{name: "pxelinux.cfg/default", from: "10.0.0.8"},
		{name: "pxelinux.cfg/graphics.conf"},
		{name: "pxelinux.cfg/20-52-54-00-ab-cd-ef"},
		{name: "vmlinuz"},
	} {
		t.Run(tc.name+" "+tc.from, func(t *testing.T) {
			if tc.from == "" {
				tc.from = "10.0.0.7"
			}
			g := Generator{
				Book: onlyBook{Node{Hostname: "n7", Refused: tc.refused}}, Servers: []string{"http://10.0.0.1"}, Known: known,
				Load: func(c Client, _ Node) (Load, error) {
					return Load{Servers: []string{"http://10.0.0.1"}, Kernel: "k", Cmdline: "uuid " + c.UUID}, nil
				},
			}
			text, ok, err := g.Make(tc.name, netip.MustParseAddr(tc.from))
			if ok != tc.ok || errorText(err) != tc.fault || !strings.Contains(string(text), tc.want) {
				t.Errorf("%q, %v, %v, want %q, %v, %s", text, ok, err, tc.want, tc.ok, tc.fault)
			}
		})
	}
}

func FuzzGenerator(f *testing.F) {
	f.Add("ipxe/mac=52:54:00:ab:cd:ef,uuid=01234567-89ab-cdef-0123-456789abcdef,arch=x64")
	f.Add("pxelinux.cfg/01-52-54-00-ab-cd-ef")
	f.Add("pxelinux.cfg/0A000007")
	g := Generator{
		Book: onlyBook{}, Servers: []string{"http://10.0.0.1"},
		Load: func(Client, Node) (Load, error) { return Load{Servers: []string{"http://10.0.0.1"}, Kernel: "k"}, nil },
	}
	f.Fuzz(func(t *testing.T, name string) {
		text, ok, err := g.Make(name, netip.MustParseAddr("10.0.0.7"))
		plain := strings.NewReplacer(":", "", "-", "", ".", "").Replace(strings.ToLower(name))
		if ok && err == nil && !strings.Contains(plain, "525400abcdef") && !strings.HasSuffix(name, IPXEChainName) {
			t.Fatalf("%q: %q", name, text)
		}
	})
}

func TestFindProgram(t *testing.T) {
	root := t.TempDir()
	for _, file := range []string{"usr/lib/ipxe/undionly.kpxe", "usr/lib/PXELINUX/pxelinux.0", "mine.efi"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := FindProgram(root, ArchBIOS, "")
	if want := (Program{"undionly.kpxe", filepath.Join(root, "usr/lib/ipxe/undionly.kpxe")}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	mine := filepath.Join(root, "mine.efi")
	got, err = FindProgram(root, ArchEFI64, mine)
	if want := (Program{FileName(mine), mine}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if _, err = FindProgram(root, ArchEFI64, ""); err == nil || !strings.Contains(err.Error(), "boot program for x64: no "+root+"/usr/lib/ipxe/ipxe.efi: install Debian's package ipxe") {
		t.Error(err)
	}
	if _, err = FindProgram(root, ArchRISCV64, ""); err == nil || err.Error() != "boot program for riscv64: Debian has none: give a file" {
		t.Error(err)
	}
	if _, err = FindProgram(root, ArchBIOS, root); err == nil || err.Error() != "boot program for bios: "+root+": is no regular file" {
		t.Error(err)
	}
	if _, err = FindProgram(root, ArchBIOS, root+"/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err = FindPXELinux(root, ArchBIOS); err == nil || !strings.Contains(err.Error(), "ldlinux.c32: install Debian's package syslinux-common") {
		t.Error(err)
	}
}
