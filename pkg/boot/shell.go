//go:build linux

package boot

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// pathDirs are searched for programs, and make the PATH of everything that
// init starts.
var pathDirs = [...]string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// toShell is the handoff to a shell: leaving it ends the machine as the end of
// a payload does.
func (m *pid1) toShell() error {
	m.times.next("", nil)
	m.leaveReport()
	m.log.Infof("%s: %s", m.plan.Reason, m.plan.Shell)
	if err := m.runShell(); err != nil {
		return err
	}
	action := m.plan.OnExit
	if action == Shell {
		action = PowerOff
	}
	m.requestPower(action)
	return context.Cause(m.ctx)
}

// runShell runs a login shell on the console until it ends.
func (m *pid1) runShell() error {
	tty, name, err := openConsole()
	if err != nil {
		return fmt.Errorf("a console for the shell: %w", err)
	}
	defer unix.Close(tty)
	sane(tty)

	attr := onTerminal(tty)
	attr.Env, attr.Dir = m.environment(termType(name)), home()
	// A dash before the name makes a login shell, which reads /etc/profile.
	argv := []string{"-" + path.Base(m.plan.Shell)}
	if path.Base(m.plan.Shell) == "busybox" {
		argv = []string{"-sh"}
	}
	_, done, err := m.start(m.plan.Shell, argv, attr)
	if err != nil {
		return fmt.Errorf("start %s: %w%s", m.plan.Shell, err, execHint(m.plan.Shell, err))
	}
	defer m.followWhenIdle()()
	select {
	case <-done:
		return nil
	case <-m.ctx.Done():
		return context.Cause(m.ctx)
	}
}

// environment is what a shell or a payload gets: the kernel's, the image's,
// and what every program expects.
func (m *pid1) environment(term string) []string {
	env := []string{"PATH=" + strings.Join(pathDirs[:], ":"), "HOME=" + home(), "USER=root", "LOGNAME=root", "TERM=" + term}
	if m.plan.Shell != "" {
		env = append(env, "SHELL="+m.plan.Shell)
	}
	for _, e := range m.env {
		if !isKernelDefault(e) {
			env = setenv(env, e)
		}
	}
	for _, e := range m.plan.Environ {
		env = setenv(env, e)
	}
	return env
}

// setenv replaces the variable of "K=V" in env, or adds it.
func setenv(env []string, kv string) []string {
	name, _, _ := strings.Cut(kv, "=")
	for i, e := range env {
		if strings.HasPrefix(e, name+"=") {
			env[i] = kv
			return env
		}
	}
	return append(env, kv)
}

func home() string {
	if st, err := os.Stat("/root"); err == nil && st.IsDir() {
		return "/root"
	}
	return "/"
}
