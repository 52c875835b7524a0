//go:build linux

package network

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// TestHostname: the lease's name counts more than the image's, and less than
// that of the command line. The server is told what the machine has.
func TestHostname(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	for _, tc := range []struct{ name, line, told, want string }{
		{"of the lease", "", "image-name", "node-7\n"},
		{"of the line", "hostname=x", "x", "x\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, lease(dhcpv4.WithOption(dhcpv4.OptHostName("node-7.example.org"))))
			dir := image(t, k)
			vmtest.WriteFile(t, dir, "etc/hostname", 0o644, "image-name\n")
			g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir), Append: tc.line, Extra: l.card(0)})
			g.want("hostname", tc.want)
			g.want("cat /etc/hostname", "image-name\n")
			g.want("grep -E '^(HOSTNAME|DNSDOMAIN)=' /run/net-eth0.conf", "HOSTNAME='node-7'\nDNSDOMAIN='example.org'\n")
			g.want("cat /etc/resolv.conf", "search example.org\nnameserver 10.9.0.1\n")
			for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest} {
				if got := l.await(kind.String(), 1, of(kind)).HostName(); got != tc.told {
					t.Errorf("%s tells the server the name %q, want %q", kind, got, tc.told)
				}
			}
			g.end(0)
		})
	}
}

// renewal matches what a client asks when it keeps a lease.
func renewal(m message) bool {
	return m.MessageType() == dhcpv4.MessageTypeRequest && m.ClientIPAddr.Equal(client.AsSlice())
}

// TestStaysInRAM: the network's process outlives the exec of the next init and
// keeps the lease; renew_ip renews it and gives it back.
func TestStaysInRAM(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	l := newLAN(t, lease(dhcpv4.WithLeaseTime(20),
		dhcpv4.WithGeneric(dhcpv4.OptionRenewTimeValue, []byte{0, 0, 0, 5}),
		dhcpv4.WithGeneric(dhcpv4.OptionRebindingTimeValue, []byte{0, 0, 0, 15})))
	dir := image(t, k)
	vmtest.WriteFile(t, dir, "sbin/init", 0o755, agent)
	g := guest{vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir), Append: "rambox" + silent, Extra: l.card(0)}), t}
	g.ready()
	g.want("echo $$", "1\n")
	g.wantFirst(lanLease)
	g.wantConfined()

	var last time.Time
	for n := 1; n <= 3; n++ {
		m := l.await("renewal", n, renewal)
		if !m.unicast() || m.ServerIdentifier() != nil || m.RequestedIPAddress() != nil {
			t.Errorf("renewal %d is not as RFC 2131, table 5 has it: %v", n, m)
		}
		if n > 1 && m.at.Sub(last) < 4*time.Second {
			t.Errorf("renewal %d comes %v after the one before, want 5 s", n, m.at.Sub(last))
		}
		last = m.at
	}
	// The address lives as long as the lease.
	g.run("await '[ $(ip -4 addr show dev eth0 | grep -o \"valid_lft [0-9]*\" | cut -d\" \" -f2) -gt 15 ]'")
	g.want("state", lanLease)

	conf := g.run("cat /run/net-eth0.conf")
	before := len(l.messages())
	if diff := cmp.Diff(conf, g.run("renew_ip")); diff != "" {
		t.Errorf("renew_ip (-lease file +printed):\n%s", diff)
	}
	if heard := l.messages()[before:]; len(heard) == 0 || !renewal(heard[0]) || !heard[0].unicast() {
		t.Errorf("after renew_ip the server has heard %v", heard)
	}

	g.want("renew_ip --release", "")
	m := l.await("RELEASE", 1, of(dhcpv4.MessageTypeRelease))
	if !m.unicast() || !m.ClientIPAddr.Equal(client.AsSlice()) || !m.ServerIdentifier().Equal(server.AsSlice()) {
		t.Errorf("not as RFC 2131, table 5 has it: %v", m)
	}
	g.want("ip -4 -o addr | grep -c eth0; ip route; ls /run/net-eth0.conf 2>/dev/null; true", "0\n")
	g.run("await '! pidof rambox-net'")
	out, status := g.try("renew_ip")
	if want := "renew_ip: no lease is being kept: none has been given yet, it was released, or the network is off (rambox.net=, ip=)\n"; status != 1 || out != want {
		t.Errorf("renew_ip without a lease: status %d, %q", status, out)
	}
	g.Send("poweroff -f\n")
	vmtest.Lacks(t, g.End(), "Kernel panic")
}

// disk is an ext4 root with the agent as its init, and a name server of its
// own.
func disk(t *testing.T) qemu.Disk {
	t.Helper()
	dir := t.TempDir()
	vmtest.AddBusybox(t, dir)
	addAgent(t, dir, "sbin/init")
	vmtest.WriteFile(t, dir, "etc/resolv.conf", 0o644, "nameserver 192.0.2.1\n")
	for _, d := range [...]string{"dev", "proc", "sys", "run", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return qemu.Disk{Path: vmtest.Ext4(t, dir, "32")}
}

// TestSwitchRoot: a root on a disk finds the network as ip= has it, and nobody
// who sees to it; without ip= it finds it untouched.
func TestSwitchRoot(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	for _, tc := range []struct{ name, line, state, flags string }{
		{"ip=dhcp", " ip=dhcp", "eth0 10.9.0.10/24\n" + lanRoutes + "nameserver 192.0.2.1\n", "0x1003\n"},
		{"no ip=", "", "nameserver 192.0.2.1\n", "0x1002\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, lease())
			g := guest{vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k, "virtio_blk")), Disks: []qemu.Disk{disk(t)},
				Append: "root=/dev/vda rw" + tc.line + silent, Extra: l.card(0)}), t}
			g.ready()
			g.want("echo $$; grep -c ' / ext4 rw' /proc/mounts", "1\n1\n")
			if out, status := g.try("pidof rambox-net"); status != 1 {
				t.Errorf("the network's process runs: %s", out)
			}
			g.want("echo \"$first\" | grep -v '^lo '", tc.state)
			g.want("cat /sys/class/net/eth0/flags", tc.flags)
			if tc.line == "" {
				g.want("ls /run /run/rambox", "/run:\ninitramfs  rambox\n\n/run/rambox:\nboot.json\n")
				if heard := l.messages(); len(heard) > 0 {
					t.Errorf("the server has heard %v", heard)
				}
			} else {
				g.want("grep -E '^(PROTO|IPV4ADDR|IPV4GATEWAY|DHCPLEASETIME)=' /run/net-eth0.conf",
					"PROTO='dhcp'\nIPV4ADDR='10.9.0.10'\nIPV4GATEWAY='10.9.0.1'\nDHCPLEASETIME='3600'\n")
			}
			g.Send("poweroff -f\n")
			vmtest.Lacks(t, g.End(), "Kernel panic")
		})
	}
}

// TestVLAN has its server in a VLAN.
func TestVLAN(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	l := newVLAN(t, 5, lease())
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Append: "vlan=eth0.5:eth0 ip=eth0.5:dhcp", Extra: l.card(0)})
	g.wantFirst("lo 127.0.0.1/8\neth0.5 10.9.0.10/24\ndefault via 10.9.0.1 dev eth0.5  src 10.9.0.10 \n" +
		"10.9.0.0/24 dev eth0.5 scope link  src 10.9.0.10 \nnameserver 10.9.0.1\n")
	g.want("grep -E '^(DEVICE|PROTO)=' /run/net-eth0.5.conf; ls /run/net-*", "DEVICE='eth0.5'\nPROTO='dhcp'\n/run/net-eth0.5.conf\n")
	for _, m := range l.messages() {
		if m.vlan != 5 {
			t.Errorf("without the VLAN's tag: %v", m)
		}
	}
	g.run("renew_ip") // unicast, after ARP
	if m := l.await("renewal", 1, renewal); !m.unicast() || m.vlan != 5 {
		t.Errorf("a renewal of its own kind: %v", m)
	}
	g.end(0)
}
