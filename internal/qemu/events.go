//go:build linux

package qemu

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// heard acts on a status line of the guest.
func (r *run) heard(st status) {
	onPorts := r.control.Load()
	switch {
	case st.console && onPorts && st.ends():
		r.spare = &st // the control port has byte counts: its word is better
	case st.kind == "boot":
		setOnce(&r.marks.boot)
		if !st.console {
			r.feedPort()
		}
	case st.kind == "start":
		setOnce(&r.marks.start)
		if !st.console {
			r.feedPort()
			r.started = true
		} else if !onPorts {
			r.feedConsole()
		}
	case r.verdict == nil:
		r.verdict = &st
		setOnce(&r.marks.end)
		r.widen(aheadEnded)
		r.setAlarm(r.verdict.grace(), Result{})
	}
}

// grace is how long the guest may take to power off after it.
func (s status) grace() time.Duration {
	if s.ran() {
		return powerOffGrace
	}
	return reportGrace
}

func setOnce(t *time.Time) {
	if t.IsZero() {
		*t = time.Now()
	}
}

// delivered reports whether the program has ended and all its output has arrived. The first time, it tells the guest,
// which waits for that before it powers off.
func (r *run) delivered() bool {
	if r.done || r.verdict == nil {
		return r.done
	}
	if r.stdout.count() >= r.verdict.out && r.stderr.count() >= r.verdict.err {
		r.say("done")
		r.done = true
	}
	return r.done
}

// panicked acts on the kernel's panic message. A program that has only the console can print the same words:
// there the end of QEMU must confirm it.
func (r *run) panicked(message string) {
	if r.panic != "" {
		return // the kernel repeats itself, less clearly
	}
	r.panic = message
	if r.verdict == nil && !r.console.program.Load() {
		r.setAlarm(panicGrace, Result{})
	}
}

// hangUpGrace is how long a guest that may write to a disk has to end its program in order.
const hangUpGrace = 5 * time.Second

// interrupted passes a signal on to the program. A signal that asks a process to end ends the session instead, which
// interrupted tells by true: where there is no program to take it; when it is the second ctrl-c; and at a terminal, where the
// keys are the program's and the signal is meant for us (interactive shells ignore SIGTERM).
func (r *run) interrupted(sig os.Signal) bool {
	n, ok := sig.(syscall.Signal)
	if !ok {
		return false
	}
	ends := false
	switch n {
	case syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE:
		ends = true
	}
	running := r.started && r.verdict == nil
	cut := Result{Status: statusSignal + int(n), Reason: ReasonInterrupted, Signal: int(n), Message: fmt.Sprintf("stopped by signal %d (%v)", int(n), n)}
	switch again := r.asked; {
	case running && (!ends || !r.s.TTY && (!again || n != syscall.SIGINT)):
		r.asked = r.asked || n == syscall.SIGINT
		r.say(fmt.Sprintf("signal %d", int(n))) // the architectures of Machine share the host's numbers
		return false
	case running && r.s.TTY && !again && r.s.Machine.Writable():
		r.asked = true
		r.say(fmt.Sprintf("signal %d", int(syscall.SIGHUP))) // the end of a terminal
		r.setAlarm(hangUpGrace, cut)
		return false
	case ends:
		r.cut = cut
		return true
	}
	return false
}

// say sends a line to the guest's init. A guest that does not listen is not waited for.
func (r *run) say(line string) {
	control := r.vm.ports[portControl]
	_ = control.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(control, line+"\n")
}

// feedPort sends stdin to the guest's port; its end is a half-close.
func (r *run) feedPort() {
	if r.feeding {
		return
	}
	r.feeding = true
	port := r.vm.ports[portStdin]
	go func() {
		r.feed(port)
		_ = port.CloseWrite()
	}()
}

// feedConsole types stdin on the console. At its end it types ctrl-d, which is an end of file at the start of a line
// and after a ctrl-d (VEOF, termios(3)).
func (r *run) feedConsole() {
	if r.feeding || r.s.Stdin == nil {
		return
	}
	r.feeding = true
	go func() {
		if last := r.feed(r.vm.console); last != 0 && last != '\n' {
			_, _ = r.vm.console.Write([]byte{4})
		}
		_, _ = r.vm.console.Write([]byte{4})
	}()
}

// feed copies stdin until its end or the guest's, and returns the last byte.
func (r *run) feed(to net.Conn) (last byte) {
	if r.s.Stdin == nil {
		return 0
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := r.s.Stdin.Read(buf)
		if n > 0 {
			last = buf[n-1]
			if _, werr := to.Write(buf[:n]); werr != nil {
				return last
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.fail(fmt.Errorf("read the program's input: %w", err))
			}
			return last
		}
	}
}
