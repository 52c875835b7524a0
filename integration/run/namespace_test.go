//go:build linux

package run

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/internal/vmtest"
)

// namespace is a network of the test's own.
type namespace struct {
	t    *testing.T
	name string
}

func newNamespace(t *testing.T) namespace {
	t.Helper()
	ns := namespace{t, fmt.Sprintf("rambox%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)}
	vmtest.Command(t, "ip", "netns", "add", ns.name)
	t.Cleanup(func() { vmtest.Command(t, "ip", "netns", "del", ns.name) })
	return ns
}

// ip calls ip(8) inside.
func (ns namespace) ip(args ...string) string {
	ns.t.Helper()
	return vmtest.Command(ns.t, "ip", append([]string{"-n", ns.name}, args...)...)
}

// bridge makes a bridge that is up and has an address.
func (ns namespace) bridge(name, address string) {
	ns.t.Helper()
	ns.ip("link", "add", name, "type", "bridge")
	ns.ip("addr", "add", address, "dev", name)
	ns.ip("link", "set", name, "up")
}

// via are the words before a program that is to run inside.
func (ns namespace) via(more ...string) []string {
	ns.t.Helper()
	ip, err := exec.LookPath("ip")
	if err != nil {
		if ip, err = exec.LookPath("/usr/sbin/ip"); err != nil {
			ns.t.Fatal(err)
		}
	}
	return append([]string{ip, "netns", "exec", ns.name}, more...)
}

// fetch gets a page from inside.
func (ns namespace) fetch(url string) string {
	ns.t.Helper()
	return fetch(ns.t, func(_ context.Context, network, address string) (c net.Conn, err error) {
		err = ns.inside(func() (err error) {
			c, err = net.Dial(network, address)
			return err
		})
		return c, err
	}, url)
}

// inside calls f on a thread of the namespace, which ends with it.
func (ns namespace) inside(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+ns.name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// hold attaches to a tap device until the test ends, as another program would.
func (ns namespace) hold(device string, flags uint16) {
	ns.t.Helper()
	err := ns.inside(func() error {
		tap, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		ns.t.Cleanup(func() { unix.Close(tap) })
		request, err := unix.NewIfreq(device)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | flags)
		return unix.IoctlIfreq(tap, unix.TUNSETIFF, request)
	})
	if err != nil {
		ns.t.Fatalf("hold %s: %v", device, err)
	}
}

// incapable are words before a program that takes root's capabilities away.
var incapable = [...]string{"setpriv", "--inh-caps=-all", "--bounding-set=-all"}
