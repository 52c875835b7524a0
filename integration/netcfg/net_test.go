//go:build linux

// Package netcfg_test runs pkg/netcfg against real DHCP servers, each test in
// network namespaces of its own. It needs root, iproute2, dnsmasq, ISC dhcpd
// and busybox.
package netcfg_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/pkg/netcfg"
)

// patience bounds every wait of these tests.
const patience = 40 * time.Second

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "integration/netcfg: network namespaces need root")
		os.Exit(1)
	}
	for _, program := range []string{"ip", "dnsmasq", "dhcpd", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Fprintf(os.Stderr, "integration/netcfg: %v (Debian: iproute2, dnsmasq-base, isc-dhcp-server, busybox)\n", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// lab is two namespaces: the client's, and the server's with its end of every
// cable.
type lab struct {
	t              *testing.T
	client, server string
}

// newLab makes the namespaces; the lo of the server's is up.
func newLab(t *testing.T) *lab {
	t.Helper()
	id := fmt.Sprintf("nc%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)
	l := &lab{t, id + "c", id + "s"}
	for _, ns := range []string{l.client, l.server} {
		l.ip("netns", "add", ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	}
	l.ip("-n", l.server, "link", "set", "lo", "up")
	return l
}

// cable joins a device of the client to one of the server, which gets addrs.
func (l *lab) cable(device, mac, far string, addrs ...string) {
	l.t.Helper()
	l.ip("-n", l.client, "link", "add", device, "address", mac, "type", "veth", "peer", "name", far, "netns", l.server)
	for _, a := range addrs {
		l.ip("-n", l.server, "addr", "add", a, "dev", far)
	}
	l.ip("-n", l.server, "link", "set", far, "up")
}

func (l *lab) ip(args ...string) string {
	l.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start runs a program in the server's namespace until the test ends, or until
// stop is called.
func (l *lab) start(name string, args ...string) (stop func()) {
	l.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.server, name}, args...)...)
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

// dnsmasq serves on an interface of the server's namespace.
func (l *lab) dnsmasq(args ...string) (stop func()) {
	l.t.Helper()
	dir := l.t.TempDir()
	return l.start("dnsmasq", append([]string{
		"--keep-in-foreground", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--bind-dynamic", "--user=root",
		"--dhcp-authoritative", "--no-ping", "--log-dhcp", "--pid-file=" + filepath.Join(dir, "pid"),
		"--dhcp-leasefile=" + filepath.Join(dir, "leases"), "--no-resolv", "--no-hosts",
	}, args...)...)
}

// node is a running netcfg.Run.
type node struct {
	t        *testing.T
	dir      string
	events   chan netcfg.Event
	commands chan netcfg.Command
	stop     func() error
}

// run starts Run in the client's namespace, with a command line.
func (l *lab) run(line string) *node {
	l.t.Helper()
	return l.runIn(l.t.TempDir(), line, nil)
}

// runIn does so with files of an earlier run, and with devices still being
// looked for.
func (l *lab) runIn(dir, line string, probed <-chan struct{}) *node {
	l.t.Helper()
	return l.runAfter(func() error { return nil }, dir, line, probed)
}

// runAfter does so on a thread that has been prepared.
func (l *lab) runAfter(prepare func() error, dir, line string, probed <-chan struct{}) *node {
	l.t.Helper()
	params := map[string][]string{}
	for word := range strings.FieldsSeq(line) {
		k, v, _ := strings.Cut(word, "=")
		params[k] = append(params[k], v)
	}
	plan, err := netcfg.Parse(func(name string) []string { return params[name] })
	if err != nil {
		l.t.Fatal(err)
	}
	n := &node{t: l.t, dir: dir, events: make(chan netcfg.Event, 1000), commands: make(chan netcfg.Command)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var mu sync.Mutex
	over := false
	began := time.Now()
	go func() {
		ended <- inside(l.client, func() error {
			if err := prepare(); err != nil {
				return err
			}
			return netcfg.Run(ctx, plan, netcfg.Options{
				Dir: n.dir, Commands: n.commands, Probed: probed,
				Notify: func(e netcfg.Event) { n.events <- e },
				Log: func(format string, args ...any) {
					mu.Lock()
					defer mu.Unlock()
					if !over {
						l.t.Logf("%6.3f "+format, append([]any{time.Since(began).Seconds()}, args...)...)
					}
				},
			})
		})
	}()
	n.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return fmt.Errorf("Run does not end")
		}
	})
	l.t.Cleanup(func() {
		if err := n.stop(); err != nil {
			l.t.Error(err)
		}
		mu.Lock()
		over = true
		mu.Unlock()
	})
	return n
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

// wait returns the next event of a kind.
func (n *node) wait(kind netcfg.EventKind) netcfg.Event {
	n.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e := <-n.events:
			if e.Kind == kind {
				return e
			}
		case <-deadline:
			n.t.Fatalf("no event of kind %d within %s", kind, patience)
		}
	}
}

// file returns a file that Run has written.
func (n *node) file(name string) string {
	n.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.dir, name))
	if err != nil {
		n.t.Fatal(err)
	}
	return string(b)
}

// state is what ip shows of the client's namespace: addresses and routes. It
// leaves out whether a link is UP or still UNKNOWN, which the kernel decides
// later.
func (l *lab) state() string {
	l.t.Helper()
	var b strings.Builder
	for line := range strings.Lines(l.ip("-n", l.client, "-4", "-br", "addr")) {
		words := strings.Fields(line)
		b.WriteString(strings.Join(append(words[:1], words[2:]...), " ") + "\n")
	}
	for line := range strings.Lines(l.ip("-n", l.client, "-4", "route")) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
