//go:build linux

package netboot_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// What a node may take of its memory, in bytes.
const (
	nodeUsed = 12_000_000 // as free says it, without buffers and cache
	nodeRoot = 5 << 20    // the root file system, as du counts it
)

// nodeLine is the command line of a node. It waits for the network: PCs' cards take
// seconds to find a carrier. With the last word the kernel hoards few free pages for
// each processor: free would count them as used.
const nodeLine = "quiet console=ttyS0 sysctl.vm.percpu_pagelist_high_fraction=1000"

// nodeChecks is what one looks at after an installation. It waits then, and ends
// with the status that it is told.
const nodeChecks = `check() { echo "== $1"; shift; "$@" 2>&1 || echo "status $?"; }
check root du -sxk /
check mounts sh -c 'sed "s/,size=[0-9]*k//; s/,nr_inodes=[0-9]*//" /proc/mounts'
check links sh -c 'ip -o link | sed "s/ mtu.*//"'
check addresses sh -c 'ip -o -4 addr | sed "s/ brd.*//; s/ scope.*//"'
check routes ip -4 route
check devices sh -c 'cd /dev && stat -c "%n %F %t:%T %a" console full kmsg null ptmx random tty ttyS0 urandom zero; for l in fd stdin stdout stderr; do readlink $l; done'
check modules sh -c 'cat /proc/modules 2>/dev/null | wc -l; find /lib/modules -name "*.ko*" 2>/dev/null | wc -l'
check ping sh -c 'ping -c 3 -i 0.1 10.9.0.1 | grep packets'
check renew sh -c 'renew_ip | grep IPV4ADDR'
check free sh -c 'free -b; grep count: /proc/zoneinfo'
check rest
read status
exit "$status"
`

// nodeWant is what nodeChecks has to print, but for figures.
var nodeWant = map[string]string{
	"mounts": `rootfs / rootfs rw 0 0
devtmpfs /dev devtmpfs rw,nosuid,relatime,mode=755 0 0
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
sysfs /sys sysfs rw,nosuid,nodev,noexec,relatime 0 0
devpts /dev/pts devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666 0 0
tmpfs /dev/shm tmpfs rw,nosuid,nodev,relatime 0 0
tmpfs /run tmpfs rw,nosuid,nodev,relatime,mode=755 0 0
tmpfs /tmp tmpfs rw,nosuid,nodev,relatime 0 0
`,
	"links": `1: lo: <LOOPBACK,UP,LOWER_UP>
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP>
`,
	"addresses": `1: lo    inet 127.0.0.1/8
2: eth0    inet 10.9.1.100/16
`,
	"routes": "10.9.0.0/16 dev eth0 scope link  src 10.9.1.100 \n",
	"devices": `console character special file 5:1 600
full character special file 1:7 666
kmsg character special file 1:b 644
null character special file 1:3 666
ptmx character special file 5:2 666
random character special file 1:8 666
tty character special file 5:0 666
ttyS0 character special file 4:40 600
urandom character special file 1:9 666
zero character special file 1:5 666
/proc/self/fd
fd/0
fd/1
fd/2
`,
	"modules": "0\n0\n", // loaded, and in the image
	"ping":    "3 packets transmitted, 3 packets received, 0% packet loss\n",
	"renew":   "IPV4ADDR='10.9.1.100'\n",
}

// checkNode compares what nodeChecks has printed on a console.
func checkNode(t *testing.T, console []string) {
	t.Helper()
	found := map[string]string{}
	name := ""
	for _, line := range console {
		if next, ok := strings.CutPrefix(line, "== "); ok {
			name = next
		} else if name != "" {
			found[name] += line + "\n"
		}
	}
	used := number(t, found["free"], `Mem: +\d+ +(\d+)`)
	root := number(t, found["root"], `(\d+)`) << 10
	t.Logf("used %d bytes, root file system %d", used, root)
	if used > nodeUsed || root > nodeRoot {
		t.Errorf("want at most %d and %d:\n%s", nodeUsed, nodeRoot, found["free"])
	}
	delete(found, "free")
	delete(found, "root")
	if diff := cmp.Diff(nodeWant, found); diff != "" {
		t.Errorf("the node (-want +got):\n%s", diff)
	}
}

// number is the first submatch of an expression.
func number(t *testing.T, text, expression string) int64 {
	t.Helper()
	m := regexp.MustCompile(expression).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in:\n%s", expression, text)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNode boots a machine by rambox serve and its flags alone, and checks it as
// one does after an installation. The power is cut; the machine comes back by
// itself and is the same. The list of machines follows it all the time.
func TestNode(t *testing.T) {
	testNode(t, vmtest.RunKernel(t), "virtio-net-pci")
}

func testNode(t *testing.T, k kernels.Kernel, card string) {
	t.Helper()
	l, program, state := newLab(t, 0), vmtest.Rambox(t), t.TempDir()
	image := build(t, k, "--payload", script(t, nodeChecks))
	s := l.startServe(program, "--kernel", k.Path, "--image", image, "--append", nodeLine, "--interface", "s0", "--range", "10.9.1.100-10.9.1.199", "--state", state)
	l.server.Tap("tap0", "s0")
	const listed = ` +\d+s +rambox +10\.9\.1\.100 +52:54:00:12:34:56 +bios +\d+\.\d{3}s \(kernel .* network .*\) +`
	powerOn := func() *talker {
		m := powerOn(t, l.server, "-m", "512M", "-device", card+",netdev=n0,mac="+nodeMAC, "-boot", "n")
		s.until("machine: running")
		checkNode(t, m.until("== rest"))
		s.until("DHCP: leased") // again, as renew_ip has asked
		wantStatus(t, program, state, `^running`+listed+`/usr/local/bin/payload$`)
		return m
	}
	powerOn().kill()
	m := powerOn()
	m.say("0")
	s.until("machine: ended")
	wantStatus(t, program, state, `^booted`+listed+`exit 0$`)
}
