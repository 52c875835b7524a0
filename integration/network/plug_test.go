//go:build linux

package network

import (
	"fmt"
	"slices"
	"testing"

	"rambox/internal/vmtest"
)

// plug is what a machine needs into which nth card is plugged later, from 0.
// Its cable is there already.
func (l *lan) plug(n int) []string {
	return append(l.card(n)[:2], "-device", fmt.Sprintf("pcie-root-port,id=port%d,slot=%d", n, n))
}

func plugIn(m *vmtest.Monitor, n int) {
	m.Do("device_add", map[string]any{
		"driver": "virtio-net-pci", "netdev": fmt.Sprintf("n%d", n), "id": fmt.Sprintf("card%d", n),
		"bus": fmt.Sprintf("port%d", n), "mac": fmt.Sprintf("52:54:00:00:00:%02x", n+1), "romfile": "",
	})
}

// TestHotPlug plugs a card into a machine that has none and whose payload runs,
// takes it out, and plugs it in again.
func TestHotPlug(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	l, m := newLAN(t, lease()), vmtest.NewMonitor(t)
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Extra: slices.Concat(l.plug(0), m.Args())})
	g.wantFirst(nobody)
	g.wantStart(0, 9)
	if out, status := g.try("pidof rambox-net"); status != 1 {
		t.Errorf("the network's process runs without a card: %s", out)
	}
	g.run("sleep 3")
	plugIn(m, 0)
	g.run(leased)
	g.want("state", lanLease)
	g.wantConfined()

	m.Do("device_del", map[string]any{"id": "card0"})
	g.run("await '[ ! -e /sys/class/net/eth0 ] && [ ! -e /run/net-eth0.conf ]'")
	g.want("ip -4 -o addr | grep -v '127.0.0.1/8'; ip route", "")
	plugIn(m, 0)
	g.run(leased)
	g.want("state", lanLease)
	g.end(0)
}

// TestHotPlugTwo plugs in a card without a cable while the payload begins, and
// then one with: this one wins, and the first is taken down again.
func TestHotPlugTwo(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	dead, l, m := newLAN(t, lease()), newLAN(t, lease()), vmtest.NewMonitor(t)
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Extra: slices.Concat(dead.plug(0), l.plug(1), m.Args())})
	g.wantFirst(nobody)
	m.Do("stop", nil)
	plugIn(m, 0)
	m.Do("set_link", map[string]any{"name": "card0", "up": false})
	m.Do("cont", nil)
	g.run("await 'grep -qsx 0x1003 /sys/class/net/eth0/flags'") // IFF_UP
	plugIn(m, 1)
	g.run("await 'ip -4 addr show dev eth1 2>/dev/null | grep -q 10.9.0.10/24'")
	g.want("state", "lo 127.0.0.1/8\neth1 10.9.0.10/24\ndefault via 10.9.0.1 dev eth1  src 10.9.0.10 \n"+
		"10.9.0.0/24 dev eth1 scope link  src 10.9.0.10 \nnameserver 10.9.0.1\n")
	g.run("await 'grep -qx 0x1002 /sys/class/net/eth0/flags'") // down
	if heard := dead.messages(); len(heard) > 0 {
		t.Errorf("the card without a cable has sent %v", heard)
	}
	g.end(0)
}
