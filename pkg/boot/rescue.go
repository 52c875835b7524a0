//go:build linux

package boot

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rambox/pkg/kmod"
)

// quickShell is how long a rescue shell lives at least when a person sits at
// it; maxQuickShells how many shorter ones in a row mean that nobody does, or
// that the terminal is gone.
const (
	quickShell     = time.Second
	maxQuickShells = 3
)

// rescue is what follows a failure: a report on every console, then the
// policy. With a shell it returns when the shell has been left, and the boot
// is tried again.
func (m *pid1) rescue(failure error, attempt int) {
	p := m.plan.Rescue
	m.times.next("", failure)
	m.leaveReport()
	m.log.Errorf("boot failed: %v", failure)
	m.sendReport()
	m.host.tell("failed", fmt.Sprint(failure))
	if p.Do == "" {
		p.Do = PowerOff // there is no plan: the failure came before it
	}
	told := m.announce("failed", fmt.Sprint(failure))
	m.everyConsole(m.failureReport(failure, p))

	if p.Do == Shell {
		start := time.Now()
		err := m.runShell()
		if err == nil && (time.Since(start) > quickShell || attempt < maxQuickShells) {
			m.log.Infof("the rescue shell has ended; trying to boot again")
			return
		}
		if err == nil {
			err = fmt.Errorf("it ended at once, %d times", attempt)
		}
		if _, ok := m.powerRequested(); ok {
			return
		}
		m.log.Errorf("rescue shell: %v; powering off", err)
		p.Do = PowerOff
	}
	told()
	if p.After > 0 {
		m.log.Errorf("%s in %v", p.Do, p.After)
		select {
		case <-time.After(p.After):
		case <-m.ctx.Done():
		}
	}
	m.requestPower(p.Do)
}

// everyConsole prints on each console of the kernel, past the log: quiet must
// not hide why a machine does not boot.
func (m *pid1) everyConsole(text string) {
	text = strings.ReplaceAll(text, "\n", "\r\n")
	names, err := ActiveConsoles(kmod.DirFS("/sys"))
	if err != nil {
		names = []string{"console"}
	}
	for _, name := range names {
		fd, err := unix.Open("/dev/"+name, unix.O_WRONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		// A serial line that nobody reads may take no more.
		within(5*time.Second, func() { writeAll(fd, []byte(text)); drainConsole(fd) })
		unix.Close(fd)
	}
}

// failureReport is the page that a person reads who comes to a machine that
// did not boot.
func (m *pid1) failureReport(failure error, p Rescue) string {
	var b strings.Builder
	section := func(name string, lines ...string) {
		if len(lines) == 0 {
			lines = []string{"none"}
		}
		fmt.Fprintf(&b, "\n%s\n", name)
		for _, l := range lines {
			fmt.Fprintf(&b, "  %s\n", l)
		}
	}
	line, _ := readFile("/proc/cmdline")

	b.WriteString("\n--- rambox: this machine did not boot ---\n")
	section("What failed", strings.Split(failure.Error(), "\n")...)
	section("Kernel command line", strings.TrimSpace(string(line)))
	section("What was to be done", strings.Split(strings.TrimSpace(m.plan.String()), "\n")...)
	section("What was tried", m.times.lines()...)
	section("Block devices", m.blockDevices()...)
	section("Network links", list("/sys/class/net")...)
	section("Devices without a driver", m.unmatched()...)
	var next string
	switch p.Do {
	case Shell:
		next = "A shell follows. Leave it (exit) to try the boot again; poweroff or reboot end the machine."
	default:
		next = "The machine will " + string(p.Do) + " now (rambox.rescue=)."
		if p.After > 0 {
			next = fmt.Sprintf("The machine will %s in %v (panic=).", p.Do, p.After)
		}
	}
	section("What next", next)
	b.WriteString("\n")
	return b.String()
}

// unmatched lists the modaliases that no driver has taken.
func (m *pid1) unmatched() []string {
	if m.modules == nil {
		return []string{"unknown: the image has no modules for this kernel"}
	}
	aliases, err := m.modules.Unmatched()
	if err != nil {
		return append(aliases, err.Error())
	}
	return aliases
}
