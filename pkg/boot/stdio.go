//go:build linux

package boot

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stdio is the payload's standard input, output and error: the console, or
// pipes (with rambox.tty: a terminal) that init relays to the ports of rambox
// run. Pipes and not the ports themselves, because a port can be opened only
// once, and scripts do open /dev/stderr.
type stdio struct {
	attr    *syscall.ProcAttr
	term    string // TERM of the payload
	console bool   // all of it is the console
	child   []int  // ends to close once the payload has been started
	relays  sync.WaitGroup
	out     atomic.Int64 // bytes written to the stdout port
	err     atomic.Int64 // bytes written to the stderr port
	ours    []int        // everything else to close at the end
}

// relayBuffer is what one copy moves: the most that one write to a port takes
// (port_fops_write, drivers/char/virtio_console.c, v6.12).
const relayBuffer = 32 << 10

// drainWait is how long the last output may stand still on its way out.
const drainWait = 5 * time.Second

func (m *pid1) openStdio() (*stdio, error) {
	if !m.host.connected() {
		fd, name, err := openConsole()
		if err != nil {
			return nil, err
		}
		sane(fd)
		if m.host != nil && !m.plan.TTY {
			noEcho(fd)
		}
		return &stdio{attr: onTerminal(fd), term: termType(name), console: true, ours: []int{fd}}, nil
	}
	s := &stdio{term: "dumb"}
	var err error
	if m.plan.TTY {
		err = m.relayTerminal(s)
	} else {
		err = m.relayPipes(s)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (m *pid1) openPort(s *stdio, name string, flags int) (int, error) {
	fd, err := unix.Open(m.host.ports[name], flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open port %s: %w", name, err)
	}
	s.ours = append(s.ours, fd)
	return fd, nil
}

// relayPipes gives the payload three pipes.
func (m *pid1) relayPipes(s *stdio) error {
	s.attr = &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}}
	for i, name := range [...]string{portStdin, portStdout, portStderr} {
		mode := unix.O_WRONLY
		if i == 0 {
			mode = unix.O_RDONLY
		}
		port, err := m.openPort(s, name, mode)
		if err != nil {
			return err
		}
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return fmt.Errorf("pipe: %w", err)
		}
		if i == 0 {
			s.attr.Files = append(s.attr.Files, uintptr(p[0]))
			s.child = append(s.child, p[0])
			// The relay closes the pipe, so that the payload sees the end
			// of its input.
			m.spawn(func() { relay(port, p[1], nil); unix.Close(p[1]) })
			continue
		}
		s.attr.Files = append(s.attr.Files, uintptr(p[1]))
		s.child = append(s.child, p[1])
		count := &s.out
		if i == 2 {
			count = &s.err
		}
		s.relays.Add(1)
		m.spawn(func() { defer s.relays.Done(); relay(p[0], port, count); unix.Close(p[0]) })
	}
	return nil
}

// relayTerminal gives the payload a pseudo-terminal of its own, whose other
// side goes to the stdin and stdout ports.
func (m *pid1) relayTerminal(s *stdio) error {
	in, err := m.openPort(s, portStdin, unix.O_RDONLY)
	if err != nil {
		return err
	}
	out, err := m.openPort(s, portStdout, unix.O_WRONLY)
	if err != nil {
		return err
	}
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/ptmx: %w", err)
	}
	s.ours = append(s.ours, master)
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return fmt.Errorf("unlock pty: %w", err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return fmt.Errorf("pty number: %w", err)
	}
	name := "/dev/pts/" + strconv.Itoa(n)
	tty, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	s.child = append(s.child, tty)
	s.attr, s.term = onTerminal(tty), "vt220"
	m.host.resize(master, unix.Winsize{})
	m.spawn(func() { relay(in, master, nil) })
	s.relays.Add(1)
	m.spawn(func() { defer s.relays.Done(); relay(master, out, &s.out) })
	return nil
}

// relay copies until the source ends or the destination is gone. A terminal
// whose last user has left reads as EIO.
func relay(from, to int, count *atomic.Int64) {
	buf := make([]byte, relayBuffer)
	for {
		n, err := unix.Read(from, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return
		}
		written, err := writeAll(to, buf[:n])
		if count != nil {
			count.Add(int64(written))
		}
		if err != nil {
			return
		}
	}
}

// started closes the ends that belong to the payload, so that the end of its
// output can be seen.
func (s *stdio) started() {
	for _, fd := range s.child {
		unix.Close(fd)
	}
	s.child = nil
}

// drain waits until all output has gone out, or nothing more goes out for
// drainWait, and returns how many bytes went to each port. Powering off would
// cut off what a serial console has not sent yet.
func (s *stdio) drain() (out, err int64) {
	if s.console {
		within(drainWait, func() { drainConsole(s.ours[0]) })
		return 0, 0
	}
	done := make(chan struct{})
	go func() { s.relays.Wait(); close(done) }()
	for {
		before := s.out.Load() + s.err.Load()
		select {
		case <-done:
			return s.out.Load(), s.err.Load()
		case <-time.After(drainWait):
			if s.out.Load()+s.err.Load() == before {
				return s.out.Load(), s.err.Load()
			}
		}
	}
}

func (s *stdio) close() {
	s.started()
	for _, fd := range s.ours {
		unix.Close(fd)
	}
	s.ours = nil
}
