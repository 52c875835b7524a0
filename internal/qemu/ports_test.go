//go:build linux

package qemu

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// userNetwork forwards from ports of this host.
func userNetwork(t *testing.T, forwards ...string) *Network {
	t.Helper()
	n := &Network{Kind: "user"}
	for _, s := range forwards {
		f, err := ParseForward(s)
		if err != nil {
			t.Fatal(err)
		}
		n.Forwards = append(n.Forwards, f)
	}
	return n
}

// TestHoldPorts listens beside what is held, as QEMU does.
func TestHoldPorts(t *testing.T) {
	n := userNetwork(t, "0:80", "0:81", "udp:0:53")
	release, err := n.HoldPorts()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	seen := map[uint16]bool{}
	for _, f := range n.Forwards[:2] {
		if err := f.check(); err != nil || seen[f.Host.Port()] {
			t.Errorf("forward %s: %v; ports before it: %v", f, err, seen)
		}
		seen[f.Host.Port()] = true
		l, err := net.Listen("tcp4", f.Host.String())
		if err != nil {
			t.Fatalf("listen at a port that is held: %v", err)
		}
		defer l.Close()
	}
	c, err := net.ListenPacket("udp4", n.Forwards[2].Host.String())
	if err != nil {
		t.Fatalf("listen at the UDP port: %v", err)
	}
	c.Close()
}

func TestHoldPortsRefused(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	taken := netip.MustParseAddrPort(l.Addr().String())
	takenUDP := netip.MustParseAddrPort(c.LocalAddr().String())
	for _, tc := range []struct {
		forward string
		want    error
	}{
		{taken.String() + ":80", unix.EADDRINUSE},
		{"0.0.0.0:" + strings.TrimPrefix(taken.String(), "127.0.0.1:") + ":80", unix.EADDRINUSE},
		{"udp:" + takenUDP.String() + ":53", unix.EADDRINUSE},
		{"192.0.2.1:0:80", unix.EADDRNOTAVAIL}, // TEST-NET-1, RFC 5737
	} {
		if _, err := userNetwork(t, "0:1", tc.forward).HoldPorts(); !errors.Is(err, tc.want) {
			t.Errorf("HoldPorts of %s: %v, want %v", tc.forward, err, tc.want)
		}
	}
}
