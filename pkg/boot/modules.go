//go:build linux

package boot

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"rambox/pkg/kmod"
)

// loadModules loads what the plan names and what the devices of the machine
// ask for; those of devices that appear later are left to follow. An image
// without modules, or a kernel without them, is fine.
func (m *pid1) loadModules() {
	if m.modules == nil && !m.openModules() {
		return
	}
	// Listening comes first: a device that appears while the present ones are
	// looked through is in one of the two.
	m.listen()
	// A driver that never comes back from finding its device must not take
	// the machine along.
	done := make(chan struct{})
	m.spawn(func() { defer close(done); m.loadAll() })
	select {
	case <-done:
	case <-m.ctx.Done():
	case <-time.After(moduleWait):
		m.log.Errorf("modules are still being loaded after %v; going on without them", moduleWait)
	}
}

// moduleWait is how long the modules of all devices may take.
const moduleWait = time.Minute

func (m *pid1) loadAll() {
	for _, name := range m.plan.Load {
		if err := m.modules.Load(m.ctx, name); err != nil {
			m.log.Warnf("%v", err)
		}
	}
	m.loadFor(m.plan.LoadFor...)
	m.coldplug()
}

// openModules reads the index of the modules for the running kernel.
func (m *pid1) openModules() bool {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		m.log.Warnf("uname: %v", err)
		return false
	}
	dir := "/lib/modules/" + unix.ByteSliceToString(name.Release[:])
	index, err := kmod.ReadIndex(kmod.DirFS(dir))
	if errors.Is(err, fs.ErrNotExist) {
		if len(m.plan.Load) > 0 {
			m.log.Warnf("modules %v are wanted, but the image has no %s/modules.dep", m.plan.Load, dir)
		}
		return false
	}
	if err != nil {
		m.log.Warnf("%v", err)
		return false
	}
	config, err := kmod.ReadConfig(kmod.DirFS("/run/modprobe.d"), kmod.DirFS("/etc/modprobe.d"), kmod.DirFS("/lib/modprobe.d"))
	if err != nil {
		m.log.Warnf("modprobe.d: %v", err)
	}
	m.modules = kmod.NewLoader(index.WithConfig(config), dir, kmod.Options{
		Params:    m.plan.ModuleParam,
		Blacklist: m.plan.Blacklist,
		Config:    config,
	})
	return true
}

func (m *pid1) coldplug() {
	if m.modules == nil {
		return
	}
	m.loading.RLock()
	defer m.loading.RUnlock()
	if err := m.modules.Coldplug(m.ctx); err != nil {
		m.log.Warnf("%v", err)
	}
}

// loadAlias loads the modules for a device that has just appeared.
func (m *pid1) loadAlias(alias string) {
	if m.modules == nil {
		return
	}
	m.loading.RLock()
	defer m.loading.RUnlock()
	if _, err := m.modules.LoadAlias(m.ctx, alias); err != nil {
		m.log.Warnf("%v", err)
	}
}

// settleWait is how long a module may hold up the handoff.
const settleWait = 10 * time.Second

// settle waits until no module is being loaded, and lets no other begin until
// resume is called: an exec would cut a driver off in the middle of finding
// its device.
func (m *pid1) settle() (resume func()) {
	if m.loading.TryLock() || within(settleWait, m.loading.Lock) {
		return m.loading.Unlock
	}
	m.log.Warnf("a module has been loading for %v; handing over all the same", settleWait)
	return func() {}
}

// loadFor loads the modules that something needs, which may be built in under
// any name.
func (m *pid1) loadFor(names ...string) {
	if m.modules == nil {
		return
	}
	for _, name := range names {
		if err := m.modules.Load(m.ctx, name); err != nil && !errors.Is(err, kmod.ErrNotFound) {
			m.log.Warnf("%v", err)
		}
	}
}
