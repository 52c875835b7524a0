//go:build linux

package qemu

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// result says how it ended, when it has. The guest's own word counts most, then what made us end it.
func (r *run) result() (Result, error) {
	select {
	case message := <-r.panics: // loop may have seen the end first
		r.panicked(message)
	default:
	}
	var res Result
	var err error
	switch {
	case r.verdict != nil:
		res = verdictResult(*r.verdict)
		err = r.lost()
	case r.cut.Reason != "":
		res = r.cut
		res.Message += r.progressSoFar()
	case r.panic != "":
		res = Result{Status: StatusDied, Reason: ReasonPanic, Message: "the guest's kernel panicked: " + r.panic}
	default:
		res, err = r.unexplained()
	}
	r.errMu.Lock()
	defer r.errMu.Unlock()
	return res, errors.Join(append(r.errs, err)...)
}

// lost reports output that the guest sent and that never arrived.
func (r *run) lost() error {
	out, err := r.stdout.count(), r.stderr.count()
	if out >= r.verdict.out && err >= r.verdict.err {
		return nil
	}
	return fmt.Errorf("output was lost: %d of %d bytes of stdout and %d of %d of stderr arrived", out, r.verdict.out, err, r.verdict.err)
}

// progressSoFar says where the guest was, for the message of a session that was cut short.
func (r *run) progressSoFar() string {
	switch {
	case !r.marks.start.IsZero():
		return "; the program was running"
	case !r.marks.boot.IsZero():
		return "; the guest was booting: its init was up, the program was not"
	default:
		return "; the guest's init never came up"
	}
}

// unexplained is the result when QEMU has ended and nobody has said why.
func (r *run) unexplained() (Result, error) {
	select {
	case <-r.vm.ended:
	default:
		err := errors.New("QEMU cannot be killed")
		return Result{Status: StatusDied, Reason: ReasonDied, Message: err.Error()}, err
	}
	err := r.vm.exit.Err()
	switch up := !r.marks.boot.IsZero() || !r.marks.start.IsZero(); {
	case err != nil && !up:
		return Result{Status: StatusFailed, Reason: ReasonQEMU, Message: err.Error()}, err
	case err != nil:
		return Result{Status: StatusDied, Reason: ReasonDied, Message: err.Error()}, err
	default:
		return Result{Status: StatusDied, Reason: ReasonDied, Message: "the guest ended without a word" + r.progressSoFar()}, nil
	}
}

func contextResult(ctx context.Context) Result {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Result{Status: StatusTimeout, Reason: ReasonTimeout, Message: "the time limit ran out"}
	}
	const sigint = 2
	return Result{Status: statusSignal + sigint, Reason: ReasonInterrupted, Message: fmt.Sprintf("stopped: %v", context.Cause(ctx))}
}

func (r *run) durations(gone time.Time) Durations {
	between := func(from, to time.Time) time.Duration {
		if from.IsZero() || to.IsZero() {
			return 0
		}
		return to.Sub(from)
	}
	m := r.marks
	return Durations{
		Boot: between(r.began, m.boot), Program: between(m.start, m.end), Shutdown: between(m.end, gone), Total: time.Since(r.began),
	}
}
