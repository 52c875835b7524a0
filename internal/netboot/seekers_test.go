package netboot

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"
	"time"
)

// ipxeSolicits is a router solicitation of Debian's iPXE in QEMU's ROM.
const ipxeSolicits = "333300000002525400123456" + "86dd" + "6000000000103aff" + "fe80000000000000505400fffe123456" + "ff020000000000000000000000000002" +
	"85004f4b00000000" + "0101525400123456"

func TestSeekers(t *testing.T) {
	machine, other := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}, net.HardwareAddr{0x52, 0x54, 0, 0, 0, 2}
	ipxe := Client{MAC: machine, PXE: true, IPXE: true}
	now := testStart
	for _, tc := range []struct {
		name string
		seen []Client
		asks int
		wait time.Duration // before the last
		hw   net.HardwareAddr
		want bool
	}{
		{"a router may still answer", []Client{ipxe}, 2, 0, machine, false},
		{"the third time", []Client{ipxe}, 3, 0, machine, true},
		{"and after", []Client{ipxe, ipxe}, 6, 0, machine, true},
		{"too late to be iPXE", []Client{ipxe}, 3, seekerTime + time.Second, machine, false},
		{"a system, not iPXE", []Client{{MAC: machine}}, 5, 0, machine, false},
		{"a system, after iPXE", []Client{ipxe, {MAC: machine}}, 5, 0, machine, false},
		{"firmware, not iPXE", []Client{{MAC: machine, PXE: true}}, 5, 0, machine, false},
		{"nobody who was seen", []Client{ipxe}, 5, 0, other, false},
		{"hardware without an address", []Client{{IPXE: true}}, 5, 0, nil, false},
	} {
		var s seekers
		for _, c := range tc.seen {
			s.seen(now, c)
		}
		got := false
		for i := range tc.asks {
			at := now
			if i == tc.asks-1 {
				at = now.Add(tc.wait)
			}
			got = s.ask(at, tc.hw)
		}
		if got != tc.want {
			t.Errorf("%s: answers %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestSeekersBounded(t *testing.T) {
	var s seekers
	for i := range 3 * maxSeekers {
		s.seen(testStart, Client{MAC: net.HardwareAddr{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}, IPXE: true})
	}
	if len(s.byMAC) > maxSeekers {
		t.Errorf("%d machines are kept, want at most %d", len(s.byMAC), maxSeekers)
	}
}

func TestSolicitor(t *testing.T) {
	frame, err := hex.DecodeString(ipxeSolicits)
	if err != nil {
		t.Fatal(err)
	}
	hw, from, ok := solicitor(frame)
	if !ok || hw.String() != "52:54:00:12:34:56" || from != netip.MustParseAddr("fe80::5054:ff:fe12:3456") {
		t.Errorf("solicitor = %s, %s, %v", hw, from, ok)
	}
	for name, change := range map[string]func(b []byte) []byte{
		"cut short":       func(b []byte) []byte { return b[:etherLen+ip6Len+7] },
		"from afar":       func(b []byte) []byte { b[etherLen+7] = 64; return b },
		"another message": func(b []byte) []byte { b[etherLen+ip6Len] = advertisement; return b },
		"IPv4":            func(b []byte) []byte { b[12], b[13] = 8, 0; return b },
		"no address":      func(b []byte) []byte { clear(b[etherLen+8 : etherLen+24]); return b },
		"a global one":    func(b []byte) []byte { b[etherLen+8] = 0x20; return b },
	} {
		if hw, from, ok := solicitor(change(bytes.Clone(frame))); ok {
			t.Errorf("%s: taken for a solicitation of %s, %s", name, hw, from)
		}
	}
}

func TestEmptyAdvert(t *testing.T) {
	got := emptyAdvert(net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56},
		netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::5054:ff:fe12:3456"))
	// No lifetime, no flags, no options: nothing to use, and nothing to ask.
	want := "525400123456020000000001" + "86dd" + "6000000000103aff" + "fe800000000000000000000000000001" + "fe80000000000000505400fffe123456" +
		"8600" + hex.EncodeToString(got[etherLen+ip6Len+2:][:2]) + "000000000000000000000000"
	if hex.EncodeToString(got) != want {
		t.Errorf("emptyAdvert = %x, want %s", got, want)
	}
	// RFC 1071: with its checksum in it, the sum is all ones.
	if s := sum16(advertLen+protocolICMP6, got[etherLen+8:]); s != 0xffff {
		t.Errorf("the checksum makes %#x, want 0xffff", s)
	}
}

func FuzzSolicitor(f *testing.F) {
	frame, err := hex.DecodeString(ipxeSolicits)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if hw, from, ok := solicitor(frame); ok && (len(hw) != 6 || !from.IsLinkLocalUnicast()) {
			t.Errorf("solicitor(%x) = %s, %s", frame, hw, from)
		}
	})
}
