//go:build linux

package bench

import (
	"slices"
	"strings"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// card is a network card on QEMU's own network, with its DHCP server.
var card = []string{"-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile="}

// busyboxNet is job 3 as a script.
const busyboxNet = `#!/bin/sh
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
MODULES
busybox ip link set lo up
busybox udhcpc -q -n -f -i eth0 -s /lease >/dev/null 2>&1
/app
busybox poweroff -f
`

// udhcpcLease and dhclientLease apply a lease as the scripts that come with the
// clients do, and no more.
const udhcpcLease = `#!/bin/sh
case $1 in
deconfig) busybox ip link set $interface up ;;
bound)
	busybox ip addr add $ip/$mask dev $interface
	busybox ip route add default via $router
	echo "nameserver $dns" > /etc/resolv.conf ;;
esac
`

const dhclientLease = `#!/bin/sh
case $reason in
PREINIT) busybox ip link set $interface up ;;
BOUND)
	busybox ip addr add $new_ip_address/$new_subnet_mask dev $interface
	busybox ip route add default via $new_routers
	echo "nameserver $new_domain_name_servers" > /etc/resolv.conf ;;
esac
`

// BenchmarkJob3 loads virtio_net, asks QEMU's DHCP server and runs a static
// payload when the link is configured.
func BenchmarkJob3(b *testing.B) {
	k := vmtest.CloudKernel(b)
	app := vmtest.Program(b, payload)
	for _, signed := range []bool{true, false} {
		measure(b, "rambox"+suffix(signed), vmtest.VM{
			Kernel: k, Initrd: ourNetImage(b, k, app, signed), Append: "rambox.payload=/app", Extra: card})

		script := moduleTree(b, k, signed, "virtio_pci", "virtio_net")
		vmtest.Copy(b, app, script, "app")
		vmtest.AddBusybox(b, script)
		for _, d := range []string{"dev", "proc", "sys", "etc"} {
			mkdir(b, script, d)
		}
		vmtest.WriteFile(b, script, "lease", 0o755, udhcpcLease)
		vmtest.WriteFile(b, script, "init", 0o755,
			strings.Replace(busyboxNet, "MODULES", insmods(b, script, k, "virtio_pci", "virtio_net"), 1))
		measure(b, "busybox-udhcpc"+suffix(signed), vmtest.VM{Kernel: k, Initrd: vmtest.Archive(b, script), Extra: card})
	}
}

// ourNetImage has what job 3 needs and no more.
func ourNetImage(b *testing.B, k kernels.Kernel, app string, signed bool) string {
	b.Helper()
	if !signed {
		return unsignedImage(b, k, "virtio_pci,virtio_net", "--add", app+":/app")
	}
	dir := moduleTree(b, k, signed, "virtio_pci", "virtio_net")
	vmtest.Copy(b, app, dir, "app")
	vmtest.Copy(b, vmtest.Init(b), dir, "init")
	return vmtest.Archive(b, dir)
}

// BenchmarkDHCP is the part of a client: from its start, with the link there
// and down, to the configured link. Once in instructions, once by the clock on
// the wall.
func BenchmarkDHCP(b *testing.B) {
	k := vmtest.CloudKernel(b)
	dir := vmtest.Tree(b)
	vmtest.AddModules(b, dir, k, "virtio_pci", "virtio_net")
	vmtest.AddProgram(b, dir, "/sbin/dhclient")
	vmtest.WriteFile(b, dir, "udhcpc.lease", 0o755, udhcpcLease)
	vmtest.WriteFile(b, dir, "dhclient.lease", 0o755, dhclientLease)
	mkdir(b, dir, "var/lib/dhcp")
	clients := []struct{ name, command string }{
		// As PID 1 starts it, by its other name; it reports to descriptor 3.
		{"rambox", `mkfifo /report; (exec -a rambox-net /init ip=eth0:dhcp) 3>/report & read -r line </report; echo "$line"`},
		{"udhcpc", "busybox udhcpc -q -n -f -i eth0 -s /udhcpc.lease"},
		{"dhclient", "dhclient -1 -q -sf /dhclient.lease eth0"},
	}
	for _, c := range clients {
		vmtest.WriteFile(b, dir, c.name, 0o755, "#!/bin/sh\nbusybox mkdir -p /etc\necho '<4>BEGIN' >/dev/kmsg\n"+c.command+
			"\necho '<4>PAYLOAD' >/dev/kmsg\nbusybox ip addr show eth0 | busybox grep 'inet '\nsleep 1\n")
	}
	initrd := vmtest.Archive(b, dir)
	for _, c := range clients {
		vm := vmtest.VM{Kernel: k, Initrd: initrd, Extra: card, Append: "rambox.net=off rambox.payload=/" + c.name}
		measure(b, c.name, vm)
		vm.Append = "printk.time=1 " + vm.Append
		b.Run(c.name+"-wall", func(b *testing.B) {
			for b.Loop() {
				var times []float64
				for range 5 {
					console := vmtest.Boot(b, vm)
					vmtest.Contains(b, console, "inet 10.0.2.15/24")
					times = append(times, elapsed(b, console))
				}
				slices.Sort(times)
				b.ReportMetric(times[len(times)/2], "ms-wall-median")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
