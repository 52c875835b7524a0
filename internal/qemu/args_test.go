package qemu

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func machines() map[string]Machine {
	ports := []string{"rambox.control", "a,b"}
	return map[string]Machine{
		"pc":    {Arch: "amd64", Kernel: "/boot/vmlinuz"},
		"ports": {Arch: "amd64", Kernel: "k", Initrd: "i", Cmdline: "console=ttyS0 -- a,b 'c d'", Ports: ports, RNG: true},
		"q35": {
			Arch: "amd64", Type: "q35", Kernel: "k", Memory: 100<<20 + 512<<10, SMP: 4, CPU: "qemu64", Net: Network{Kind: "user"},
			Disks: []Disk{
				{Path: "/d/a,b.raw"},
				{Path: "c.qcow2", ReadOnly: true},
				{Path: "nbd:1", Format: "raw"},
				{Path: "e.qcow2", Format: "raw"},
			},
			Extra: []string{"-s"},
		},
		"microvm": {Arch: "amd64", Type: "microvm", Kernel: "k", Ports: ports, RNG: true, Net: Network{Kind: "user"}, Disks: []Disk{{Path: "/d"}}},
		"arm64":   {Arch: "arm64", Kernel: "k", Ports: ports[:1]},
		"no-pci": {Arch: "arm64", NoPCI: true, Kernel: "k", Ports: ports, RNG: true, Net: Network{Kind: "user"},
			Disks: []Disk{{Path: "/d"}, {Path: "/e"}}, Shares: []Share{{Kind: Share9P, Dir: "/a", Tag: "nine"}, {Kind: ShareVirtiofs, Dir: "/x", Tag: "fs"}}},
		"riscv64": {Arch: "riscv64", Kernel: "k"},
		"arm":     {Arch: "arm", Kernel: "k", Net: Network{Kind: "user"}},
		"386":     {Arch: "386", Kernel: "k", Net: Network{Kind: "none"}},
		"forward": {Arch: "arm64", Kernel: "k", Net: Network{Kind: "user", Forwards: []Forward{
			{Proto: "tcp", Host: netip.MustParseAddrPort("127.0.0.1:8080"), Guest: 80},
			{Proto: "udp", Host: netip.MustParseAddrPort("0.0.0.0:5353"), Guest: 53},
		}}},
		"shares": {Arch: "amd64", Kernel: "k", Memory: 1 << 30, Ports: ports[:1], Net: Network{Kind: "bridge", Link: "br0"}, Shares: []Share{
			{Kind: Share9P, Dir: "/a,b c", Tag: "nine"},
			{Kind: Share9P, Dir: "/src", Tag: "ro", ReadOnly: true},
			{Kind: ShareVirtiofs, Dir: "/x", Tag: "fs0"},
			{Kind: ShareVirtiofs, Dir: "/y", Tag: "fs1", ReadOnly: true},
		}},
		"microvm-shares": {Arch: "amd64", Type: "microvm", Kernel: "k", Shares: []Share{
			{Kind: Share9P, Dir: "/a", Tag: "nine"}, {Kind: ShareVirtiofs, Dir: "/x", Tag: "fs"},
		}},
		"tap":    {Arch: "amd64", Type: "pc", Kernel: "k", Ports: ports, Net: Network{Kind: "tap", Link: "tap,0", MAC: "52:54:00:01:02:03"}},
		"bridge": {Arch: "amd64", Type: "microvm", Kernel: "k", Net: Network{Kind: "bridge", Link: "br0", MAC: "52:54:00:01:02:03"}},
	}
}

func TestArgs(t *testing.T) {
	for name, m := range machines() {
		t.Run(name, func(t *testing.T) {
			argv, err := m.Args()
			if err != nil {
				t.Fatalf("Args() of %+v: %v", m, err)
			}
			golden(t, name+".args", strings.Join(argv, "\n")+"\n")
			line, err := m.ShellLine()
			if err != nil {
				t.Fatalf("ShellLine() of %+v: %v", m, err)
			}
			golden(t, name+".sh", line+"\n")
		})
	}
}

// golden compares got with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "args", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// foreignArch is an architecture that the host's CPU does not run.
func foreignArch() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

func TestArgsRefused(t *testing.T) {
	for name, m := range map[string]Machine{
		"architecture": {Arch: "mips", Kernel: "k"},
		"type":         {Arch: "arm64", Type: "pc", Kernel: "k"},
		"accelerator":  {Arch: "amd64", Accel: "auto", Kernel: "k"},
		"foreign kvm":  {Arch: foreignArch(), Accel: "kvm", Kernel: "k"},
		"memory":       {Arch: "amd64", Memory: 1000, Kernel: "k"},
		"CPUs":         {Arch: "amd64", SMP: -1, Kernel: "k"},
		"no kernel":    {Arch: "amd64"},
		"network":      {Arch: "amd64", Kernel: "k", Net: Network{Kind: "vde"}},
		"no device":    {Arch: "amd64", Kernel: "k", Net: Network{Kind: "tap"}},
		"MAC address":  {Arch: "amd64", Kernel: "k", Net: Network{Kind: "user", MAC: "52:54"}},
		"tap forward":  {Arch: "amd64", Kernel: "k", Net: Network{Kind: "tap", Link: "t", Forwards: []Forward{{Proto: "tcp"}}}},
		"no port":      {Arch: "amd64", Kernel: "k", Net: Network{Kind: "user", Forwards: []Forward{{Proto: "tcp", Host: netip.MustParseAddrPort("127.0.0.1:0"), Guest: 1}}}},
		"share's kind": {Arch: "amd64", Kernel: "k", Shares: []Share{{Kind: "nfs", Dir: "/a", Tag: "t"}}},
		"share's path": {Arch: "amd64", Kernel: "k", Shares: []Share{{Kind: Share9P, Dir: "a", Tag: "t"}}},
		"share's tag":  {Arch: "amd64", Kernel: "k", Shares: []Share{{Kind: Share9P, Dir: "/a"}}},
		"long tag":     {Arch: "amd64", Kernel: "k", Shares: []Share{{Kind: ShareVirtiofs, Dir: "/a", Tag: strings.Repeat("t", 32)}}},
		"same tag":     {Arch: "amd64", Kernel: "k", Shares: []Share{{Kind: Share9P, Dir: "/a", Tag: "t"}, {Kind: Share9P, Dir: "/b", Tag: "t"}}},
		"odd memory":   {Arch: "amd64", Kernel: "k", Memory: 64<<20 + 1<<10, Shares: []Share{{Kind: ShareVirtiofs, Dir: "/a", Tag: "t"}}},
		"disk":         {Arch: "amd64", Kernel: "k", Disks: []Disk{{}}},
		"long line":    {Arch: "amd64", Kernel: "k", Cmdline: strings.Repeat("x", 2048)},
	} {
		t.Run(name, func(t *testing.T) {
			if argv, err := m.Args(); err == nil {
				t.Errorf("Args() of %+v = %q, want an error", m, argv)
			}
		})
	}
}

func TestBootArgs(t *testing.T) {
	for _, tt := range []struct {
		m    Machine
		want string
	}{
		{Machine{Arch: "amd64"}, "console=ttyS0 panic=-1 cryptomgr.notests no_timer_check"},
		{Machine{Arch: "amd64", Type: "microvm"}, "console=ttyS0 panic=-1 cryptomgr.notests no_timer_check reboot=t rambox.nopower=reboot"},
		{Machine{Arch: "amd64", Memory: 96 << 20}, "console=ttyS0 panic=-1 cryptomgr.notests no_timer_check"},
		{Machine{Arch: "amd64", Memory: 95 << 20}, "console=ttyS0 panic=-1 cryptomgr.notests sysctl.vm.overcommit_memory=1 nokaslr no_timer_check"},
		{Machine{Arch: "arm64"}, "console=ttyAMA0 panic=-1 cryptomgr.notests"},
		{Machine{Arch: "arm"}, "console=ttyAMA0 panic=-1 cryptomgr.notests"},
		{Machine{Arch: "riscv64"}, "console=ttyS0 panic=-1 cryptomgr.notests"},
	} {
		if got := strings.Join(tt.m.BootArgs(), " "); got != tt.want {
			t.Errorf("BootArgs() of %+v = %q, want %q", tt.m, got, tt.want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"plain-1.2":  "plain-1.2",
		"":           "''",
		"two words":  "'two words'",
		"it's":       `'it'\''s'`,
		"$(x)`y`;|&": "'$(x)`y`;|&'",
		"*?[~#\n":    "'*?[~#\n'",
	} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %q, want %q", in, got, want)
		}
	}
}
