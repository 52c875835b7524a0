package netboot

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// stores are all implementations.
func stores(t *testing.T) map[string]Store {
	db, err := OpenBolt(filepath.Join(t.TempDir(), "leases.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return map[string]Store{"memory": &Memory{}, "bolt": db}
}

func testLease(last byte, client string, state LeaseState) Lease {
	return Lease{
		Addr: netip.AddrFrom4([4]byte{10, 9, 0, last}), Client: []byte(client), MAC: net.HardwareAddr{2, 0, 0, 0, 0, last},
		State: state, Start: testStart, Expires: testStart.Add(time.Hour),
	}
}

func leasesOf(t *testing.T, s Store) []Lease {
	t.Helper()
	var all []Lease
	if err := s.Leases(func(l Lease) bool { all = append(all, l); return true }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestStore shows what each store keeps, and which leases it refuses.
func TestStore(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			commit := func(want []netip.Addr, b Batch) {
				t.Helper()
				refused, err := s.Commit(b)
				if diff := cmp.Diff(want, refused, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
					t.Errorf("commit: %v, refused (-want +got):\n%s", err, diff)
				}
			}
			a, b := testLease(200, "a", LeaseActive), testLease(3, "b", LeaseActive)
			b.Hostname, b.UUID = "node3", "00112233-4455-6677-8899-aabbccddeeff"
			commit(nil, Batch{Leases: []Lease{a, b}})
			thief := testLease(3, "thief", LeaseActive)
			commit([]netip.Addr{thief.Addr}, Batch{Leases: []Lease{thief, testLease(4, "c", LeaseDeclined)}})
			want := []Lease{b, testLease(4, "c", LeaseDeclined), a}
			if diff := cmp.Diff(want, leasesOf(t, s), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("leases (-want +got):\n%s", diff)
			}

			// Given back, or run out: another may have it.
			b.State = LeaseReleased
			commit(nil, Batch{Leases: []Lease{b, thief}})
			late := testLease(200, "late", LeaseActive)
			late.Start = a.Expires
			commit(nil, Batch{Leases: []Lease{late}})
			if diff := cmp.Diff([]Lease{thief, testLease(4, "c", LeaseDeclined), late}, leasesOf(t, s), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("leases (-want +got):\n%s", diff)
			}

			node := Status{MAC: thief.MAC, State: Crashed, Since: testStart, Last: testStart, Timings: []byte(`{"init":1.5}`), Addr: thief.Addr, Arch: ArchEFI64}
			commit(nil, Batch{Nodes: []Status{node, {MAC: a.MAC}}, DropNodes: []net.HardwareAddr{a.MAC}})
			var nodes []Status
			if err := s.Nodes(func(n Status) bool { nodes = append(nodes, n); return false }); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Status{node}, nodes, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOpenBolt shows what users are told.
func TestOpenBolt(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 1000)), 0o666); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		text:                               "not a database of leases: move it away to begin with a new one",
		filepath.Join(dir, "none", "file"): "no such file or directory",
	} {
		if _, err := OpenBolt(path); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "lease database "+path+": ") {
			t.Errorf("OpenBolt(%s): %v, want %s", path, err, want)
		}
	}
}

// TestJournal has many callers wait while the disk is busy: they share the next
// commit, and hear in their order.
func TestJournal(t *testing.T) {
	s := &slowStore{gate: make(chan struct{})}
	j := NewJournal(s)
	var order []int
	var done sync.WaitGroup
	add := func(i int) {
		done.Add(1)
		j.Add(Batch{Leases: []Lease{testLease(byte(i), fmt.Sprint(i), LeaseActive)}}, func(refused []netip.Addr, err error) {
			if err != nil || len(refused) > 0 {
				t.Errorf("%d: %v, %v", i, refused, err)
			}
			order = append(order, i)
			done.Done()
		})
	}
	add(0)
	<-s.gate // the first commit has begun
	for i := 1; i < 100; i++ {
		add(i)
	}
	s.gate <- struct{}{}
	<-s.gate
	s.gate <- struct{}{}
	done.Wait()
	j.Close()
	if len(s.sizes) != 2 || s.sizes[0] != 1 || s.sizes[1] != 99 {
		t.Errorf("commits of %v leases, want 1 and 99", s.sizes)
	}
	for i, got := range order {
		if got != i {
			t.Fatalf("done in the order %v", order)
		}
	}
	if j.Add(Batch{}, nil) {
		t.Error("Add after Close")
	}
}

// slowStore is a memory whose commits wait for the test.
type slowStore struct {
	Memory
	gate  chan struct{}
	sizes []int
}

func (s *slowStore) Commit(b Batch) ([]netip.Addr, error) {
	s.gate <- struct{}{}
	<-s.gate
	s.sizes = append(s.sizes, len(b.Leases))
	return s.Memory.Commit(b)
}

// TestKill kills a process that leases addresses as fast as it can, at any
// moment, several times with one database. All that it acknowledged must be
// there, and nothing may have two owners.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	rng := rand.New(rand.NewPCG(3, 4))
	owner := map[string]string{} // address → client, by the lines of acknowledged leases
	for round := range 12 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillChild$", "-test.v")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d:%s", killVariable, round, path))
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		// Killed after so many lines, or in what comes after them.
		left, lines := 1+rng.IntN(2000), 0
		scanner := bufio.NewScanner(out)
		for scanner.Scan() {
			word, rest, _ := strings.Cut(scanner.Text(), " ")
			if word != "leased" {
				continue
			}
			addr, client, _ := strings.Cut(rest, " ")
			if old, ok := owner[addr]; ok && old != client {
				t.Errorf("round %d: %s is %s's, and given to %s", round, addr, old, client)
			}
			owner[addr] = client
			if lines++; lines == left {
				cmd.Process.Kill()
			}
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) {
			t.Fatalf("round %d: the child ended by itself: %v", round, err)
		}
		db, err := OpenBolt(path)
		if err != nil {
			t.Fatal(err)
		}
		stored := map[string]string{}
		for _, l := range leasesOf(t, db) {
			stored[l.Addr.String()] = string(l.Client)
		}
		for addr, client := range owner {
			if stored[addr] != client {
				t.Errorf("round %d: %s was acknowledged to %q, stored is %q", round, addr, client, stored[addr])
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d leases acknowledged", len(owner))
}

// killVariable makes TestKillChild the child of TestKill: "round:path".
const killVariable = "RAMBOX_TEST_KILL"

func TestKillChild(t *testing.T) {
	round, path, ok := strings.Cut(os.Getenv(killVariable), ":")
	if !ok {
		return
	}
	db, err := OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	config := DHCPConfig{Authoritative: true, RapidCommit: true, Subnets: []Subnet{{
		Prefix: netip.MustParsePrefix("10.8.0.0/15"), Pools: []Range{{netip.MustParseAddr("10.8.0.1"), netip.MustParseAddr("10.9.255.254")}},
	}}}
	core, err := NewResponder(config, db)
	if err != nil {
		t.Fatal(err)
	}
	journal := NewJournal(db)
	b := &bench{t: t, link: Link{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.8.0.1/15")}}}
	core.config.ByClientID = true
	// Old clients come back, and new ones; the clock stands still.
	for i := 0; ; i++ {
		client := fmt.Sprintf("%s-%d", round, i)
		if i%3 == 0 {
			client = fmt.Sprintf("0-%d", i)
		}
		packet, from := b.ask("discover 01 rapid id=" + client)
		a, err := core.Reply(testStart, packet, from)
		if err != nil || len(a.Leases) != 1 {
			t.Fatalf("%s: %+v, %v", client, a, err)
		}
		journal.Add(Batch{Leases: a.Leases}, func(refused []netip.Addr, err error) {
			if err == nil && len(refused) == 0 {
				fmt.Printf("leased %s %s\n", a.Leases[0].Addr, a.Leases[0].Client)
			}
		})
	}
}
