//go:build !nonet

package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rambox/pkg/netcfg"
)

// How PID 1 and the process that sees to the network talk. The process gets
// its parameters as arguments. Its standard input ends when the drivers of all
// devices have been looked for, and it writes these lines to reportFD:
//
//	configured eth0 [hostname]
//	settled [what is missing]
const (
	netProcess = "rambox-net" // its argv[0]
	reportFD   = 3
)

// netGrace is how much longer than its own deadline the network's process may
// take to say that it has passed; backoffMin and backoffMax what it waits
// before it is started again.
const (
	netGrace   = 5 * time.Second
	backoffMin = time.Second
	backoffMax = time.Minute
)

// network is PID 1's side of the process that sees to the network.
type network struct {
	plan    Network
	started atomic.Bool
	pid     atomic.Int64
	over    func(error)   // ends its stage
	settled chan struct{} // closed: nobody need wait any more
	missing string        // written before settled is closed: why there is no network
	probed  chan struct{} // closed: the drivers of all devices have been looked for
	ended   chan struct{} // closed when the process has ended and none follows it
	ctx     context.Context
	stop    context.CancelFunc
}

func newNetwork(parent context.Context, plan Network) *network {
	n := &network{plan: plan, settled: make(chan struct{}), probed: make(chan struct{}), ended: make(chan struct{})}
	n.ctx, n.stop = context.WithCancel(parent)
	return n
}

// startNetwork brings the loopback device up, and starts the network's process
// if the command line asks for a network. Otherwise it is left to linkAppeared.
func (m *pid1) startNetwork() {
	if n := m.net.Load(); n != nil {
		if !n.failed() {
			return // there since an earlier attempt to boot
		}
		m.stopNetwork()
	}
	if !m.plan.Network.on() && m.plan.Handoff == ToRoot {
		return // its system does all of it
	}
	if err := loopbackUp(); err != nil {
		if m.plan.Network.on() {
			m.log.Warnf("network: %v; going on without it", err)
		}
		return
	}
	if !m.plan.Network.on() {
		return
	}
	n := newNetwork(m.ctx, m.plan.Network)
	m.net.Store(n)
	if n.plan.asked() {
		m.supervise(n)
	}
}

// networkProbed tells that the drivers of the present devices are there. A
// node that stays in RAM gets the process even if no link is there yet: nobody
// could start it later.
func (m *pid1) networkProbed() {
	n := m.net.Load()
	if n == nil {
		return
	}
	m.lookForLinks()
	if m.plan.Handoff == ToInit {
		m.supervise(n)
	}
	select {
	case <-n.probed:
	default:
		close(n.probed)
	}
}

// lookForLinks finds those that have appeared unheard.
func (m *pid1) lookForLinks() {
	for _, name := range list("/sys/class/net") {
		m.linkAppeared(name)
	}
}

// linkAppeared starts the network's process for a link with hardware behind it.
func (m *pid1) linkAppeared(name string) {
	n := m.net.Load()
	if n == nil || n.started.Load() || name == "lo" {
		return
	}
	if _, err := os.Lstat("/sys/class/net/" + name + "/device"); err == nil {
		m.supervise(n)
	}
}

// supervise starts the network's process, once, and sees to it for as long as
// init lives.
func (m *pid1) supervise(n *network) {
	if !n.started.CompareAndSwap(false, true) {
		return
	}
	n.over = m.times.beside(stageNetwork)
	m.loadAlias(packetSockets)
	done, err := m.startProcess(n)
	m.spawn(func() {
		defer close(n.ended)
		defer n.settle("its process has ended")
		m.keepNetwork(n, done, err)
	})
}

// keepNetwork starts the process again when it crashes.
func (m *pid1) keepNetwork(n *network, done <-chan unix.WaitStatus, err error) {
	for backoff := backoffMin; ; backoff = min(2*backoff, backoffMax) {
		started := time.Now()
		how := fmt.Sprintf("could not be started: %v", err)
		if err == nil {
			var again bool
			if how, again = m.processEnd(n, done); !again {
				return
			}
		}
		if time.Since(started) > backoffMax {
			backoff = backoffMin
		}
		m.log.Errorf("network: its process %s; starting it again in %v", how, backoff)
		select {
		case <-time.After(backoff):
		case <-n.ctx.Done():
			return
		}
		done, err = m.startProcess(n)
	}
}

// startProcess starts the network's process. done gets its end.
func (m *pid1) startProcess(n *network) (done <-chan unix.WaitStatus, err error) {
	var probe, report [2]int
	if err := unix.Pipe2(probe[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	defer unix.Close(probe[0])
	if err := unix.Pipe2(report[:], unix.O_CLOEXEC); err != nil {
		unix.Close(probe[1])
		return nil, os.NewSyscallError("pipe", err)
	}
	defer unix.Close(report[1])
	attr := &syscall.ProcAttr{
		Env:   []string{"HOSTNAME=" + m.plan.Hostname},
		Dir:   "/",
		Files: []uintptr{uintptr(probe[0]), 2, 2, reportFD: uintptr(report[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true}, // away from the console's ctrl-c
	}
	pid, done, err := m.start("/proc/self/exe", append([]string{netProcess}, n.plan.Params...), attr)
	if err != nil {
		unix.Close(probe[1])
		unix.Close(report[0])
		return nil, err
	}
	n.pid.Store(int64(pid))
	m.spawn(func() {
		defer unix.Close(probe[1])
		select {
		case <-n.probed:
		case <-m.ctx.Done():
		}
	})
	m.spawn(func() { m.readReports(n, report[0]) })
	return done, nil
}

// processEnd waits for the end of the process, or ends it when it is to stop.
// again is false when no other shall follow.
func (m *pid1) processEnd(n *network, done <-chan unix.WaitStatus) (how string, again bool) {
	select {
	case status := <-done:
		if status.Signaled() {
			return "was killed by signal " + strconv.Itoa(int(status.Signal())), n.ctx.Err() == nil
		}
		return "ended with status " + strconv.Itoa(status.ExitStatus()), status.ExitStatus() != 0 && n.ctx.Err() == nil
	case <-n.ctx.Done():
	}
	// It leaves addresses, routes and lease as they are.
	for _, s := range [...]unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		unix.Kill(int(n.pid.Load()), s)
		select {
		case <-done:
			return "", false
		case <-time.After(time.Second):
		}
	}
	return "", false
}

// readReports reads what the process has to say, for as long as it lives.
func (m *pid1) readReports(n *network, fd int) {
	defer unix.Close(fd)
	readLines(fd, func(line string) {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "configured":
			_, name, _ := strings.Cut(rest, " ")
			m.takeHostname(n, name)
		case "settled":
			n.settle(rest)
		}
	})
}

// takeHostname sets the host name that a lease gives, unless the command line
// has one. That of the image gives way: an image is for many machines.
func (m *pid1) takeHostname(n *network, name string) {
	if name == "" || !n.plan.Hostname {
		return
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		m.log.Warnf("set hostname %q: %v", name, err)
	}
}

// failed tells whether the wait for the network has ended without one.
func (n *network) failed() bool {
	select {
	case <-n.settled:
		return n.missing != ""
	default:
		return false
	}
}

// settle ends the wait for the network.
func (n *network) settle(missing string) {
	select {
	case <-n.settled:
	default:
		n.missing = missing
		n.over(n.failure())
		close(n.settled)
	}
}

// awaitNetwork waits until the network is there or is given up. An error is
// one that ends the boot.
func (m *pid1) awaitNetwork() error {
	missing, err := m.networkMissing()
	switch plan := m.plan.Network; {
	case err != nil:
		return err
	case missing == "":
	case plan.Needed:
		return errors.New("network: " + missing)
	case plan.asked():
		m.log.Warnf("network: %s; going on without it", missing)
	default:
		m.log.Infof("network: %s; going on without it", missing)
	}
	return nil
}

func (m *pid1) networkMissing() (string, error) {
	n := m.net.Load()
	switch {
	case n == nil && m.plan.Network.on():
		return "this kernel has none", nil
	case n == nil, n.plan.Mode == netcfg.ModeBackground, !n.started.Load():
		return "", nil
	}
	select {
	case <-n.settled:
		return n.missing, nil
	default:
	}
	m.follow() // a driver or a device may be late
	over := m.times.wait("the network")
	select {
	case <-n.settled:
		over(n.failure())
		return n.missing, nil
	case <-time.After(n.plan.Wait + netGrace):
		over(errSilentNetwork)
		return errSilentNetwork.Error(), nil
	case <-m.ctx.Done():
		return "", context.Cause(m.ctx)
	}
}

var errSilentNetwork = errors.New("its process does not answer")

// failure is what is missing of what was asked for, once that is known.
func (n *network) failure() error {
	if n.missing == "" || !n.plan.asked() {
		return nil
	}
	return errors.New(n.missing)
}

// stopNetwork ends the network's process for a system that has its own. What
// it has configured stays. Another attempt to boot begins anew.
func (m *pid1) stopNetwork() {
	n := m.net.Swap(nil)
	if n == nil || !n.started.Load() {
		return
	}
	n.stop()
	<-n.ended
}

// leaveNetwork has the network's process not be started again.
func (m *pid1) leaveNetwork() {
	if n := m.net.Load(); n != nil {
		n.stop()
	}
}

// loopbackUp brings lo up, which no packet needs to ask anybody for. An error
// is that of a kernel without networking.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return errors.New("this kernel has none")
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return nil // without lo there can be links
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
	return nil
}
