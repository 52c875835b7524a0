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
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/internal/netboot"
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
	clients, server, other string
}

// newLab makes links c0, c1 … for the clients, with hardware addresses
// 52:54:00:00:00:NN, s0 with 10.9.0.1/16 for the server, and o0 with 10.9.0.3/16
// for the other host.
func newLab(t testing.TB, links int) *lab {
	t.Helper()
	id := fmt.Sprintf("nb%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)
	l := &lab{t, id + "c", id + "s", id + "o"}
	for _, ns := range []string{l.clients, l.server, l.other} {
		l.ip("netns", "add", ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		l.ip("-n", ns, "link", "set", "lo", "up")
	}
	l.ip("-n", l.server, "link", "add", "s0", "type", "bridge")
	l.ip("-n", l.server, "addr", "add", "10.9.0.1/16", "dev", "s0")
	l.ip("-n", l.server, "link", "set", "s0", "up")
	cable := func(ns, name, port string, more ...string) {
		l.ip(append([]string{"-n", ns, "link", "add", name}, append(more, "type", "veth", "peer", "name", port, "netns", l.server)...)...)
		l.ip("-n", l.server, "link", "set", port, "master", "s0", "up")
		l.ip("-n", ns, "link", "set", name, "up")
	}
	for i := range links {
		cable(l.clients, fmt.Sprintf("c%d", i), fmt.Sprintf("p%d", i), "address", fmt.Sprintf("52:54:00:00:00:%02x", i))
	}
	cable(l.other, "o0", "po")
	l.ip("-n", l.other, "addr", "add", "10.9.0.3/16", "dev", "o0")
	return l
}

func (l *lab) ip(args ...string) string {
	l.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start runs a program in a namespace until the test ends or stop is called.
func (l *lab) start(ns, name string, args ...string) (stop func()) {
	l.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns, name}, args...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if l.t.Failed() {
			l.t.Logf("%s %s:\n%s", name, strings.Join(args, " "), out.String())
		}
	})
	l.t.Cleanup(stop)
	return stop
}

// run runs a program in the clients' namespace and returns what it says.
func (l *lab) run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.clients, name}, args...)...).CombinedOutput()
	return string(out), err
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
func (l *lab) dnsmasq(ns, link string, args ...string) (stop func()) {
	l.t.Helper()
	dir := l.t.TempDir()
	return l.start(ns, "dnsmasq", append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=" + link, "--bind-interfaces", "--user=root", "--log-facility=-",
		"--no-ping", "--pid-file=" + filepath.Join(dir, "pid"), "--dhcp-leasefile=" + filepath.Join(dir, "leases"),
		"--no-resolv", "--no-hosts",
	}, args...)...)
}

// inside calls f in a namespace, on a thread that ends with it.
func inside(namespace string, f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			result <- err
			return
		}
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			result <- err
			return
		}
		unix.Close(fd)
		result <- f()
	}()
	return <-result
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
	cmd := exec.Command("ip", "netns", "exec", l.server, self)
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

func (l *lab) runServerOn(t *testing.T, c netboot.DHCPConfig, ns, link string, store netboot.Store) *running {
	t.Helper()
	r := &running{t: t, events: make(chan netboot.Event, 10000), store: store}
	journal := netboot.NewJournal(r.store)
	machines, err := netboot.LoadMachines(r.store)
	if err != nil {
		t.Fatal(err)
	}
	var s *netboot.DHCPServer
	err = inside(ns, func() (err error) {
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
