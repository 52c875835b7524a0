//go:build linux

package vmtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Namespace is one host of a network that a test makes for itself: a network
// namespace, with what joins it to others. It needs root and iproute2, and is gone,
// with its devices, when the test ends.
type Namespace struct {
	Name string // as ip(8) has it, and the file in /run/netns

	t testing.TB
}

// NewNamespace makes a host that has nothing but lo, which is down. The role is
// part of its name, for people who look.
func NewNamespace(t testing.TB, role string) *Namespace {
	t.Helper()
	n := &Namespace{fmt.Sprintf("rambox%d-%s-%06x", os.Getpid(), role, rand.Uint32N(1<<24)), t}
	Command(t, "ip", "netns", "add", n.Name)
	t.Cleanup(func() { Command(t, "ip", "netns", "del", n.Name) })
	return n
}

// IP calls ip(8) inside.
func (n *Namespace) IP(args ...string) string {
	n.t.Helper()
	return Command(n.t, "ip", append([]string{"-n", n.Name}, args...)...)
}

// Bridge makes a switch, which is a device of this host, with addresses such as
// "10.9.0.1/24", and brings it up.
func (n *Namespace) Bridge(device string, addrs ...string) {
	n.t.Helper()
	n.IP("link", "add", device, "type", "bridge")
	for _, a := range addrs {
		n.IP("addr", "add", a, "dev", device)
	}
	n.IP("link", "set", device, "up")
}

// Cable joins a device of this host to one of another; both are new, and down.
// More are words of ip(8) for this host's, such as "address", "52:54:00:00:00:01".
func (n *Namespace) Cable(device string, other *Namespace, far string, more ...string) {
	n.t.Helper()
	words := append([]string{"link", "add", device}, more...)
	n.IP(append(words, "type", "veth", "peer", "name", far, "netns", other.Name)...)
}

// Tap makes a device for a machine's network card, plugs it into a bridge and
// brings it up.
func (n *Namespace) Tap(device, bridge string) {
	n.t.Helper()
	n.IP("tuntap", "add", device, "mode", "tap")
	n.IP("link", "set", device, "master", bridge, "up")
}

// Words are what runs a program inside: the words before it, and its own.
func (n *Namespace) Words(program ...string) []string {
	return append([]string{"ip", "netns", "exec", n.Name}, program...)
}

// Start runs a program inside until the test ends or stop is called. What it has
// said is in the log of a test that fails.
func (n *Namespace) Start(program string, args ...string) (stop func()) {
	n.t.Helper()
	words := n.Words(append([]string{program}, args...)...)
	cmd := exec.Command(words[0], words[1:]...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if n.t.Failed() {
			n.t.Logf("%s:\n%s", strings.Join(words, " "), out.String())
		}
	})
	n.t.Cleanup(stop)
	return stop
}

// Run runs a program inside, for so long at most, and returns what it says.
func (n *Namespace) Run(limit time.Duration, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), limit)
	defer cancel()
	words := n.Words(append([]string{program}, args...)...)
	out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	return string(out), err
}

// Inside calls f in the namespace, on a thread that ends with it. Sockets that f
// opens stay there; goroutines that it starts do not.
func (n *Namespace) Inside(f func() error) error {
	result := make(chan error)
	go func() {
		// Never unlocked: the thread is of no use to anybody else.
		runtime.LockOSThread()
		result <- func() error {
			fd, err := unix.Open("/run/netns/"+n.Name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("network namespace %s: %w", n.Name, err)
			}
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
			if err != nil {
				return fmt.Errorf("enter network namespace %s: %w", n.Name, err)
			}
			return f()
		}()
	}()
	return <-result
}
