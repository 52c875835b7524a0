//go:build linux

package boot

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// reaper owns wait4: it is the only place of the process that waits for
// children. PID 1 inherits every orphan of the machine, so a second waiter
// would take statuses that this one owes, and the other way round.
type reaper struct {
	mu      sync.Mutex
	waiting map[int]chan unix.WaitStatus
	idle    chan struct{} // closed when there are no children at all; nil when nobody asks
}

func newReaper() *reaper {
	return &reaper{waiting: map[int]chan unix.WaitStatus{}}
}

// start forks and execs. The returned channel gets the status once and never
// blocks the reaper.
func (r *reaper) start(path string, argv []string, attr *syscall.ProcAttr) (pid int, done <-chan unix.WaitStatus, err error) {
	// The lock spans the fork, so that no status can be reaped before the
	// process is known.
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err = syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, nil, err
	}
	ch := make(chan unix.WaitStatus, 1)
	r.waiting[pid] = ch
	return pid, ch, nil
}

// reap collects every child that has ended. It is called for each SIGCHLD;
// several deaths may share one.
func (r *reaper) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil: // ECHILD
			r.mu.Lock()
			if r.idle != nil {
				close(r.idle)
				r.idle = nil
			}
			r.mu.Unlock()
			return
		case pid == 0:
			return
		}
		r.mu.Lock()
		if ch, ok := r.waiting[pid]; ok {
			ch <- status
			delete(r.waiting, pid)
		}
		r.mu.Unlock()
	}
}

// childless returns a channel that is closed when no child is left.
func (r *reaper) childless() <-chan struct{} {
	r.mu.Lock()
	if r.idle == nil {
		r.idle = make(chan struct{})
	}
	ch := r.idle
	r.mu.Unlock()
	r.reap()
	return ch
}
