package netboot

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Machines is what the server knows of each machine that it has heard of. It is
// safe for concurrent use.
type Machines struct {
	mu     sync.Mutex
	byMAC  map[string]*Status
	byAddr map[netip.Addr]*Status // who has got an address last
	gone   []net.HardwareAddr     // that the store may still have
}

// maxMachines bounds Machines, whatever hardware addresses somebody invents:
// one that has not been heard of for long gives way.
const maxMachines = 1 << 17

// LoadMachines returns the machines of a store.
func LoadMachines(store Store) (*Machines, error) {
	m := &Machines{byMAC: map[string]*Status{}, byAddr: map[netip.Addr]*Status{}}
	err := store.Nodes(func(s Status) bool {
		m.byMAC[string(s.MAC)] = &s
		if other := m.byAddr[s.Addr]; s.Addr.IsValid() && (other == nil || other.Last.Before(s.Last)) {
			m.byAddr[s.Addr] = &s
		}
		return len(m.byMAC) < maxMachines
	})
	return m, err
}

// All calls f for each machine, in no order, until it returns false.
func (m *Machines) All(f func(Status) bool) {
	m.mu.Lock()
	all := make([]Status, 0, len(m.byMAC))
	for _, s := range m.byMAC {
		all = append(all, *s)
	}
	m.mu.Unlock()
	for _, s := range all {
		if !f(s) {
			return
		}
	}
}

// Lookup returns a machine by its hardware address.
func (m *Machines) Lookup(mac []byte) (Status, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.byMAC[string(mac)]; ok {
		return *s, true
	}
	return Status{}, false
}

// Seen notes that a machine asks for something. Firmware that asks begins a new
// boot; a system that asks is still in the one it is in. Nothing of this needs
// to be stored.
func (m *Machines) Seen(now time.Time, c Client) {
	if c.MAC == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.machine(now, c)
	if c.PXE || c.HTTPBoot {
		s.Arch = c.Arch
		if s.State != Seen {
			s.State, s.Since = Seen, now
		}
	}
}

// Leased notes a machine's address, and returns what is to be stored: nothing
// if the machine renews its lease.
func (m *Machines) Leased(now time.Time, c Client, hostname string, a netip.Addr) Batch {
	if c.MAC == nil {
		return Batch{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.machine(now, c)
	old := *s
	m.move(s, a)
	if hostname != "" {
		s.Hostname = hostname
	}
	if s.State == Seen {
		s.State, s.Since = Leased, now
	}
	if s.Addr == old.Addr && s.State == old.State && s.Hostname == old.Hostname && s.UUID == old.UUID {
		return Batch{}
	}
	return m.batch(s)
}

// move notes a machine's new address.
func (m *Machines) move(s *Status, a netip.Addr) {
	if m.byAddr[s.Addr] == s {
		delete(m.byAddr, s.Addr)
	}
	s.Addr = a
	if a.IsValid() {
		m.byAddr[a] = s
	}
}

// batch is what is to be stored of a machine, and of those that were forgotten.
func (m *Machines) batch(s *Status) Batch {
	b := Batch{Nodes: []Status{*s}, DropNodes: m.gone}
	m.gone = nil
	return b
}

// Set notes what a machine does, with the timings of its boot if it has
// reported any, and returns what is to be stored.
func (m *Machines) Set(now time.Time, c Client, state State, timings []byte) Batch {
	if c.MAC == nil {
		return Batch{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.machine(now, c)
	s.State, s.Since = state, now
	if timings != nil {
		s.Timings = timings
	}
	return m.batch(s)
}

// machine finds a client's entry or makes one.
func (m *Machines) machine(now time.Time, c Client) *Status {
	s := m.byMAC[string(c.MAC)]
	if s == nil {
		if len(m.byMAC) >= maxMachines {
			m.evict()
		}
		s = &Status{MAC: c.MAC, Since: now}
		m.byMAC[string(c.MAC)] = s
	}
	s.Last = now
	if c.UUID != "" {
		s.UUID = c.UUID
	}
	return s
}

// evict forgets the one of a few machines that was heard of longest ago.
func (m *Machines) evict() {
	var oldest *Status
	looked := 0
	for _, s := range m.byMAC {
		if oldest == nil || s.Last.Before(oldest.Last) {
			oldest = s
		}
		if looked++; looked == 16 {
			break
		}
	}
	m.move(oldest, netip.Addr{})
	delete(m.byMAC, string(oldest.MAC))
	if len(m.gone) < maxMachines {
		m.gone = append(m.gone, oldest.MAC)
	}
}

// withUUID returns the machine that has a UUID: most likely the one that asks, from
// the address at.
func (m *Machines) withUUID(uuid string, at netip.Addr) (Status, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.byAddr[at]; s != nil && (Client{UUID: s.UUID}).HasUUID(uuid) {
		return *s, true
	}
	for _, s := range m.byMAC {
		if (Client{UUID: s.UUID}).HasUUID(uuid) {
			return *s, true
		}
	}
	return Status{}, false
}

// At returns the machine that has an address: the one that has got it last.
func (m *Machines) At(a netip.Addr) (Status, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.byAddr[a]; s != nil {
		return *s, true
	}
	return Status{}, false
}
