//go:build linux

package main

import "time"

// outcome is what a failed try says about its mirror.
type outcome int

const (
	cut      outcome = iota // the mirror may do better next time
	advanced                // the same, and the image is a good deal further
	refused                 // another mirror may do better
	final                   // this mirror is not worth asking again
)

// rota says whose turn it is and how long to wait. It does no I/O and reads no
// clock. The failures are bounded; tries that bring the image further are free.
type rota struct {
	tries    int           // failures that end a mirror's turn
	rounds   int           // turns of each mirror
	delay    time.Duration // before the second try of a mirror; then it doubles
	maxDelay time.Duration
	mirrors  []turns
	current  int // index of the mirror to ask
}

type turns struct {
	failures int // in this turn
	backoff  int // failures since the image has last come further
	taken    int // turns
	done     bool
}

// failed notes how a try of the current mirror has ended. It returns how long to
// wait before the next try, which is of the mirror that is then the current
// one; ok is false when there is none left.
func (r *rota) failed(o outcome) (wait time.Duration, ok bool) {
	m := &r.mirrors[r.current]
	m.backoff++
	m.failures++
	if o == advanced {
		m.backoff, m.failures = 1, 0
	}
	if o == refused || o == final || m.failures >= r.tries {
		m.failures = 0
		m.taken++
		m.done = o == final || m.taken >= r.rounds
		if !r.pass() {
			return 0, false
		}
	}
	return r.wait(r.mirrors[r.current].backoff), true
}

// pass gives the turn to the next mirror that is not done.
func (r *rota) pass() bool {
	for range r.mirrors {
		r.current = (r.current + 1) % len(r.mirrors)
		if !r.mirrors[r.current].done {
			return true
		}
	}
	return false
}

// wait returns the pause after so many failures.
func (r *rota) wait(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	d := r.delay
	for range failures - 1 {
		if d = 2 * d; d >= r.maxDelay {
			return r.maxDelay
		}
	}
	return d
}
