//go:build linux

// Package cluster boots the machines of examples/etcd-cluster by rambox serve, in a
// network of its own, and takes power and a member from them. It needs root,
// iproute2, QEMU and Debian's etcd-server.
package cluster

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rambox/internal/vmtest"
)

const (
	// patience bounds every wait: some times what it takes without KVM.
	patience = 4 * time.Minute
	// link is the one that serve.toml names.
	link = "eth1"
)

// buildNode makes the directory that rambox serve serves from: the example's
// serve.toml, a kernel and the image.
func buildNode(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	kernel := vmtest.RunKernel(t).Path
	if err := os.Symlink(kernel, filepath.Join(dir, "vmlinuz")); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "etcd-cluster")
	vmtest.Command(t, "env", "CGO_ENABLED=0", "go", "build", "-C", vmtest.Root(t), "-ldflags=-s", "-o", program, "./examples/etcd-cluster")
	vmtest.Command(t, vmtest.Rambox(t), "build", "-q", "-o", filepath.Join(dir, "node.img"), "--kernel", kernel,
		"--payload", program, "--add", "/usr/bin/etcd", "--compress", "lz4", "--no-busybox")
	text, err := os.ReadFile(filepath.Join(vmtest.Root(t), "examples", "etcd-cluster", "serve.toml"))
	if err != nil {
		t.Fatal(err)
	}
	// Machines without KVM take their time.
	slow := `append = "console=ttyS0 ETCD_LOGGER=zap ETCD_LOG_LEVEL=warn ETCD_HEARTBEAT_INTERVAL=500 ETCD_ELECTION_TIMEOUT=5000 `
	vmtest.WriteFile(t, dir, "serve.toml", 0o644, strings.Replace(string(text), `append = "`, slow, 1))
	return dir
}

// server is the rambox serve that the machines boot from.
type server struct {
	t     *testing.T
	state string
	mu    sync.Mutex
	log   bytes.Buffer
	more  sync.Cond
}

func (s *server) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more.Broadcast()
	return s.log.Write(b)
}

// serve starts it and waits until it says that it is ready.
func serve(t *testing.T, n *vmtest.Namespace, dir string) *server {
	t.Helper()
	s := &server{t: t, state: filepath.Join(dir, "state")}
	s.more.L = &s.mu
	path := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	words := n.Words(vmtest.Rambox(t), "serve", "--config", filepath.Join(dir, "serve.toml"), "--state", s.state)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	cmd.Stderr = s
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%v:\n%s", words, s.log.String())
		}
	})
	notify.SetReadDeadline(time.Now().Add(patience))
	if _, err := notify.Read(make([]byte, 64)); err != nil {
		t.Fatalf("rambox serve does not begin: %v", err)
	}
	return s
}

// until waits for a line in its log that comes after an act.
func (s *server) until(text string, act func()) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.log.Len()
	act()
	late := false
	defer time.AfterFunc(patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.more.Broadcast()
	}).Stop()
	for !bytes.Contains(s.log.Bytes()[from:], []byte(text)) {
		if late {
			s.t.Fatalf("the log of rambox serve has no %q", text)
		}
		s.more.Wait()
	}
}

// writer writes one key after another to each member until it is stopped, and
// keeps those that were acknowledged.
type writer struct {
	client  *client
	mu      sync.Mutex
	more    sync.Cond
	acked   map[string]string
	stopped chan struct{}
	writing sync.WaitGroup
}

func newWriter(c *client, members []member) *writer {
	w := &writer{client: c, acked: map[string]string{}, stopped: make(chan struct{})}
	w.more.L = &w.mu
	for _, m := range members {
		w.writing.Go(func() { w.write(m.address()) })
	}
	return w
}

// interval is the time between two writes to a member, which are not to keep the
// machines from everything else.
const interval = 300 * time.Millisecond

func (w *writer) write(address string) {
	for i := 0; ; i++ {
		key, value := fmt.Sprintf("key %s %06d", address, i), fmt.Sprint("value ", i)
		if err := w.client.put(address, key, value); err == nil {
			w.mu.Lock()
			w.acked[key] = value
			w.more.Broadcast()
			w.mu.Unlock()
		}
		select {
		case <-w.stopped:
			return
		case <-time.After(interval):
		}
	}
}

// await waits for so many more acknowledged writes, and returns how many there
// are.
func (w *writer) await(t *testing.T, count int) int {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	want, late := len(w.acked)+count, false
	defer time.AfterFunc(patience, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		late = true
		w.more.Broadcast()
	}).Stop()
	for len(w.acked) < want {
		if late {
			t.Fatalf("%d writes were acknowledged within %v, want %d", len(w.acked), patience, want)
		}
		w.more.Wait()
	}
	return len(w.acked)
}

// stop returns what was acknowledged.
func (w *writer) stop() map[string]string {
	close(w.stopped)
	w.writing.Wait()
	return w.acked
}

// TestCluster boots three machines that have never been a cluster, cuts the power
// of the one that leads while keys are written, boots it again, and adds a fourth
// that nobody has heard of.
func TestCluster(t *testing.T) {
	if _, err := os.Stat("/usr/bin/etcd"); err != nil {
		t.Fatalf("%v (Debian: etcd-server)", err)
	}
	began := time.Now()
	step := func(format string, a ...any) {
		t.Logf("%5.1f s: %s", time.Since(began).Seconds(), fmt.Sprintf(format, a...))
	}
	dir, n := buildNode(t), vmtest.NewNamespace(t, "cluster")
	n.IP("link", "set", "lo", "up")
	n.Bridge(link, "10.0.0.1/24")
	boots, c := serve(t, n, dir), newClient(n)
	machines := map[string]*machine{}
	for _, number := range []int{11, 12, 13} {
		m := newMachine(t, n, number)
		m.powerOn()
		machines[fmt.Sprintf("10.0.0.%d", number)] = m
	}
	step("three machines are switched on")
	first := c.voters(t, "10.0.0.11", 3)
	killed, left := first[0], first[1]
	cluster := c.status(t, left.address()).Header.ClusterID
	step("they are a cluster")

	w := newWriter(c, first)
	stop := sync.OnceValue(w.stop)
	defer stop()
	before := w.await(t, 20)
	machines[killed.address()].powerOff()
	step("%s, which leads, has lost its power after %d writes", killed.Name, before)
	step("%d writes are acknowledged", w.await(t, 20))
	// BOOTSTRAP=yes, by which the three have founded the cluster, is still there.
	machines[killed.address()].powerOn()
	second := c.voters(t, left.address(), 3, killed.ID)
	step("%s has booted again, and is a new member after %d writes", killed.Name, w.await(t, 1))

	boots.until("new configuration", func() {
		file := filepath.Join(dir, "serve.toml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		vmtest.WriteFile(t, dir, "serve.toml", 0o644, strings.Replace(string(text), " BOOTSTRAP=yes", "", 1))
	})
	newMachine(t, n, 99).powerOn()
	step("a fourth machine is switched on")
	third := c.voters(t, second[0].address(), 4)
	step("it is a member after %d writes", w.await(t, 10))

	acked := stop()
	for _, m := range third {
		if now := c.status(t, m.address()).Header.ClusterID; now != cluster {
			t.Errorf("%s is in cluster %s, want %s", m.Name, now, cluster)
		}
		// The first read waits until the member has everything.
		for _, own := range []bool{false, true} {
			found, err := c.all(m.address(), own)
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range acked {
				if found[key] != value {
					t.Errorf("%s, own copy %v: %s = %q, want %q, which was acknowledged", m.Name, own, key, found[key], value)
				}
			}
		}
	}
	step("each of %d members has all of %d acknowledged writes", len(third), len(acked))
	out := vmtest.Command(t, vmtest.Rambox(t), "serve", "status", "--state", boots.state)
	t.Logf("rambox serve status:\n%s", out)
	if strings.Count(out, "running") != 4 {
		t.Errorf("rambox serve status: want four machines running:\n%s", out)
	}
}
