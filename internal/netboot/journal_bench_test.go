package netboot

import (
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
)

// BenchmarkJournal leases addresses to 200 clients at a time, each of which
// waits for the disk.
func BenchmarkJournal(b *testing.B) {
	db, err := OpenBolt(filepath.Join(b.TempDir(), "leases.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	j := NewJournal(db)
	defer j.Close()
	room := make(chan struct{}, 200)
	var done sync.WaitGroup
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l := testLease(byte(i), "0123456", LeaseActive)
		l.Addr, i = address(0x0a090000+uint32(i%50000)), i+1
		room <- struct{}{}
		done.Add(1)
		j.Add(Batch{Leases: []Lease{l}}, func(refused []netip.Addr, err error) {
			if err != nil || len(refused) > 0 {
				b.Errorf("%v %v", refused, err)
			}
			<-room
			done.Done()
		})
	}
	done.Wait()
}
