//go:build linux

package netboot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rambox/internal/netboot"
)

// TestLinkDown takes the server's link down and up again: it goes on answering.
func TestLinkDown(t *testing.T) {
	l := newLab(t, 2)
	l.runServer(t, config(100))
	if out, err := l.udhcpc("c0"); err != nil {
		t.Fatalf("udhcpc: %v: %s", err, out)
	}
	l.server.IP("link", "set", "s0", "down")
	l.server.IP("link", "set", "s0", "up")
	if out, err := l.udhcpc("c1"); err != nil || !strings.HasPrefix(out, "bound ") {
		t.Errorf("udhcpc after the link was down: %v: %s", err, out)
	}
}

// TestDiskFull has no room for the leases: the server acknowledges none, says
// why, and goes on when there is room again.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	store, err := netboot.OpenBolt(filepath.Join(dir, "leases.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	l := newLab(t, 2)
	r := l.runServerOn(t, config(1000), l.server, "s0", store)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o666); err == nil {
		t.Fatal("the disk is not full")
	}
	// A few leases fit the pages that the file has already.
	o := l.newLoad()
	for range window {
		o.begin()
	}
	full := make(chan netboot.Event, 1)
	go func() { full <- r.wait(netboot.EventStore) }()
	o.until(full)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if out, err := l.udhcpc("c1"); err != nil || !strings.HasPrefix(out, "bound ") {
		t.Errorf("udhcpc when there is room again: %v: %s", err, out)
	}
	stored := map[string]bool{}
	err = store.Leases(func(l netboot.Lease) bool { stored[l.Addr.String()] = true; return true })
	if err != nil {
		t.Fatal(err)
	}
	for a := range o.leases {
		if !stored[a.String()] {
			t.Errorf("%s was acknowledged, and is not stored", a)
		}
	}
}

// TestListen shows what users are told when the server cannot start.
func TestListen(t *testing.T) {
	l := newLab(t, 1)
	l.server.IP("link", "add", "bare", "type", "veth", "peer", "name", "bare2")
	l.dnsmasq(l.server, "s0", "--dhcp-range=10.9.3.7,10.9.3.9,255.255.0.0,1h")
	if out, err := l.udhcpc("c0"); err != nil {
		t.Fatalf("dnsmasq: %v: %s", err, out)
	}
	for _, test := range []struct {
		links []string
		want  string
	}{
		{nil, "dhcp: no interface to answer on"},
		{[]string{"none"}, "interface none: route ip+net: no such network interface"},
		{[]string{"bare"}, "interface bare: has no IPv4 address, from which to answer: give it one"},
		{[]string{"s0"}, "port 67 on s0: another server of this machine has it: stop that one"},
	} {
		err := l.server.Inside(func() error {
			_, err := netboot.ListenDHCP(netboot.DHCPOptions{Config: config(10), Interfaces: test.links, Store: &netboot.Memory{}})
			return err
		})
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("interfaces %v: %v, want %s", test.links, err, test.want)
		}
	}
}
