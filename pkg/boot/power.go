//go:build linux

package boot

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// How long each step of a shutdown may take.
const (
	termWait = 5 * time.Second  // for programs to end by themselves
	killWait = 2 * time.Second  // for the kernel to remove them
	syncWait = 20 * time.Second // for dirty data: a dead disk must not hold the machine
)

// end stops every program, writes out and unmounts what there is, and ends the
// machine. It does not return.
func (m *pid1) end(a Action) {
	m.stopAll()
	if !within(syncWait, unix.Sync) {
		m.log.Errorf("sync did not end within %v; going on", syncWait)
	}
	if !within(syncWait, m.unmountAll) {
		m.log.Errorf("unmounting did not end within %v; going on", syncWait)
	}
	m.reboot(a)
}

// stopAll ends all programs but this one: SIGTERM, time to obey, SIGKILL.
func (m *pid1) stopAll() {
	m.leaveNetwork()
	for _, step := range [...]struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, termWait}, {unix.SIGKILL, killWait}} {
		gone := m.children.childless()
		select {
		case <-gone:
			return
		default:
		}
		unix.Kill(-1, step.signal)
		hangUp()
		unix.Kill(-1, unix.SIGCONT) // a stopped program could not obey
		select {
		case <-gone:
			return
		case <-time.After(step.wait):
		}
	}
	m.log.Errorf("some programs did not end after SIGKILL; going on")
}

// hangUp sends SIGHUP to the programs at a terminal: an interactive shell heeds
// it and ignores SIGTERM. To any other it may mean something else.
func hangUp() {
	for _, name := range list("/proc") {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == 1 {
			continue
		}
		if stat, err := readFile("/proc/" + name + "/stat"); err == nil && atTerminal(string(stat)) {
			unix.Kill(pid, unix.SIGHUP)
		}
	}
}

// atTerminal reads /proc/PID/stat (proc_pid_stat(5)): after the name, which may
// have any characters, come state, ppid, pgrp, session and tty_nr, 0 for none.
func atTerminal(stat string) bool {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	return len(f) > 4 && f[4] != "0"
}

// within runs f and reports whether it ended in time. If it did not, it keeps
// its thread.
func within(limit time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { recover() }()
		f()
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}

// unmountAll unmounts every file system that can hold data, the last mounted
// first, and makes read-only what is still in use.
func (m *pid1) unmountAll() {
	targets, err := storedMounts()
	if err != nil {
		m.log.Warnf("list mounts: %v", err)
	}
	for i := len(targets) - 1; i >= 0; i-- {
		t := targets[i]
		if unix.Unmount(t, unix.UMOUNT_NOFOLLOW) == nil {
			continue
		}
		if err := unix.Mount("", t, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			m.log.Warnf("unmount %s: in use, and remount read-only: %v", t, err)
		}
	}
}

// storedMounts lists the mount points that are not the kernel's own or in
// memory only, in the order in which they were mounted.
func storedMounts() ([]string, error) {
	text, err := readFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	nodev, err := readFile("/proc/filesystems")
	if err != nil {
		return nil, err
	}
	var targets []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		network := f[2] == "nfs" || f[2] == "nfs4" || f[2] == "9p" || f[2] == "virtiofs" || f[2] == "cifs" || f[2] == "overlay" || strings.HasPrefix(f[2], "fuse")
		if network || !strings.Contains(string(nodev), "nodev\t"+f[2]+"\n") {
			targets = append(targets, unescape(f[1]))
		}
	}
	return targets, nil
}

// reboot is the last call of a machine. Where the kernel has no way to power
// off it would halt without a word (reboot, kernel/reboot.c, v6.12), so that
// is said, and the policy may prefer a reset.
func (m *pid1) reboot(a Action) {
	if a == PowerOff && !canPowerOff() {
		m.log.Errorf("this kernel cannot power the machine off (no ACPI); doing %s instead (rambox.nopower=)", m.plan.NoPower)
		a = m.plan.NoPower
	}
	err := unix.Reboot(rebootCommand(a))
	m.log.Errorf("%s: reboot: %v; it is safe to switch the machine off", a, err)
	for {
		time.Sleep(time.Hour)
	}
}

// canPowerOff guesses what kernel_can_power_off answers inside the kernel: a
// PC powers off by ACPI; other architectures by firmware that is always there.
func canPowerOff() bool {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "386" {
		return true
	}
	_, err := os.Stat("/sys/firmware/acpi")
	return err == nil
}
