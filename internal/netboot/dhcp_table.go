package netboot

import (
	"container/heap"
	"net/netip"
	"time"
)

// binding is an address that a client has, has had or has been offered.
type binding struct {
	Lease
	key     string
	offered bool // not leased: the offer ends at Expires
	kept    bool // the store has a lease of it
	probed  bool // it has been asked whether somebody else is there
	foreign bool // another server of the store has leased it, to whom is not known
	index   int  // in expiring; -1: it is not there
}

// table is who has which address. All of it is in memory; the store has what
// was acknowledged. Its size is that of the pools and reservations.
type table struct {
	subnets []*subnet
	byAddr  map[netip.Addr]*binding
	byKey   map[string]*binding // a client's latest
}

// subnet is a configured one with its pools.
type subnet struct {
	Subnet
	pools    []pool
	expiring expiring       // of the pools' addresses
	fixed    []CustomOption // what each of its clients is told
}

// pool finds free addresses of a range.
type pool struct {
	first  uint32
	size   int
	used   []uint64 // a bit for each address that has a binding
	left   int      // addresses without
	cursor int      // the next is looked for from here: what was free longest goes first
}

func newTable(subnets []Subnet) *table {
	t := &table{byAddr: map[netip.Addr]*binding{}, byKey: map[string]*binding{}}
	for _, s := range subnets {
		n := &subnet{Subnet: s, fixed: s.fixedOptions()}
		for _, r := range s.Pools {
			p := pool{first: number(r.First), size: r.size(), left: r.size()}
			p.used = make([]uint64, (p.size+63)/64)
			n.pools = append(n.pools, p)
		}
		t.subnets = append(t.subnets, n)
	}
	return t
}

// contains returns the subnet of an address, nil if there is none.
func (t *table) contains(a netip.Addr) *subnet {
	for _, s := range t.subnets {
		if a.IsValid() && s.Prefix.Contains(a) {
			return s
		}
	}
	return nil
}

// place takes in a binding. One outside of all subnets is forgotten.
func (t *table) place(b *binding) {
	s := t.contains(b.Addr)
	if s == nil {
		return
	}
	t.byAddr[b.Addr] = b
	if b.State != LeaseDeclined {
		if other := t.byKey[b.key]; other == nil || !b.Expires.Before(other.Expires) {
			t.byKey[b.key] = b
		}
	}
	s.mark(b.Addr, true)
	s.queue(b)
}

// queue has a pool give away the address of a binding again, when that has
// expired.
func (s *subnet) queue(b *binding) {
	if s.inPool(b.Addr) {
		heap.Push(&s.expiring, b)
	}
}

// remove forgets a binding.
func (t *table) remove(b *binding) {
	if t.byKey[b.key] == b {
		delete(t.byKey, b.key)
	}
	delete(t.byAddr, b.Addr)
	if s := t.contains(b.Addr); s != nil {
		s.mark(b.Addr, false)
		if b.index >= 0 {
			heap.Remove(&s.expiring, b.index)
		}
	}
}

// expire changes when a binding ends.
func (t *table) expire(b *binding, at time.Time) {
	b.Expires = at
	s := t.contains(b.Addr)
	switch {
	case s == nil:
	case b.index < 0:
		s.queue(b)
	default:
		heap.Fix(&s.expiring, b.index)
	}
}

// inPool tells whether a subnet gives an address out by itself.
func (s *subnet) inPool(a netip.Addr) bool {
	n := number(a)
	for i := range s.pools {
		if p := &s.pools[i]; n >= p.first && n-p.first < uint32(p.size) {
			return true
		}
	}
	return false
}

func (s *subnet) mark(a netip.Addr, used bool) {
	n := number(a)
	for i := range s.pools {
		p := &s.pools[i]
		if n < p.first || n-p.first >= uint32(p.size) {
			continue
		}
		word, bit := &p.used[(n-p.first)/64], uint64(1)<<((n-p.first)%64)
		switch {
		case used && *word&bit == 0:
			*word |= bit
			p.left--
		case !used && *word&bit != 0:
			*word &^= bit
			p.left++
		}
	}
}

// network tells whether an address is the network's own or its broadcast
// address, which pools may have in them and no client can use.
func (s *subnet) network(a netip.Addr) bool {
	if s.Prefix.Bits() > 30 {
		return false
	}
	host := uint32(1)<<(32-s.Prefix.Bits()) - 1
	n := number(a) & host
	return n == 0 || n == host
}

// free returns an address of the pools that nobody has had, that is not
// skipped; or else takes the one whose binding expired first.
func (t *table) free(s *subnet, now time.Time, skip func(netip.Addr) bool) (netip.Addr, bool) {
	for i := range s.pools {
		if a, ok := s.pools[i].next(skip); ok {
			return a, true
		}
	}
	for len(s.expiring) > 0 {
		b := s.expiring[0]
		if now.Before(b.Expires) {
			break
		}
		if !skip(b.Addr) {
			return b.Addr, true
		}
		// Reserved, for as long as the configuration is what it is.
		heap.Pop(&s.expiring)
	}
	return netip.Addr{}, false
}

// next finds a free address from the cursor on.
func (p *pool) next(skip func(netip.Addr) bool) (netip.Addr, bool) {
	for step := 0; step < p.size && p.left > 0; {
		bit := (p.cursor + step) % p.size
		if bit%64 == 0 && p.used[bit/64] == ^uint64(0) {
			step += 64
			continue
		}
		if p.used[bit/64]&(1<<(bit%64)) == 0 {
			if a := address(p.first + uint32(bit)); !skip(a) {
				p.cursor = (bit + 1) % p.size
				return a, true
			}
		}
		step++
	}
	return netip.Addr{}, false
}

// expiring is a heap of bindings, the first to end at the top.
type expiring []*binding

func (e expiring) Len() int           { return len(e) }
func (e expiring) Less(i, j int) bool { return e[i].Expires.Before(e[j].Expires) }
func (e expiring) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].index, e[j].index = i, j
}

// Push and Pop are of [heap.Interface].
func (e *expiring) Push(x any) {
	b := x.(*binding)
	b.index = len(*e)
	*e = append(*e, b)
}

func (e *expiring) Pop() any {
	old := *e
	b := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	b.index = -1
	return b
}
