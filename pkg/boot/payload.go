//go:build linux

package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ending is how a payload ended, in the words of the status channel.
type ending struct {
	word   string // "exit", "signal", "noexec", "notfound"
	detail string // "42", "9 oom", or a message
}

// failure is why the payload never ran.
func (e ending) failure() error {
	if e.word == "exit" || e.word == "signal" {
		return nil
	}
	return errors.New(e.detail)
}

// runPayload runs the payload to its end, reports its status, and does what
// rambox.onexit= says.
func (m *pid1) runPayload() error {
	io, err := m.openStdio()
	if err != nil {
		return fmt.Errorf("set up the payload's input and output: %w", err)
	}
	defer io.close()

	end, powerErr := m.wait(io)
	m.log.Infof("payload %s: %s %s", m.plan.Argv[0], end.word, end.detail)
	action := m.plan.OnExit
	if power, ok := m.powerRequested(); ok {
		action = power
	}
	if action != Shell {
		// What the payload has left running holds its output open.
		m.stopAll()
	}
	m.times.next("", end.failure())
	m.leaveReport()
	m.report(end, io)
	m.announceEnd(end)
	if powerErr != nil {
		return powerErr
	}
	if action == Shell && m.plan.Shell != "" {
		if err := m.runShell(); err != nil {
			return err
		}
	}
	if action == Shell {
		action = PowerOff
	}
	m.requestPower(action)
	return context.Cause(m.ctx)
}

// announceEnd waits until the server knows: powering off would keep it from that.
func (m *pid1) announceEnd(end ending) {
	state := "ended"
	if end.failure() != nil {
		state = "failed"
	}
	m.announce(state, end.word+" "+end.detail)()
}

// wait starts the payload and returns how it ended, and why it was ended if
// that was not its own doing.
func (m *pid1) wait(io *stdio) (ending, error) {
	argv := m.plan.Argv
	program := findProgram(argv[0])
	attr := io.attr
	attr.Env, attr.Dir = m.environment(io.term), home()
	if dir := m.plan.Dir; dir != "" {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			return ending{"noexec", "rambox.cwd=" + dir + ": there is no such directory"}, nil
		}
		attr.Dir = dir
	}
	m.times.next("payload", nil)
	m.leaveReport()
	m.host.tell("start") // before the first output of the payload
	pid, done, err := m.start(program, argv, attr)
	io.started()
	if err != nil {
		return notStarted(program, err), nil
	}
	m.announce("running", argv[0])
	m.payload.Store(int64(pid))
	defer m.payload.Store(0)
	defer m.followWhenIdle()()

	select {
	case status := <-done:
		return m.endingOf(pid, status), nil
	case <-m.ctx.Done():
	}
	// Power was requested: stopAll asks every program to end, this one first
	// of all.
	unix.Kill(-pid, unix.SIGTERM)
	unix.Kill(-pid, unix.SIGCONT)
	select {
	case status := <-done:
		return m.endingOf(pid, status), context.Cause(m.ctx)
	case <-time.After(termWait):
	}
	unix.Kill(-pid, unix.SIGKILL)
	select {
	case status := <-done:
		return m.endingOf(pid, status), context.Cause(m.ctx)
	case <-time.After(killWait):
		return ending{"signal", "9"}, context.Cause(m.ctx)
	}
}

// notStarted tells a program that is not there (127) from one that cannot be
// executed (126), as a shell does.
func notStarted(program string, err error) ending {
	var st unix.Stat_t
	word := "noexec"
	if errors.Is(err, unix.ENOENT) && unix.Stat(program, &st) != nil {
		word = "notfound"
	}
	errno, _ := err.(syscall.Errno) // nothing has wrapped it
	return ending{word, fmt.Sprintf("exec %s: %v%s", program, err, execHint(program, errno))}
}

func (m *pid1) endingOf(pid int, status unix.WaitStatus) ending {
	if !status.Signaled() {
		return ending{"exit", strconv.Itoa(status.ExitStatus())}
	}
	detail := strconv.Itoa(int(status.Signal()))
	if status.Signal() == unix.SIGKILL && oomKilled(pid) {
		detail += " oom"
	}
	return ending{"signal", detail}
}

// oomKilled looks in the kernel's log for the line that the OOM killer writes
// ("Out of memory: Killed process 87 (app) …", __oom_kill_process, mm/oom_kill.c,
// v6.12). Only a program that died of SIGKILL is asked about.
func oomKilled(pid int) (killed bool) {
	victim := "Killed process " + strconv.Itoa(pid) + " "
	readKernelLog(func(record string) bool {
		// Facility 0 is the kernel's own, which a program cannot write.
		killed = len(record) > 1 && record[0] < '8' && record[1] == ',' && strings.Contains(record, victim)
		return !killed
	})
	return killed
}

// report tells rambox run how the payload ended, once its output has gone out.
func (m *pid1) report(end ending, io *stdio) {
	out, err := io.drain()
	m.sendReport()
	if end.failure() == nil && m.host.connected() {
		status, oom, _ := strings.Cut(end.detail, " ")
		m.host.tell(end.word, status, strconv.FormatInt(out, 10), strconv.FormatInt(err, 10), oom)
		m.host.awaitDone()
		return
	}
	m.host.tell(end.word, end.detail)
}
