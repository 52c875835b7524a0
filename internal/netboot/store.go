package netboot

import (
	"net"
	"net/netip"
	"time"
)

// LeaseState is what an address is kept for.
type LeaseState uint8

// The states of a lease.
const (
	LeaseActive   LeaseState = iota // the client's until it expires
	LeaseReleased                   // given back; the client's again if it returns in time
	LeaseDeclined                   // somebody else uses the address: nobody's until it expires
)

// Lease is an address that has been given away.
type Lease struct {
	Addr     netip.Addr       `json:"addr"`
	Client   []byte           `json:"client"` // who the client is to the server: see [DHCPConfig].ByClientID
	MAC      net.HardwareAddr `json:"mac,omitempty"`
	UUID     string           `json:"uuid,omitempty"`
	Hostname string           `json:"hostname,omitempty"`
	State    LeaseState       `json:"state,omitempty"`
	Start    time.Time        `json:"start"`
	Expires  time.Time        `json:"expires"`
}

// Holds tells whether the lease keeps its address from other clients.
func (l Lease) Holds(now time.Time) bool {
	return l.State != LeaseReleased && now.Before(l.Expires)
}

// Batch is a set of changes that reach the disk together.
type Batch struct {
	Leases    []Lease // in the order in which they were given
	Nodes     []Status
	DropNodes []net.HardwareAddr // before Nodes are written
}

// Empty tells whether there is nothing to write.
func (b Batch) Empty() bool {
	return len(b.Leases)+len(b.Nodes)+len(b.DropNodes) == 0
}

// Store keeps leases and machines. It must be safe for concurrent use; several
// servers may share one.
type Store interface {
	// Commit writes a batch, all of it or nothing, and returns when it would
	// outlive a crash. A lease is refused, and is not written, where the store
	// has its address in another client's lease that still holds at its Start:
	// another server has been quicker.
	Commit(Batch) (refused []netip.Addr, err error)

	// Leases calls f for each lease, expired ones as well, in order of their
	// addresses, until it returns false.
	Leases(f func(Lease) bool) error

	// Nodes calls f for each machine in order of hardware addresses, until it
	// returns false.
	Nodes(f func(Status) bool) error

	Close() error
}
