//go:build linux

package netboot_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rambox/internal/netboot"
	"rambox/pkg/netcfg"
)

// book is a list of machines by hardware address.
type book map[string]netboot.Node

func (b book) Lookup(c netboot.Client) (netboot.Node, bool) {
	n, ok := b[c.MAC.String()]
	return n, ok
}

func (b book) Reserved(a netip.Addr) bool {
	for _, n := range b {
		if n.Address == a {
			return true
		}
	}
	return false
}

// udhcpcScript shows what busybox's client was given.
const udhcpcScript = `#!/bin/sh
[ "$1" = bound ] && echo "bound $ip/$mask via $router dns $dns domain $domain lease $lease name $hostname boot $siaddr $boot_file"
exit 0
`

// udhcpc gets a lease on a link and returns what the script shows.
func (l *lab) udhcpc(link string, args ...string) (string, error) {
	script := filepath.Join(l.t.TempDir(), "script")
	if err := os.WriteFile(script, []byte(udhcpcScript), 0o777); err != nil {
		return "", err
	}
	out, err := l.run("busybox", append([]string{"udhcpc", "-i", link, "-s", script, "-f", "-n", "-q", "-t", "20", "-T", "1"}, args...)...)
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "bound ") {
			return strings.TrimSpace(line), err
		}
	}
	return out, err
}

// TestUdhcpc shows what busybox's client gets: with an address of a pool, with
// a reserved one, with a boot file, and when it comes back.
func TestUdhcpc(t *testing.T) {
	l := newLab(t, 2)
	c := config(100)
	c.Probe = true
	c.Book = book{"52:54:00:00:00:01": {Hostname: "node1", Address: netip.MustParseAddr("10.9.0.99")}}
	c.Boot = netboot.BootConfig{Programs: map[netboot.Arch]string{netboot.ArchBIOS: "undionly.kpxe"}}
	l.runServer(t, c)
	const common = " via 10.9.0.1 dns 10.9.0.1 domain example.org lease 3600 name "
	for _, test := range []struct {
		link string
		args []string
		want string
	}{
		{"c0", nil, "bound 10.9.1.0/16" + common + " boot  "},
		{"c1", nil, "bound 10.9.0.99/16" + common + "node1 boot  "},
		{"c0", []string{"-r", "10.9.1.50"}, "bound 10.9.1.0/16" + common + " boot  "},
		{"c0", []string{"-V", "PXEClient:Arch:00000:UNDI:002001", "-O", "bootfile"}, "bound 10.9.1.0/16" + common + " boot 10.9.0.1 undionly.kpxe"},
	} {
		got, err := l.udhcpc(test.link, test.args...)
		if err != nil || strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(test.want), " ") {
			t.Errorf("udhcpc -i %s %s: %v\n got %s\nwant %s", test.link, test.args, err, got, test.want)
		}
	}
}

// TestDhclient has ISC's client get a lease, renew it at once by its lease file
// (INIT-REBOOT), and give it back.
func TestDhclient(t *testing.T) {
	l := newLab(t, 1)
	r := l.runServer(t, config(100))
	dir := t.TempDir()
	args := []string{"-4", "-v", "-1", "-sf", "/bin/true", "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "-cf", "/dev/null"}
	out, err := l.run("dhclient", append(args, "c0")...)
	if err != nil || !strings.Contains(out, "bound to 10.9.1.") {
		t.Fatalf("dhclient: %v\n%s", err, out)
	}
	first := r.wait(netboot.EventLeased)
	out, err = l.run("dhclient", append(args, "-x", "c0")...) // ends, and keeps the lease
	if err != nil {
		t.Fatalf("dhclient -x: %v\n%s", err, out)
	}
	out, err = l.run("dhclient", append(args, "c0")...)
	if err != nil || strings.Contains(out, "DHCPDISCOVER") {
		t.Errorf("dhclient, again: %v\n%s", err, out)
	}
	if again := r.wait(netboot.EventLeased); again.Addr != first.Addr {
		t.Errorf("again: %s, at first %s", again.Addr, first.Addr)
	}
	l.clients.IP("addr", "add", first.Addr.String()+"/16", "dev", "c0")
	if out, err := l.run("dhclient", append(args, "-r", "c0")...); err != nil {
		t.Errorf("dhclient -r: %v\n%s", err, out)
	}
	if e := r.wait(netboot.EventReleased); e.Addr != first.Addr {
		t.Errorf("released %s, want %s", e.Addr, first.Addr)
	}
}

// TestNetcfg has our own init's client get a lease, with rapid commit and
// without, renew and release it.
func TestNetcfg(t *testing.T) {
	for _, rapid := range []bool{false, true} {
		t.Run(fmt.Sprintf("rapid %v", rapid), func(t *testing.T) {
			l := newLab(t, 1)
			c := config(100)
			c.RapidCommit = rapid
			r := l.runServer(t, c)
			plan, err := netcfg.Parse(func(name string) []string {
				if name == "ip" {
					return []string{"dhcp"}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			events, commands := make(chan netcfg.Event, 100), make(chan netcfg.Command)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- l.clients.Inside(func() error {
					return netcfg.Run(ctx, plan, netcfg.Options{
						Dir: t.TempDir(), Commands: commands, Notify: func(e netcfg.Event) { events <- e },
						Log: t.Logf,
					})
				})
			}()
			leased := r.wait(netboot.EventLeased)
			for e := range events { // it has heard of it, too
				if e.Kind == netcfg.Configured {
					break
				}
			}
			commands <- netcfg.RenewNow
			if e := r.wait(netboot.EventLeased); e.Addr != leased.Addr {
				t.Errorf("renewed %s, leased %s", e.Addr, leased.Addr)
			}
			commands <- netcfg.ReleaseAll
			if e := r.wait(netboot.EventReleased); e.Addr != leased.Addr {
				t.Errorf("released %s, leased %s", e.Addr, leased.Addr)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTwentyClients has twenty machines ask at once: each gets an address of
// its own, and the same one again after the server has been started anew.
func TestTwentyClients(t *testing.T) {
	const n = 20
	l := newLab(t, n)
	c := config(n)
	c.Subnets[0].Pools[0] = netboot.Range{First: netip.MustParseAddr("10.9.1.1"), Last: netip.MustParseAddr("10.9.1.20")}
	c.Probe = true
	store := filepath.Join(t.TempDir(), "leases.db")
	server := l.serve(c, store)
	first := l.askAll(n)
	wantDifferent(t, first)
	server.ends()
	l.serve(c, store)
	for link, addr := range l.askAll(n) {
		if addr != first[link] {
			t.Errorf("%s: %s after the restart, %s before", link, addr, first[link])
		}
	}
}

// askAll has so many clients ask at once, and returns the addresses by links.
func (l *lab) askAll(n int) map[string]string {
	l.t.Helper()
	got := map[string]string{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		link := fmt.Sprintf("c%d", i)
		all.Go(func() {
			out, err := l.udhcpc(link)
			words := strings.Fields(out)
			if err != nil || len(words) < 2 || words[0] != "bound" {
				l.t.Errorf("udhcpc -i %s: %v\n%s", link, err, out)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			got[link] = words[1]
		})
	}
	all.Wait()
	return got
}

// wantDifferent looks whether two links have one address.
func wantDifferent(t *testing.T, got map[string]string) {
	t.Helper()
	owner := map[string]string{}
	for link, addr := range got {
		if other, ok := owner[addr]; ok {
			t.Errorf("%s: %s and %s", addr, link, other)
		}
		owner[addr] = link
	}
}

// TestTwoServers has two servers with one pool and one store: whichever a
// client takes, no address goes twice.
func TestTwoServers(t *testing.T) {
	const n = 20
	l := newLab(t, n)
	store := &netboot.Memory{}
	c := config(200)
	c.Authoritative = false
	l.runServerOn(t, c, l.server, "s0", store)
	l.runServerOn(t, c, l.other, "o0", store)
	first := l.askAll(n)
	wantDifferent(t, first)
	stored := map[string]string{}
	err := store.Leases(func(s netboot.Lease) bool { stored[s.Addr.String()+"/16"] = s.MAC.String(); return true })
	if err != nil {
		t.Fatal(err)
	}
	for link, addr := range first {
		var i int
		fmt.Sscanf(link, "c%d", &i)
		if want := fmt.Sprintf("52:54:00:00:00:%02x", i); stored[addr] != want {
			t.Errorf("%s has %s, which is stored for %s", link, addr, stored[addr])
		}
	}
}

// TestConflict has a machine with a fixed address in the pool: it is not
// offered, and told of.
func TestConflict(t *testing.T) {
	l := newLab(t, 1)
	l.other.IP("addr", "add", "10.9.1.1/16", "dev", "o0")
	c := config(100)
	c.Subnets[0].Pools[0].First = netip.MustParseAddr("10.9.1.1")
	c.Probe = true
	r := l.runServer(t, c)
	out, err := l.udhcpc("c0")
	if err != nil || !strings.HasPrefix(out, "bound 10.9.1.2/") {
		t.Errorf("udhcpc: %v: %s", err, out)
	}
	if e := r.wait(netboot.EventConflict); e.Addr.String() != "10.9.1.1" || !strings.HasPrefix(e.Text, "in use by ") {
		t.Errorf("event %+v", e)
	}
}

// TestOtherServer has another server on the link: it is told of, once.
func TestOtherServer(t *testing.T) {
	l := newLab(t, 1)
	l.dnsmasq(l.other, "o0", "--dhcp-range=10.9.3.0,10.9.3.99,255.255.0.0,1h")
	r := l.runServer(t, config(100))
	if e := r.wait(netboot.EventOtherServer); e.Addr.String() != "10.9.0.3" || e.Link != "s0" {
		t.Errorf("event %+v", e)
	}
}
