//go:build linux

// Package netboot_test runs the servers of internal/netboot on real links, in
// network namespaces, with real clients and beside other servers. It needs
// root, iproute2, busybox, ISC's dhclient and dhcpd, dnsmasq, and perfdhcp of
// Debian's kea-admin.
package netboot_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/internal/netboot"
	"rambox/internal/vmtest"
)

// patience bounds every wait of these tests.
const patience = 60 * time.Second

// childVariable makes the test binary a server that can be killed: its value is
// a childConfig.
const childVariable = "RAMBOX_TEST_DHCP"

func TestMain(m *testing.M) {
	if c := os.Getenv(childVariable); c != "" {
		if err := child(c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "integration/netboot: network namespaces need root")
		os.Exit(1)
	}
	for _, program := range []string{"ip", "dnsmasq", "dhcpd", "dhclient", "busybox", "perfdhcp"} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Fprintf(os.Stderr, "integration/netboot: %v (Debian: iproute2, dnsmasq-base, isc-dhcp-server, isc-dhcp-client, busybox-static, kea-admin)\n", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// childConfig is what a server process is started with.
type childConfig struct {
	Config     netboot.DHCPConfig
	Interfaces []string
	Store      string // a file
}

// child serves until SIGTERM. It writes "ready" when its ports are open.
func child(text string) error {
	var c childConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	store, err := netboot.OpenBolt(c.Store)
	if err != nil {
		return err
	}
	defer store.Close()
	journal := netboot.NewJournal(store)
	defer journal.Close()
	machines, err := netboot.LoadMachines(store)
	if err != nil {
		return err
	}
	s, err := netboot.ListenDHCP(netboot.DHCPOptions{
		Config: c.Config, Interfaces: c.Interfaces, Store: store, Journal: journal, Machines: machines,
		Notify: func(e netboot.Event) {
			if e.Kind == netboot.EventStore {
				fmt.Fprintln(os.Stderr, e.Text)
			}
		},
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	fmt.Println("ready")
	return s.Serve(ctx)
}

// lab is three namespaces on one switch: the clients', with a link for each; the
// server's, with the switch; and that of another host.
type lab struct {
	t                      testing.TB
	clients, server, other *vmtest.Namespace
}

// newLab makes links c0, c1 … for the clients, with hardware addresses
// 52:54:00:00:00:NN, s0 with 10.9.0.1/16 for the server, and o0 with 10.9.0.3/16
// for the other host.
func newLab(t testing.TB, links int) *lab {
	t.Helper()
	l := &lab{t, vmtest.NewNamespace(t, "clients"), vmtest.NewNamespace(t, "server"), vmtest.NewNamespace(t, "other")}
	for _, n := range []*vmtest.Namespace{l.clients, l.server, l.other} {
		n.IP("link", "set", "lo", "up")
	}
	l.server.Bridge("s0", "10.9.0.1/16")
	cable := func(n *vmtest.Namespace, name, port string, more ...string) {
		n.Cable(name, l.server, port, more...)
		l.server.IP("link", "set", port, "master", "s0", "up")
		n.IP("link", "set", name, "up")
	}
	for i := range links {
		cable(l.clients, fmt.Sprintf("c%d", i), fmt.Sprintf("p%d", i), "address", fmt.Sprintf("52:54:00:00:00:%02x", i))
	}
	cable(l.other, "o0", "po")
	l.other.IP("addr", "add", "10.9.0.3/16", "dev", "o0")
	return l
}

// run runs a program in the clients' namespace and returns what it says.
func (l *lab) run(name string, args ...string) (string, error) {
	return l.clients.Run(patience, name, args...)
}

// write writes a file for a program and returns its path.
func (l *lab) write(name, content string) string {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// dnsmasq serves on a link of a namespace.
func (l *lab) dnsmasq(n *vmtest.Namespace, link string, args ...string) (stop func()) {
	l.t.Helper()
	dir := l.t.TempDir()
	return n.Start("dnsmasq", append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=" + link, "--bind-interfaces", "--user=root", "--log-facility=-",
		"--no-ping", "--pid-file=" + filepath.Join(dir, "pid"), "--dhcp-leasefile=" + filepath.Join(dir, "leases"),
		"--no-resolv", "--no-hosts",
	}, args...)...)
}

// config is a pool of n addresses from 10.9.1.0 on.
func config(n uint32) netboot.DHCPConfig {
	first := netip.MustParseAddr("10.9.1.0")
	last := first.As4()
	v := uint32(last[2])<<8 + uint32(last[3]) + n - 1
	last[2], last[3] = byte(v>>8), byte(v)
	return netboot.DHCPConfig{
		Authoritative: true,
		Subnets: []netboot.Subnet{{
			Prefix: netip.MustParsePrefix("10.9.0.0/16"), Pools: []netboot.Range{{First: first, Last: netip.AddrFrom4(last)}},
			Routers: []netip.Addr{netip.MustParseAddr("10.9.0.1")}, DNS: []netip.Addr{netip.MustParseAddr("10.9.0.1")}, Domain: "example.org",
		}},
	}
}

// process is a server in a process of its own.
type process struct {
	cmd  *exec.Cmd
	ends func() error // kills it and waits
}

// terminate ends it in good order.
func (p *process) terminate() error {
	if err := p.cmd.Process.Signal(unix.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// serve starts a server process on s0, and returns when its ports are open.
func (l *lab) serve(c netboot.DHCPConfig, store string) *process {
	l.t.Helper()
	text, err := json.Marshal(childConfig{c, []string{"s0"}, store})
	if err != nil {
		l.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	words := l.server.Words(self)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = patience
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	p := &process{cmd: cmd}
	p.ends = sync.OnceValue(func() error {
		cmd.Process.Kill()
		return cmd.Wait()
	})
	l.t.Cleanup(func() { p.ends() })
	word := make([]byte, len("ready\n"))
	if _, err := out.Read(word); err != nil || string(word) != "ready\n" {
		l.t.Fatalf("the server says %q: %v", word, err)
	}
	return p
}

// running is a server in this process.
type running struct {
	t      *testing.T
	events chan netboot.Event
	store  netboot.Store
	stop   func() error
}

// runServer starts a server in this process, on s0.
func (l *lab) runServer(t *testing.T, c netboot.DHCPConfig) *running {
	t.Helper()
	return l.runServerOn(t, c, l.server, "s0", &netboot.Memory{})
}

func (l *lab) runServerOn(t *testing.T, c netboot.DHCPConfig, n *vmtest.Namespace, link string, store netboot.Store) *running {
	t.Helper()
	r := &running{t: t, events: make(chan netboot.Event, 10000), store: store}
	journal := netboot.NewJournal(r.store)
	machines, err := netboot.LoadMachines(r.store)
	if err != nil {
		t.Fatal(err)
	}
	var s *netboot.DHCPServer
	err = n.Inside(func() (err error) {
		s, err = netboot.ListenDHCP(netboot.DHCPOptions{
			Config: c, Interfaces: []string{link}, Store: r.store, Journal: journal, Machines: machines,
			Notify: func(e netboot.Event) { r.events <- e },
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		defer journal.Close()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return fmt.Errorf("Serve does not end")
		}
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// wait returns the next event of a kind.
func (r *running) wait(kind netboot.EventKind) netboot.Event {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e := <-r.events:
			if e.Kind == kind {
				return e
			}
		case <-deadline:
			r.t.Fatalf("no event %q within %s", kind, patience)
		}
	}
}
