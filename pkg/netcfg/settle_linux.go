package netcfg

import (
	"errors"
	"strings"
	"time"
)

// settle tells once that nobody need wait any more.
func (r *runner) settle(err error) {
	if !r.settled {
		r.settled = true
		r.opt.Notify(Event{Kind: Settled, Err: err})
	}
}

// checkSettled settles when every job is done or given up.
func (r *runner) checkSettled(now time.Time) {
	if r.settled {
		return
	}
	var missing []error
	for _, j := range r.jobs {
		if j.configured() {
			continue
		}
		until, why := r.patience(j)
		if now.Before(until) {
			return
		}
		missing = append(missing, errors.New(why))
	}
	r.settle(errors.Join(missing...))
}

// settleBy is the next time at which a job may be given up; zero is never.
func (r *runner) settleBy() time.Time {
	var by time.Time
	if r.settled {
		return by
	}
	for _, j := range r.jobs {
		if j.configured() {
			continue
		}
		if until, _ := r.patience(j); until.After(by) {
			by = until
		}
	}
	return by
}

func (j *job) configured() bool { return j.winner != nil && j.winner.config().Addr.IsValid() }

// patience is how long to wait for a job as things stand, and why it is not
// done: no device, no carrier, no answer.
func (r *runner) patience(j *job) (until time.Time, why string) {
	until = r.started.Add(r.plan.Timeout)
	var names, doing []string
	var seen time.Time
	for _, p := range j.ports {
		names = append(names, p.link.Name)
		switch {
		case !p.link.Carrier:
		case p.client != nil:
			doing = append(doing, p.link.Name+": "+p.client.String())
		case p.six != nil:
			doing = append(doing, p.link.Name+": "+p.six.String())
		}
		if seen.IsZero() || p.seen.Before(seen) {
			seen = p.seen
		}
	}
	at := until
	switch {
	case len(doing) > 0:
		return until, strings.Join(doing, ", ")
	case j.spec.Method.router() && !r.ipv6 && r.probed:
		return r.started, errNoIPv6.Error()
	case len(names) == 0:
		why, at = "no "+j.spec.wanted(), r.started.Add(r.plan.DeviceTimeout)
	default:
		why, at = "no carrier on "+strings.Join(names, ", "), seen.Add(r.plan.CarrierTimeout)
	}
	switch {
	case r.plan.Mode == ModeWait:
		at = until
	case r.plan.Mode == ModeAuto && r.probed:
		at = r.started
	case r.plan.Mode == ModeAuto:
		at = until
	}
	if at.After(until) {
		at = until
	}
	return at, why
}

// wanted describes the device that a spec is for.
func (s Spec) wanted() string {
	switch {
	case s.Device != "":
		return "device " + s.Device
	case !s.HW.IsZero():
		return "device with address " + s.HW.String()
	case s.BootDev:
		return "device that BOOTIF= names"
	}
	return "Ethernet device"
}
