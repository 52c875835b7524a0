//go:build linux

package network

import (
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// ownServer is a card on QEMU's own network, with its DHCP server.
var ownServer = []string{"-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="}

// ownLease is what that server gives, and ownFile the file with it.
const (
	ownLease = `lo 127.0.0.1/8
eth0 10.0.2.15/24
default via 10.0.2.2 dev eth0  src 10.0.2.15 
10.0.2.0/24 dev eth0 scope link  src 10.0.2.15 
nameserver 10.0.2.3
`
	ownFile = `DEVICE='eth0'
PROTO='dhcp'
IPV4ADDR='10.0.2.15'
IPV4BROADCAST='10.0.2.255'
IPV4NETMASK='255.255.255.0'
IPV4GATEWAY='10.0.2.2'
IPV4DNS0='10.0.2.3'
IPV4DNS1='0.0.0.0'
IPV4NTP0='0.0.0.0'
HOSTNAME=''
DNSDOMAIN=''
NISDOMAIN=''
ROOTSERVER='10.0.2.2'
ROOTPATH=''
filename=''
MTU='0'
DHCPLEASETIME='86400'
DOMAINSEARCH=''
`
)

// TestConfigured: the network is there at the payload's first line.
func TestConfigured(t *testing.T) {
	t.Parallel()
	cloud, own := vmtest.CloudKernel(t), vmtest.RunKernel(t)
	for _, tc := range []struct {
		name, line string
		kernel     kernels.Kernel
	}{
		{"no ip=", "", cloud},
		{"ip=dhcp", "ip=dhcp", cloud},
		{"dracut", "ip=eth0:dhcp", cloud},
		{"no modules", "", own},
		{"no modules, ip=dhcp", "ip=dhcp", own},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := start(t, vmtest.VM{Kernel: tc.kernel, Initrd: vmtest.Archive(t, image(t, tc.kernel)), Append: tc.line, Extra: ownServer})
			g.wantFirst(ownLease)
			g.want("cat /run/net-eth0.conf", ownFile)
			g.wantLog("rambox: eth0: dhcp 10.0.2.15/24, gateway 10.0.2.2, lease 24h0m0s")
			g.wantStart(0, 9)
			g.wantConfined()
			g.end(7)
		})
	}
}

// wantConfined checks what the network's process may do: CAP_NET_BIND_SERVICE,
// CAP_NET_ADMIN and CAP_NET_RAW, on each of its threads.
func (g guest) wantConfined() {
	g.t.Helper()
	g.want("pid=$(pidof rambox-net); grep -E '^(Name|PPid):' /proc/$pid/status", "Name:\trambox-net\nPPid:\t1\n")
	g.want("for status in /proc/$pid/task/*/status; do grep -E '^(CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs|Seccomp):' $status; done | sort -u",
		"CapAmb:\t0000000000000000\nCapEff:\t0000000000003400\nCapInh:\t0000000000000000\nCapPrm:\t0000000000003400\nNoNewPrivs:\t1\nSeccomp:\t2\n")
}

// TestStatic needs no server.
func TestStatic(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Extra: ownServer,
		Append: "ip=10.0.2.15::10.0.2.2:255.255.255.0:node7:eth0:none"})
	g.wantFirst(`lo 127.0.0.1/8
eth0 10.0.2.15/24
default via 10.0.2.2 dev eth0  src 10.0.2.15 
10.0.2.0/24 dev eth0 scope link  src 10.0.2.15 
`)
	g.want("hostname", "node7\n")
	g.want("grep -E '^(PROTO|IPV4ADDR|HOSTNAME|DHCPLEASETIME)=' /run/net-eth0.conf",
		"PROTO='none'\nIPV4ADDR='10.0.2.15'\nHOSTNAME='node7'\nDHCPLEASETIME='0'\n")
	g.end(0)
}

// TestOff: no process, and no link but lo is touched.
func TestOff(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	for _, line := range []string{"rambox.net=off", "ip=off"} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Append: line, Extra: ownServer})
			g.wantFirst(nobody)
			g.want("cat /sys/class/net/eth0/flags", "0x1002\n") // IFF_BROADCAST, IFF_MULTICAST: down
			g.want("cat /sys/class/net/lo/flags", "0x9\n")      // IFF_LOOPBACK, IFF_UP
			if out, status := g.try("pidof rambox-net"); status != 1 {
				t.Errorf("the network's process runs: %s", out)
			}
			g.end(0)
		})
	}
}

// TestNoEntropy has a machine whose kernel has no random numbers yet: the
// lease waits for none.
func TestNoEntropy(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)),
		// QEMU gives a kernel a seed of its own.
		Append: "ip=dhcp random.trust_bootloader=off random.trust_cpu=off",
		Extra:  append([]string{"-cpu", "qemu64"}, ownServer...)})
	g.wantFirst(ownLease)
	if out, _ := g.try("grep -oE 'rdrand|rdseed' /proc/cpuinfo"); out != "" {
		t.Errorf("the CPU has %s", out)
	}
	leased := g.stamp("rambox: eth0: dhcp")
	if out, status := g.try("dmesg | grep 'crng init done'"); status == 0 && g.stamp("crng init done") < leased {
		t.Errorf("the machine had entropy before the lease: the test tests nothing\n%s", out)
	}
	g.end(0)
}
