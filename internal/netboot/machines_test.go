package netboot

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestMachines follows a machine through two boots: what is known of it, and
// when that is to be stored.
func TestMachines(t *testing.T) {
	store := &Memory{}
	m, err := LoadMachines(store)
	if err != nil {
		t.Fatal(err)
	}
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	firmware := Client{MAC: mac, PXE: true, Arch: ArchEFI64, UUID: "00112233-4455-6677-8899-aabbccddeeff"}
	system := Client{MAC: mac}
	addr := netip.MustParseAddr("10.9.0.10")
	now := testStart
	for _, step := range []struct {
		name   string
		do     func() Batch
		state  State
		stored bool
	}{
		{"firmware asks", func() Batch { m.Seen(now, firmware); return Batch{} }, Seen, false},
		{"it has an address", func() Batch { return m.Leased(now, firmware, "node1", addr) }, Leased, true},
		{"the system asks", func() Batch { m.Seen(now, system); return Batch{} }, Leased, false},
		{"it has the address", func() Batch { return m.Leased(now, system, "", addr) }, Leased, false},
		{"it reports", func() Batch { return m.Set(now, system, Booted, []byte("{}")) }, Booted, true},
		{"it renews", func() Batch { return m.Leased(now, system, "", addr) }, Booted, false},
		{"it crashes", func() Batch { return m.Set(now, system, Crashed, nil) }, Crashed, true},
		{"firmware asks again", func() Batch { m.Seen(now, firmware); return Batch{} }, Seen, false},
		{"nobody", func() Batch { return m.Leased(now, Client{}, "", addr) }, Seen, false},
	} {
		now = now.Add(time.Second)
		b := step.do()
		if got, ok := m.Lookup(mac); !ok || got.State != step.state || b.Empty() == step.stored {
			t.Errorf("%s: %+v, stored %+v; want %s, %v", step.name, got, b, step.state, step.stored)
		}
		if _, err := store.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	again, err := LoadMachines(store)
	if err != nil {
		t.Fatal(err)
	}
	want := Status{
		MAC: mac, UUID: firmware.UUID, Arch: ArchEFI64, Hostname: "node1", Addr: addr, State: Crashed,
		Since: testStart.Add(7 * time.Second), Last: testStart.Add(7 * time.Second), Timings: []byte("{}"),
	}
	got, _ := again.Lookup(mac)
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
}

// TestMachinesBound invents hardware addresses.
func TestMachinesBound(t *testing.T) {
	m, err := LoadMachines(&Memory{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxMachines + 1000 {
		m.Seen(testStart, Client{MAC: binary.BigEndian.AppendUint32(net.HardwareAddr{2, 0}, uint32(i))})
	}
	n := 0
	m.All(func(Status) bool { n++; return true })
	if n != maxMachines {
		t.Errorf("%d machines, want %d", n, maxMachines)
	}
	// What was forgotten leaves the store with the next change.
	last := binary.BigEndian.AppendUint32(net.HardwareAddr{2, 0}, maxMachines+999)
	if b := m.Set(testStart, Client{MAC: last}, Booted, nil); len(b.DropNodes) != 1000 || len(b.Nodes) != 1 {
		t.Errorf("%d machines leave the store, %d are written, want 1000 and 1", len(b.DropNodes), len(b.Nodes))
	}
	if b := m.Set(testStart, Client{MAC: last}, Running, nil); len(b.DropNodes) != 0 {
		t.Errorf("%d machines leave the store again", len(b.DropNodes))
	}
}

// TestMachinesAt has an address go from one machine to another.
func TestMachinesAt(t *testing.T) {
	store := &Memory{}
	m, err := LoadMachines(store)
	if err != nil {
		t.Fatal(err)
	}
	a, b := Client{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}, Client{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}
	first, second := netip.MustParseAddr("10.9.0.10"), netip.MustParseAddr("10.9.0.11")
	for i, step := range []struct {
		who  Client
		addr netip.Addr
		at   map[netip.Addr]string // by the last byte of the hardware address
	}{
		{a, first, map[netip.Addr]string{first: "01", second: ""}},
		{b, first, map[netip.Addr]string{first: "02"}},
		{a, second, map[netip.Addr]string{first: "02", second: "01"}},
		{b, second, map[netip.Addr]string{first: "", second: "02"}},
	} {
		if _, err := store.Commit(m.Leased(testStart.Add(time.Duration(i)*time.Second), step.who, "", step.addr)); err != nil {
			t.Fatal(err)
		}
		for addr, want := range step.at {
			if s, ok := m.At(addr); ok != (want != "") || ok && s.MAC.String()[15:] != want {
				t.Errorf("step %d: %s is %s's, want ‥:%s", i, addr, s.MAC, want)
			}
		}
	}
	if _, ok := m.At(netip.Addr{}); ok {
		t.Error("somebody has no address")
	}
	again, err := LoadMachines(store)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := again.At(second); !ok || s.MAC.String() != b.MAC.String() {
		t.Errorf("after a start %s is %s's, want %s's", second, s.MAC, b.MAC)
	}
}

// FuzzFrame reads any frames, as links carry them.
func FuzzFrame(f *testing.F) {
	hw := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	from, to := netip.MustParseAddrPort("10.9.0.3:67"), netip.MustParseAddrPort("255.255.255.255:68")
	answer := probeDiscover(hw, 1)
	answer[0] = opReply
	answer = append(answer[:headerLen], optType, 1, 2, optServerID, 4, 10, 9, 0, 3, optEnd)
	f.Add(udpFrame(hw, etherBroadcast(), from, to, answer))
	f.Add(udpFrame(hw, etherBroadcast(), from, to, answer[:headerLen]))
	f.Add(arpRequest(hw, from.Addr(), from.Addr()))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if a, ok := otherServer(frame); ok && !a.IsValid() {
			t.Error("a server without an address")
		}
		if _, hw, ok := arpSender(frame); ok && len(hw) != 6 {
			t.Errorf("hardware address %s", hw)
		}
	})
}

// TestFrame reads back what is written.
func TestFrame(t *testing.T) {
	hw := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	from, to := netip.MustParseAddrPort("10.9.0.3:67"), netip.MustParseAddrPort("10.9.0.7:68")
	b := newBench(t, nil)
	a := b.answer("discover 01")
	frame := udpFrame(hw, a.To.HW, from, to, a.Packet)
	if id, ok := otherServer(frame); !ok || id != testServer {
		t.Errorf("server %s, %v", id, ok)
	}
	if s := sum16(0, frame[etherLen:etherLen+ipLen]); s != 0xffff {
		t.Errorf("IP checksum: %#x", s)
	}
	udp := frame[etherLen+ipLen:]
	if s := sum16(uint32(sum16(uint32(protocolUDP+len(udp)), frame[etherLen+12:etherLen+20])), udp); s != 0xffff {
		t.Errorf("UDP checksum: %#x", s)
	}
	sender, who, ok := arpSender(arpRequest(hw, from.Addr(), to.Addr()))
	if !ok || sender != from.Addr() || who.String() != hw.String() {
		t.Errorf("ARP: %s has %s, %v", who, sender, ok)
	}
}

// TestKnown has machines whose firmware has no UUID, and an address that has
// gone from one machine to another.
func TestKnown(t *testing.T) {
	const uuid = "44454c4c-3000-1031-8036-b4c04f4d3232"
	a, b := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	addr := netip.MustParseAddr("192.0.2.7")
	m, err := LoadMachines(&Memory{})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1e9, 0)
	m.Leased(start, Client{MAC: a, UUID: "00000000-0000-0000-0000-000000000000"}, "first", addr)
	m.Leased(start.Add(time.Hour), Client{MAC: b, UUID: uuid}, "second", addr)
	for _, tc := range []struct {
		name string
		who  Client
		want string // its host name
	}{
		{"by MAC", Client{MAC: a}, "first"},
		{"by UUID", Client{UUID: uuid}, "second"},
		{"by an address, the last to have had it", Client{IP: addr}, "second"},
		{"a UUID of zeros is nobody's", Client{UUID: "00000000-0000-0000-0000-000000000000"}, ""},
		{"a UUID of ones is nobody's", Client{UUID: "FFFFFFFF-ffff-ffff-ffff-ffffffffffff"}, ""},
		{"another MAC", Client{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 3}, UUID: uuid}, ""},
		{"nothing said", Client{}, ""},
	} {
		if got := m.Known(tc.who).Hostname; got != tc.want {
			t.Errorf("%s: Known(%+v) is %q, want %q", tc.name, tc.who, got, tc.want)
		}
	}
}
