package netboot

import (
	"net/netip"
	"slices"
	"sync"
)

// Journal writes to a store for many who wait: while one commit is on its way
// to the disk all others gather, and share the next. It is safe for concurrent
// use.
type Journal struct {
	store Store
	queue chan entry
	over  chan struct{}

	mu     sync.RWMutex // over queue's end
	closed bool
}

// entry is a batch with who waits for it.
type entry struct {
	batch Batch
	done  func(refused []netip.Addr, err error)
}

// What a Journal holds: so many callers wait for a commit before others must
// wait to be heard, and so many leases go in one.
const (
	journalQueue = 256
	journalBatch = 4096
)

// NewJournal begins to write to a store.
func NewJournal(store Store) *Journal {
	j := &Journal{store: store, queue: make(chan entry, journalQueue), over: make(chan struct{})}
	go j.run()
	return j
}

// Add has a batch written, and calls done, which may be nil, when it is on the
// disk or cannot be written, in the order of the calls and one after another.
// Refused are the leases that the store did not take. Add waits where the disk
// is slower than its callers. It returns false after Close: nothing is written.
func (j *Journal) Add(b Batch, done func(refused []netip.Addr, err error)) bool {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return false
	}
	j.queue <- entry{b, done}
	return true
}

// Close writes what was added and ends. The store stays open.
func (j *Journal) Close() {
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		close(j.queue)
	}
	j.mu.Unlock()
	<-j.over
}

func (j *Journal) run() {
	defer close(j.over)
	var waiting []entry
	for first := range j.queue {
		waiting = append(waiting[:0], first)
		all := first.batch
		// What is appended must not go into the caller's.
		all.Leases, all.Nodes, all.DropNodes = slices.Clip(all.Leases), slices.Clip(all.Nodes), slices.Clip(all.DropNodes)
		for more := true; more && len(all.Leases) < journalBatch; {
			select {
			case e, ok := <-j.queue:
				if more = ok; ok {
					waiting = append(waiting, e)
					all.Leases = append(all.Leases, e.batch.Leases...)
					all.Nodes = append(all.Nodes, e.batch.Nodes...)
					all.DropNodes = append(all.DropNodes, e.batch.DropNodes...)
				}
			default:
				more = false
			}
		}
		refused, err := j.store.Commit(all)
		for _, e := range waiting {
			if e.done != nil {
				e.done(refused, err)
			}
		}
		clear(waiting)
	}
}
