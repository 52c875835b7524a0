package netboot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Bolt is a [Store] in one file. A process that is killed leaves the file as
// its last commit was.
type Bolt struct{ db *bbolt.DB }

// The buckets of the file. Leases are found by address, nodes by hardware
// address; the values are JSON, to which fields can be added.
const (
	bucketLeases = "leases"
	bucketNodes  = "nodes"
)

// openWait is how long a server that starts waits for one that ends.
const openWait = 5 * time.Second

// OpenBolt opens the database, and makes it if it is not there.
func OpenBolt(path string) (*Bolt, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: openWait,
		// The list of free pages is found again at the next start: writing it
		// with each commit would cost more than the leases.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("lease database %s: another server has it open", path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("lease database %s: not a database of leases: move it away to begin with a new one: %w", path, err)
	case err != nil:
		return nil, fmt.Errorf("lease database %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{bucketLeases, bucketNodes} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("lease database %s: %w", path, err)
	}
	return &Bolt{db}, nil
}

// Commit is of [Store].
func (s *Bolt) Commit(b Batch) (refused []netip.Addr, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		refused = nil
		leases, nodes := tx.Bucket([]byte(bucketLeases)), tx.Bucket([]byte(bucketNodes))
		for _, mac := range b.DropNodes {
			if err := nodes.Delete(mac); err != nil {
				return err
			}
		}
		for _, l := range b.Leases {
			ok, err := putLease(leases, l)
			if err != nil {
				return fmt.Errorf("lease of %s: %w", l.Addr, err)
			}
			if !ok {
				refused = append(refused, l.Addr)
			}
		}
		for _, n := range b.Nodes {
			value, err := json.Marshal(n)
			if err != nil {
				return err
			}
			if err := nodes.Put(n.MAC, value); err != nil {
				return fmt.Errorf("node %s: %w", n.MAC, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write leases: %w", err)
	}
	return refused, nil
}

// putLease writes a lease unless the old one of its address forbids it.
func putLease(leases *bbolt.Bucket, l Lease) (bool, error) {
	key := l.Addr.AsSlice()
	if value := leases.Get(key); value != nil {
		var old Lease
		if err := json.Unmarshal(value, &old); err != nil {
			return false, err
		}
		if old.bars(l) {
			return false, nil
		}
	}
	value, err := json.Marshal(l)
	if err != nil {
		return false, err
	}
	return true, leases.Put(key, value)
}

// Leases is of [Store].
func (s *Bolt) Leases(f func(Lease) bool) error { return each(s.db, bucketLeases, f) }

// Nodes is of [Store].
func (s *Bolt) Nodes(f func(Status) bool) error { return each(s.db, bucketNodes, f) }

// Close is of [Store].
func (s *Bolt) Close() error { return s.db.Close() }

// each decodes what a bucket has.
func each[T any](db *bbolt.DB, bucket string, f func(T) bool) error {
	return db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(bucket)).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			var t T
			if err := json.Unmarshal(v, &t); err != nil {
				return fmt.Errorf("lease database: %s, key %x: %w", bucket, k, err)
			}
			if !f(t) {
				return nil
			}
		}
		return nil
	})
}
