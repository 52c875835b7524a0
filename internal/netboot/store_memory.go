package netboot

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"sync"
)

// Memory is a [Store] that ends with the process: for a server that need not
// remember, and for what runs on a read-only disk. The zero value is empty.
type Memory struct {
	mu     sync.Mutex
	leases map[netip.Addr]Lease
	nodes  map[string]Status
}

// Commit is of [Store].
func (m *Memory) Commit(b Batch) (refused []netip.Addr, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leases == nil {
		m.leases, m.nodes = map[netip.Addr]Lease{}, map[string]Status{}
	}
	for _, mac := range b.DropNodes {
		delete(m.nodes, string(mac))
	}
	for _, l := range b.Leases {
		if old, ok := m.leases[l.Addr]; ok && old.bars(l) {
			refused = append(refused, l.Addr)
			continue
		}
		m.leases[l.Addr] = l
	}
	for _, s := range b.Nodes {
		m.nodes[string(s.MAC)] = s
	}
	return refused, nil
}

// bars tells whether a stored lease forbids another one of its address.
func (l Lease) bars(other Lease) bool {
	return l.Holds(other.Start) && !bytes.Equal(l.Client, other.Client)
}

// Leases is of [Store].
func (m *Memory) Leases(f func(Lease) bool) error {
	m.mu.Lock()
	all := slices.SortedFunc(maps.Values(m.leases), func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	m.mu.Unlock()
	for _, l := range all {
		if !f(l) {
			break
		}
	}
	return nil
}

// Nodes is of [Store].
func (m *Memory) Nodes(f func(Status) bool) error {
	m.mu.Lock()
	all := slices.SortedFunc(maps.Values(m.nodes), func(a, b Status) int { return bytes.Compare(a.MAC, b.MAC) })
	m.mu.Unlock()
	for _, s := range all {
		if !f(s) {
			break
		}
	}
	return nil
}

// Close is of [Store].
func (m *Memory) Close() error { return nil }
