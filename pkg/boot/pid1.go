//go:build linux

package boot

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rambox/pkg/cmdline"
	"rambox/pkg/kmod"
)

// pid1 is the running init.
type pid1 struct {
	args, env []string // as the kernel gave them
	own       bool     // the default payload is this program: see Main
	log       Log
	signals   chan os.Signal
	heed      sync.Once // see start
	children  *reaper
	events    *uevents
	modules   *kmod.Loader // nil when the image has none
	loading   sync.RWMutex // held for reading while modules load: see settle
	host      *host        // rambox run, when it has started this machine
	net       atomic.Pointer[network]
	disks     disks
	hooks     bool         // the image has some
	shared    int          // how many of plan.Late are mounted: another attempt goes on there
	line      cmdline.Args // what the plan was made of
	plan      Plan
	times     timeline
	payload   atomic.Int64 // its process group while it runs, else 0

	ctx    context.Context // ends when power is requested; its cause is a powerRequest
	cancel context.CancelCauseFunc
}

// powerRequest ends every wait: somebody wants the machine to stop.
type powerRequest struct{ action Action }

func (r powerRequest) Error() string { return string(r.action) + " requested" }

func newPID1(args, env []string) *pid1 {
	m := &pid1{args: args, env: env, log: Log{fd: 2}, children: newReaper(), events: &uevents{fd: -1}, signals: make(chan os.Signal, 64)}
	m.times.init = kernelClock()
	m.ctx, m.cancel = context.WithCancelCause(context.Background())
	return m
}

// run boots, and boots again after a rescue shell, until the machine ends or
// another program has taken the place of this one.
func (m *pid1) run() {
	signal.Ignore(faults[:]...)
	m.notify(lethal[:])
	m.spawn(func() {
		for { // serve ends only by a bug
			m.guard(func() error { m.serve(); return nil })
		}
	})
	for attempt := 1; ; attempt++ {
		err := m.guard(m.boot)
		if _, ok := m.powerRequested(); !ok {
			m.guard(func() error { m.rescue(err, attempt); return nil })
		}
		if action, ok := m.powerRequested(); ok {
			m.guard(func() error { m.end(action); return nil })
			m.reboot(action) // not reached, unless the orderly way has a bug
		}
	}
}

// guard turns a panic into an error: PID 1 must not die of a bug.
func (m *pid1) guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			m.log.Errorf("internal error: %v\n%s", r, debug.Stack())
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	return f()
}

// spawn is the only way to start a goroutine here: see guard.
func (m *pid1) spawn(f func()) {
	go m.guard(func() error { f(); return nil })
}

// serve handles signals for as long as the process lives.
func (m *pid1) serve() {
	for s := range m.signals {
		action, power := powerSignal(s)
		group := int(m.payload.Load())
		switch {
		case s == unix.SIGCHLD:
			m.children.reap()
		case power:
			m.requestPower(action)
		case group > 0 && forwarded(s):
			unix.Kill(-group, s.(unix.Signal))
		}
	}
}

// forwarded are the signals that mean something to a payload and nothing to
// init. Those that end the machine reach the payload as SIGTERM.
func forwarded(s os.Signal) bool {
	return s == unix.SIGHUP || s == unix.SIGQUIT
}

func (m *pid1) requestPower(a Action) { m.cancel(powerRequest{a}) }

func (m *pid1) powerRequested() (Action, bool) {
	// A type assertion: errors.As brings 28 KB of reflection.
	r, ok := context.Cause(m.ctx).(powerRequest)
	return r.action, ok
}

// boot goes from nothing to the handoff. It returns a powerRequest, or the
// reason why the handoff could not be made.
func (m *pid1) boot() error {
	m.times.restart()
	m.times.next(stageEarly, nil)
	problems := mountEarly()
	if m.log.fd == 2 {
		m.log = openLog()
	}
	for _, err := range problems {
		m.log.Warnf("%v", err)
	}
	// ctrl-alt-del becomes a SIGINT for PID 1 instead of a reset without sync.
	unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF)

	root := kmod.DirFS("/")
	img, err := ReadImage(root)
	if err != nil {
		m.log.Warnf("image: %v", err)
	}
	if m.own && img.Payload == nil {
		img.Payload = m.args[:1]
	}
	line, err := readFile("/proc/cmdline")
	if err != nil {
		m.log.Errorf("kernel command line: %v; going on without it", err)
	}
	// The newline is procfs's; after an open quote it would be part of a word.
	kernel := cmdline.Parse(strings.TrimSuffix(string(line), "\n"))
	m.line, _ = img.args(kernel)
	m.plan, err = NewPlan(kernel, img)
	for _, w := range m.plan.Warnings {
		m.log.Warnf("%s", w)
	}
	m.log.debug = m.plan.Debug
	m.log.Debugf("plan:\n%s", m.plan)
	if err != nil {
		return err
	}
	return m.carryOut(img)
}

// carryOut runs the stages of the plan.
func (m *pid1) carryOut(img Image) error {
	if name := m.plan.Hostname; name != "" {
		if err := unix.Sethostname([]byte(name)); err != nil {
			m.log.Warnf("set hostname %q: %v", name, err)
		}
	}
	if m.plan.atOnce() {
		return m.toShell()
	}
	m.hooks = hasHooks()
	if err := m.passed(stageEarly); err != nil {
		return err
	}
	for _, mnt := range m.plan.Mounts {
		if err := mountOne(mnt); err != nil {
			m.log.Warnf("fstab: %v", err)
		}
	}
	m.times.next(stageModules, nil)
	m.startNetwork()
	m.loadModules()
	m.networkProbed()
	if img.Hosted {
		m.times.next("ports", nil)
		m.attachHost()
	}
	m.times.next("", nil)
	if err := m.mountLate(); err != nil {
		return err
	}
	if err := m.passed(stageModules); err != nil {
		return err
	}
	if err := m.awaitNetwork(); err != nil {
		return err
	}
	if err := m.passed(stageNetwork); err != nil {
		return err
	}
	if m.plan.Handoff == ToRoot {
		return m.switchRoot()
	}
	m.times.next(stageHandoff, nil)
	if err := m.passed(stageHandoff); err != nil {
		return err
	}
	switch m.plan.Handoff {
	case ToShell:
		return m.toShell()
	case ToPayload:
		return m.runPayload()
	case ToInit:
		return m.stay()
	}
	return fmt.Errorf("no such handoff: %s", m.plan.Handoff)
}

// stay replaces init by the image's own, as PID 1.
func (m *pid1) stay() error {
	next := m.plan.Init[0]
	if same(next, "/proc/self/exe") {
		return fmt.Errorf("exec %s: it is rambox's own init; put another program there, or use rambox.payload=", next)
	}
	defer m.settle()()
	m.times.next("", nil)
	m.leaveReport()
	m.announce("running", next)
	m.log.Infof("staying in RAM, exec %s", next)
	return m.exec(next)
}

// exec replaces this process. The next init gets what the kernel would have
// given it.
func (m *pid1) exec(next string) error {
	argv := append([]string{next}, nextArgs(m.args[1:])...)
	env := append(m.env[:len(m.env):len(m.env)], m.plan.Environ...)
	err := unix.Exec(next, argv, env)
	return fmt.Errorf("exec %s: %w%s", next, err, execHint(next, err))
}

// nextArgs leaves out the words that were meant for us.
func nextArgs(args []string) []string {
	var next []string
	for _, a := range args {
		if a != "rambox" && a != "shell" {
			next = append(next, a)
		}
	}
	return next
}

// execHint says what an exec error means where errno alone misleads.
func execHint(path string, err error) string {
	switch err {
	case unix.ENOENT:
		if _, statErr := os.Stat(path); statErr == nil {
			return " (the file is there: its ELF or #! interpreter is not)"
		}
		return " (no such program)"
	case unix.ENOEXEC:
		return " (not a program for this machine, or a script without #!)"
	case unix.EACCES:
		return " (not a regular file, not executable, or on a file system mounted noexec)"
	}
	return ""
}

func same(a, b string) bool {
	fa, err := os.Stat(a)
	if err != nil {
		return false
	}
	fb, err := os.Stat(b)
	return err == nil && os.SameFile(fa, fb)
}

// await waits until done reports true, looking again after every uevent. It
// gives up after limit (WaitForever: never), or when power is requested, and
// says on the console every 30 s what it is waiting for.
func (m *pid1) await(what string, limit time.Duration, done func() bool) error {
	if done() {
		return nil
	}
	m.follow()
	over := m.times.wait(what)
	err := m.keepLooking(what, limit, done)
	over(err)
	return err
}

// keepLooking is the part of await that waits.
func (m *pid1) keepLooking(what string, limit time.Duration, done func() bool) error {
	start := time.Now()
	var deadline <-chan time.Time
	if limit != WaitForever {
		deadline = time.After(limit)
	}
	remind := time.NewTicker(30 * time.Second)
	defer remind.Stop()
	for {
		event := m.events.next()
		if done() {
			return nil
		}
		select {
		case <-event:
		case <-remind.C:
			m.log.Errorf("still waiting for %s, %v so far", what, time.Since(start).Round(time.Second))
		case <-deadline:
			return fmt.Errorf("%s did not appear within %v", what, limit)
		case <-m.ctx.Done():
			return context.Cause(m.ctx)
		}
	}
}

// findProgram looks a name without a slash up in PATH.
func findProgram(name string) string {
	if path.Base(name) != name {
		return name
	}
	for _, dir := range pathDirs {
		p := dir + "/" + name
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p
		}
	}
	return name
}
