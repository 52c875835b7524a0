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
	"strings"
	"sync"
	"testing"
	"time"

	"rambox/internal/vmtest"
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
	vmtest.Parallel(8)
	os.Exit(m.Run())
}

// lab is two namespaces: the client's, and the server's with its end of every
// cable.
type lab struct {
	t              *testing.T
	client, server *vmtest.Namespace
}

// newLab makes the namespaces; the lo of the server's is up.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t, vmtest.NewNamespace(t, "client"), vmtest.NewNamespace(t, "server")}
	l.server.IP("link", "set", "lo", "up")
	return l
}

// cable joins a device of the client to one of the server, which gets addrs.
func (l *lab) cable(device, mac, far string, addrs ...string) {
	l.t.Helper()
	l.client.Cable(device, l.server, far, "address", mac)
	for _, a := range addrs {
		l.server.IP("addr", "add", a, "dev", far)
	}
	l.server.IP("link", "set", far, "up")
}

// dnsmasq serves on an interface of the server's namespace.
func (l *lab) dnsmasq(args ...string) (stop func()) {
	l.t.Helper()
	dir := l.t.TempDir()
	return l.server.Start("dnsmasq", append([]string{
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
		ended <- l.client.Inside(func() error {
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
	for line := range strings.Lines(l.client.IP("-4", "-br", "addr")) {
		words := strings.Fields(line)
		b.WriteString(strings.Join(append(words[:1], words[2:]...), " ") + "\n")
	}
	for line := range strings.Lines(l.client.IP("-4", "route")) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
