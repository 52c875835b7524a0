//go:build linux

package network

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"rambox/internal/vmtest"
)

// leased waits in the guest until its first card has lan's lease.
const leased = "await 'ip -4 addr show dev eth0 | grep -q 10.9.0.10/24'"

// TestLateServer answers the first DISCOVER after 8 s: with ip= the handoff
// waits for that, and goes on at once.
func TestLateServer(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	l := newLAN(t, silence)
	var first sync.Once
	l.serve(func(asked message) *dhcpv4.DHCPv4 {
		first.Do(func() {
			time.AfterFunc(8*time.Second, func() {
				l.serve(lease())
				l.reply(asked, lease()(asked))
			})
		})
		return nil
	})
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Append: "ip=dhcp", Extra: l.card(0)})
	g.wantFirst(lanLease)
	g.wantStart(8, 20)
	if after := g.began() - g.stamp("rambox: eth0: dhcp 10.9.0.10/24"); after > 3 {
		t.Errorf("the payload began %.2f s after the lease", after)
	}
	g.end(0)
}

// TestSilentServer never answers: without ip= the handoff waits 10 s for it,
// and the work goes on after that.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	l := newLAN(t, silence)
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Extra: l.card(0)})
	g.wantFirst(nobody)
	g.wantStart(9, 20)
	g.wantLog("rambox: network: eth0: no DHCP offer after ", " tries; going on without it")
	l.serve(lease())
	g.run(leased)
	g.want("state", lanLease)
	g.end(0)
}

// TestBackground: the payload does not wait for the network. A server that
// falls silent later does no harm, and renew_ip says so.
func TestBackground(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	l := newLAN(t, silence)
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Append: "rambox.net=background", Extra: l.card(0)})
	g.wantFirst(nobody)
	g.wantStart(0, 9)
	l.serve(lease())
	g.run(leased)
	g.want("state", lanLease)
	l.serve(silence)
	out, status := g.try("renew_ip")
	if want := "renew_ip: no DHCP server has answered on eth0 within 10s; the lease runs on\n"; status != 1 || out != want {
		t.Errorf("renew_ip with a silent server: status %d, %q", status, out)
	}
	g.want("state", lanLease)
	g.end(0)
}

// TestNoCarrier boots with the cable pulled, and puts it in later.
func TestNoCarrier(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	for _, tc := range []struct {
		name, line  string
		least, most float64 // seconds until the payload begins
		level       string  // of what the log says of it
	}{
		{"no ip=", "", 0, 9, "<14>"},
		{"ip=dhcp", "ip=dhcp rambox.net.timeout=20 rd.net.timeout.carrier=2", 2, 12, "<12>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l, m := newLAN(t, lease()), vmtest.NewMonitor(t)
			g := guest{vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)),
				Append: tc.line + payload, Extra: slices.Concat(l.card(0), m.Args(), []string{"-S"})}), t}
			m.Do("set_link", map[string]any{"name": "card0", "up": false})
			m.Do("cont", nil)
			g.ready()
			g.wantFirst(nobody)
			g.wantStart(tc.least, tc.most)
			line := g.run("dmesg -r | grep 'rambox: network'")
			if !strings.HasPrefix(line, tc.level) || !strings.HasSuffix(line, "] rambox: network: no carrier on eth0; going on without it\n") {
				t.Errorf("the log has %q", line)
			}
			m.Do("set_link", map[string]any{"name": "card0", "up": true})
			g.run(leased)
			g.want("state", lanLease)
			g.end(0)
		})
	}
}

// TestNeeded: rd.neednet=1 makes a boot without a lease one that has failed.
func TestNeeded(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	l := newLAN(t, silence)
	g := guest{vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Extra: l.card(0),
		Append: "rd.neednet=1 rambox.net.timeout=3 rambox.rescue=poweroff rambox.payload=/app"}), t}
	console := strings.ReplaceAll(g.End(), "\r", "")
	vmtest.Contains(t, console, "rambox: boot failed: network: eth0: no DHCP offer after ",
		"--- rambox: this machine did not boot ---\n\nWhat failed\n  network: eth0: no DHCP offer after ",
		"rd.neednet", "Network links\n  eth0\n  lo\n", "reboot: Power down")
	vmtest.Lacks(t, console, "--ready--")
	if took := g.stampIn(console, "rambox: boot failed") - g.stampIn(console, "Run /init as init"); took < 3 || took > 12 {
		t.Errorf("the boot has failed after %.2f s, want 3", took)
	}
}

// TestNeededLater: when the network comes while a person is in the rescue
// shell, the next attempt finds it.
func TestNeededLater(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	l := newLAN(t, silence)
	g := guest{vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Extra: l.card(0), Limit: 30 * time.Second,
		Append: "rd.neednet=1 rambox.net.timeout=1 rambox.rescue=shell" + payload}), t}
	g.Expect("network: eth0: no DHCP offer after ")
	g.Expect("A shell follows")
	g.Expect("# ")
	l.serve(lease())
	g.Send("until ip -4 addr show dev eth0 | grep -q 10.9.0.10/24; do usleep 100000; done; echo le''ased; exit\n")
	g.Expect("leased")
	g.ready()
	g.wantFirst(lanLease)
	g.end(0)
}
