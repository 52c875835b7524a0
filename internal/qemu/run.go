//go:build linux

package qemu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits on the guest's last moments.
const (
	panicGrace    = 3 * time.Second  // from the kernel's panic message to the end of QEMU: panic= may be missing
	powerOffGrace = 10 * time.Second // from the program's end to QEMU's; the init waits 5 s of it for our "done"
	reportGrace   = 3 * time.Second  // the same when the program never ran: the guest may offer a shell instead
	lastWords     = 2 * time.Second  // for streams to be emptied when QEMU has gone
)

// Names of the virtio-serial ports that the init looks for.
const (
	portControl = "rambox.control"
	portStdin   = "rambox.stdin"
	portStdout  = "rambox.stdout"
	portStderr  = "rambox.stderr"
)

// Run boots the guest, connects the program's streams and returns when it is over and all its output has been written.
// Result is filled in every case. The error is the host's side of it: QEMU could not run, a stream broke, bytes were lost.
// When ctx ends, Run kills the guest and returns: with StatusTimeout at its deadline, else with 128 + SIGINT.
func Run(ctx context.Context, s Session) (Result, error) {
	r := newRun(s)
	m := s.Machine
	m.Ports = []string{portControl, portStdin, portStdout, portStderr}
	// The guest must outlive ctx by the moment that it takes to save its last words.
	vm, err := Start(context.WithoutCancel(ctx), m, Options{Initrd: s.Initrd, GDB: s.GDB, Console: r.console})
	if err != nil {
		r.stdout.end()
		r.stderr.end()
		return Result{Status: StatusFailed, Reason: ReasonQEMU, Message: err.Error()}, err
	}
	return r.run(ctx, vm)
}

// run is the state of one session.
type run struct {
	s        Session
	vm       *VM
	began    time.Time
	console  *consoleReader
	stdout   *sink
	stderr   *sink
	statuses chan status
	panics   chan string
	progress chan struct{} // output has arrived
	broken   chan struct{} // the caller takes no more output
	drained  chan struct{} // console, control, stdout and stderr have been read to their ends
	quit     chan struct{} // loop has returned
	control  atomic.Bool   // the guest has spoken on the control port
	timings  *timingsLog   // nil: nobody has asked

	errMu sync.Mutex
	errs  []error // failures of the caller's streams

	// What follows belongs to the goroutine of loop.
	alarm   *time.Timer
	onAlarm Result  // what the end is put down to when alarm rings
	cut     Result  // why we ended the guest, if we did
	verdict *status // what the guest says about the program's end
	spare   *status // the same, from the console while the control port is in use
	panic   string  // the kernel's panic message
	feeding bool    // stdin is on its way
	started bool    // the program runs and can be sent signals
	asked   bool    // a ctrl-c has been passed on: the next one is for us
	done    bool    // all output is there
	marks   struct{ boot, start, end time.Time }
}

func newRun(s Session) *run {
	r := &run{
		s: s, began: time.Now(), console: newConsoleReader(s.Nonce),
		statuses: make(chan status), panics: make(chan string, 1),
		progress: make(chan struct{}, 1), broken: make(chan struct{}, 1), drained: make(chan struct{}), quit: make(chan struct{}),
		alarm: time.NewTimer(math.MaxInt64),
	}
	if s.Timings {
		r.timings = new(timingsLog)
	}
	if s.Timeout > 0 {
		r.setAlarm(s.Timeout, Result{
			Status: StatusTimeout, Reason: ReasonTimeout, Message: fmt.Sprintf("the time limit of %v ran out", s.Timeout),
		})
	}
	refused := func(err error) {
		r.fail(err)
		notify(r.broken)
	}
	r.stdout, r.stderr = newSink(s.Stdout, refused), newSink(s.Stderr, refused)
	c := r.console
	c.log, c.stdout, c.tty, c.control = s.ConsoleLog, r.stdout, s.TTY, &r.control
	c.status = r.report
	c.panicked = func(message string) {
		select {
		case r.panics <- message:
		default: // the first is enough
		}
	}
	return r
}

func (r *run) setAlarm(d time.Duration, cut Result) {
	r.onAlarm = cut
	r.alarm.Reset(d)
}

// run connects the streams, waits for the end and makes the result of it.
func (r *run) run(ctx context.Context, vm *VM) (Result, error) {
	r.vm = vm
	r.connect()
	r.loop(ctx)
	close(r.quit)
	vm.Kill()
	r.widen(math.MaxInt)
	select {
	case <-r.drained:
	case <-time.After(lastWords):
	}
	vm.Close()
	gone := time.Now()
	if r.verdict == nil {
		r.verdict = r.spare
	}
	if !r.flush(ctx) && r.verdict != nil {
		r.fail(errors.New("stopped before the program's output was written"))
	}
	res, err := r.result()
	res.ConsoleTail = withoutStatus(vm.ConsoleTail(), r.s.Nonce)
	res.Durations = r.durations(gone)
	res.Timings = r.timings.between(vm.began, gone, r.control.Load())
	return res, err
}

// connect starts the readers of the guest's streams.
func (r *run) connect() {
	progress := func() { notify(r.progress) }
	var readers sync.WaitGroup
	readers.Go(func() { r.stdout.copyFrom(r.vm.ports[portStdout], progress) })
	readers.Go(func() { r.stderr.copyFrom(r.vm.ports[portStderr], progress) })
	readers.Go(func() {
		readStatuses(r.vm.ports[portControl], r.timings, func(st status) {
			r.control.Store(true)
			r.report(st)
		})
	})
	readers.Go(func() {
		<-r.vm.silent
		r.console.finish()
	})
	go func() {
		readers.Wait()
		close(r.drained)
	}()
}

// loop returns when the guest is over, or is to be.
func (r *run) loop(ctx context.Context) {
	ended := r.vm.Ended()
	for {
		select {
		case st := <-r.statuses:
			r.heard(st)
		case <-r.progress:
		case <-r.broken:
			if r.verdict == nil && r.interrupted(syscall.SIGPIPE) {
				return
			}
		case message := <-r.panics:
			r.panicked(message)
		case size := <-r.s.Winsize:
			r.say(fmt.Sprintf("winsize %d %d", size.Rows, size.Cols))
		case sig := <-r.s.Signals:
			if r.interrupted(sig) {
				return
			}
		case <-ended:
			ended = nil
			r.widen(math.MaxInt)
			r.setAlarm(lastWords, Result{})
		case <-r.drained:
			return
		case <-r.alarm.C:
			r.cut = r.onAlarm
			return
		case <-ctx.Done():
			r.cut = contextResult(ctx)
			return
		}
		if r.delivered() && r.verdict.ran() && !r.s.Machine.Writable() {
			return // there is nothing that an orderly end would save
		}
	}
}

// flush waits until the caller has taken all output: as long as it takes when the program has ended by itself, unless
// the caller has had enough; for a moment otherwise. It reports whether the output was taken.
func (r *run) flush(ctx context.Context) bool {
	r.stdout.end()
	r.stderr.end()
	var limit <-chan time.Time
	if r.verdict == nil {
		limit = time.After(lastWords)
	}
	for _, s := range []*sink{r.stdout, r.stderr} {
		for waiting := true; waiting; {
			select {
			case <-s.flushed:
				waiting = false
			case sig := <-r.s.Signals:
				if r.interrupted(sig) {
					return false
				}
			case <-limit:
				return false
			case <-ctx.Done():
				return false
			}
		}
	}
	return true
}

func (r *run) widen(ahead int) {
	r.stdout.widen(ahead)
	r.stderr.widen(ahead)
}

// report hands a status line to loop.
func (r *run) report(st status) {
	select {
	case r.statuses <- st:
	case <-r.quit:
	}
}

// fail notes the failure of one of the caller's streams.
func (r *run) fail(err error) {
	r.errMu.Lock()
	defer r.errMu.Unlock()
	r.errs = append(r.errs, err)
}

// notify sends without waiting: one pending notice is as good as two.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
