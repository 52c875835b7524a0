//go:build linux

package boot

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// uevent is what the kernel says of a device (Documentation/ABI/testing/
// sysfs-uevent): "add", "/devices/pci0000:00/…/block/vda", and KEY=VALUE lines.
type uevent struct {
	action, devpath string
	env             map[string]string
}

// parseUevent reads one message of the kernel: "add@/devices/…", then
// KEY=VALUE, each ended by a NUL byte. Messages of udev, which begin with
// "libudev", are none of ours.
func parseUevent(b []byte) (uevent, bool) {
	head, rest, _ := strings.Cut(string(b), "\x00")
	action, devpath, ok := strings.Cut(head, "@")
	if !ok || action == "" || devpath == "" {
		return uevent{}, false
	}
	e := uevent{action, devpath, map[string]string{}}
	for kv := range strings.SplitSeq(rest, "\x00") {
		if k, v, ok := strings.Cut(kv, "="); ok {
			e.env[k] = v
		}
	}
	return e, true
}

// uevents wakes those who wait for a device.
type uevents struct {
	fd     int // -1: not yet listening, or the kernel has no netlink
	listen sync.Once
	follow sync.Once

	mu      sync.Mutex
	changed chan struct{} // closed by the next event
}

// pollPeriod is how often a waiter looks again on a kernel without netlink,
// where there is no event to wait for.
const pollPeriod = 100 * time.Millisecond

// next returns a channel that is closed by the next event. Ask for it before
// looking at what may change.
func (u *uevents) next() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.fd < 0 {
		ch := make(chan struct{})
		time.AfterFunc(pollPeriod, func() { close(ch) })
		return ch
	}
	if u.changed == nil {
		u.changed = make(chan struct{})
	}
	return u.changed
}

func (u *uevents) wake() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.changed != nil {
		close(u.changed)
		u.changed = nil
	}
}

// listen subscribes to uevents, once. They wait in the socket until follow.
func (m *pid1) listen() {
	m.events.listen.Do(func() {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1})
		}
		if err != nil {
			m.log.Infof("no uevents: %v", os.NewSyscallError("netlink", err))
			return
		}
		// A burst of devices must not be lost while a module loads.
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
		m.events.fd = fd
	})
}

// follow begins to act on uevents. It is for those who wait for a device: each
// event interrupts what init is doing, and many a boot needs none.
func (m *pid1) follow() {
	m.listen()
	if m.events.fd >= 0 {
		m.events.follow.Do(func() { m.spawn(m.watch) })
	}
}

// idleAfter is how long a payload runs before init, which has nothing else to
// do then, looks after devices that appear.
const idleAfter = 300 * time.Millisecond

// followWhenIdle does so later, and looks for links that came in between. stop
// ends it if it has not begun.
func (m *pid1) followWhenIdle() (stop func() bool) {
	return time.AfterFunc(idleAfter, func() {
		m.spawn(func() {
			m.follow()
			m.lookForLinks()
		})
	}).Stop
}

// watch reads uevents for as long as the process lives, and loads the modules
// of the devices that appear. They come from the kernel, or from a process that
// may as well load modules itself: sending takes CAP_NET_ADMIN
// (netlink_sendmsg, net/netlink/af_netlink.c, v6.12).
func (m *pid1) watch() {
	buf := make([]byte, 8192)
	for {
		n, err := unix.Read(m.events.fd, buf)
		switch err {
		case nil:
		case unix.EINTR:
			continue
		case unix.ENOBUFS:
			// Some were lost: whoever waits has to look for itself.
			m.events.wake()
			m.spawn(m.coldplug)
			continue
		default:
			m.log.Errorf("uevents: %v", fmt.Errorf("receive: %w", err))
			return
		}
		e, ok := parseUevent(buf[:n])
		if !ok {
			continue
		}
		m.events.wake()
		if e.env["SUBSYSTEM"] == "net" && e.action == "add" {
			m.linkAppeared(e.env["INTERFACE"])
		}
		if alias := e.env["MODALIAS"]; alias != "" && (e.action == "add" || e.action == "change") {
			m.spawn(func() { m.loadAlias(alias) })
		}
	}
}
