package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
)

// autoMemory is the --memory that asks for the least with which a run succeeds.
const autoMemory = "auto"

// mostMemory, in MiB, is what the first run of a search has.
const mostMemory = 1024

// checkAuto refuses what makes no sense with many machines in the place of one.
func (o *runOptions) checkAuto() error {
	for flag, given := range map[string]bool{
		"--tty or --shell": o.tty, "--gdb": o.gdb != "", "--record": o.record != "", "--timings": o.timings != "", "--keep or --print-qemu": o.keep || o.printQEMU,
	} {
		if given {
			return fmt.Errorf("--memory auto boots many machines, one after the other: it goes without %s", flag)
		}
	}
	return nil
}

// memorySearch finds the least memory with which a run succeeds: with which the
// program ends by itself with status 0.
type memorySearch struct {
	o       *runOptions
	kernel  kernels.Kernel
	session qemu.Session // that of the first run
	input   *replay
	image   func(m qemu.Machine) (*os.File, error) // makes one for that memory
	packed  *os.File                               // the image for little memory, once it has been needed
	limit   time.Duration                          // for each run; 0 is none
}

// leastMemory runs the program once as ever, with much memory, and then silently
// with less and less. It prints the least that was enough. The disks of the host
// are not changed.
//
// image makes the image for a machine; s has that for much memory.
func (o *runOptions) leastMemory(ctx context.Context, kernel kernels.Kernel, s qemu.Session, image func(qemu.Machine) (*os.File, error)) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	if err := o.accelerate(ctx, kernel, &s.Machine); err != nil {
		return err
	}
	f := memorySearch{o: o, kernel: kernel, session: s, input: newReplay(os.Stdin), image: image, limit: o.timeout}
	defer f.close()
	f.session.Stdout, f.session.Stderr = os.Stdout, os.Stderr
	if o.verbose {
		f.session.ConsoleLog = os.Stderr
	}
	first, err := f.run(ctx, mostMemory)
	if err := errors.Join(err, o.finish(first)); err != nil {
		return err
	}
	f.limit = cmp.Or(f.limit, 3*first.Durations.Total+10*time.Second)
	f.session.Stdout, f.session.Stderr, f.session.ConsoleLog = nil, nil, nil

	size, err := kernel.Memory()
	if err != nil {
		return err
	}
	line := newProgress()
	found, why, err := leastEnough(int(size/mebibyte), mostMemory, func(mb int) (string, error) {
		fmt.Fprintf(line, "%d MB?\n", mb)
		r, err := f.run(ctx, mb)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		why := shortage(r)
		if why == "" && err != nil {
			why = err.Error()
		}
		if o.verbose {
			fmt.Fprintf(os.Stderr, "rambox: %d MB: %s\n", mb, cmp.Or(why, "enough"))
		}
		return why, nil
	})
	line.done()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "rambox: %d MB is enough, %d MB is not: %s\n", found, found-1, why)
	return nil
}

// run boots the machine with a size of memory in MiB.
func (f *memorySearch) run(ctx context.Context, mb int) (qemu.Result, error) {
	o := *f.o
	o.memory = fmt.Sprint(mb, "M")
	m, err := o.machineFor(f.kernel)
	if err != nil {
		return qemu.Result{}, err
	}
	was := f.session.Machine
	m.Net, m.Shares, m.Accel = was.Net, was.Shares, was.Accel
	m.Cmdline = strings.Join(append(clockWords(f.kernel, m), m.Cmdline), " ")
	if len(m.Disks) > 0 {
		m.Extra = append(m.Extra, "-snapshot") // the next run is to find what this one has found
	}
	s := f.session
	if m.Little() && o.initrd == "" {
		if f.packed == nil {
			if f.packed, err = f.image(m); err != nil {
				return qemu.Result{}, err
			}
		}
		s.Initrd = f.packed
	}
	s.Machine, s.Stdin, s.Timeout = m, f.input.reader(), f.limit
	return qemu.Run(ctx, s)
}

func (f *memorySearch) close() {
	if f.packed != nil {
		f.packed.Close()
	}
}

// leastEnough looks for the least size, in MiB, with which try says nothing, which
// is that it was enough; otherwise try says why not. most is known to be enough,
// least is believed to be too little. Near the limit chance decides, so a size
// counts when it is enough twice more. why is what was missing with one MiB less.
func leastEnough(least, most int, try func(mb int) (string, error)) (found int, why string, err error) {
	low, high := max(least, 0), most // low is too little, high is enough
	for {
		for low+1 < high {
			mid := low + (high-low)/2
			if high > 4*(low+1) { // much is unlikely to be needed
				mid = low + (high-low)/4
			}
			short, err := try(mid)
			if err != nil {
				return 0, "", err
			}
			if short == "" {
				high = mid
			} else {
				low, why = mid, short
			}
		}
		if why == "" && low > 0 { // it was only believed
			if why, err = try(low); err != nil {
				return 0, "", err
			}
			if why == "" {
				low, high = low-1, low
				continue
			}
		}
		short, err := twice(high, try)
		if short == "" || err != nil {
			return high, why, err
		}
		if high == most {
			return 0, "", fmt.Errorf("%d MB were enough once, and then not: %s", most, short)
		}
		low, why, high = high, short, high+1
	}
}

// twice tries a size twice, or until it is too little.
func twice(mb int, try func(mb int) (string, error)) (why string, err error) {
	for n := 0; n < 2 && why == "" && err == nil; n++ {
		why, err = try(mb)
	}
	return why, err
}

// shortage is what ended a run that had too little memory, in words that follow
// "is not: "; "" if it had enough.
func shortage(r qemu.Result) string {
	unpacking := strings.Contains(r.ConsoleTail, "Initramfs unpacking failed")
	switch {
	case r.Ok() && r.Status == 0:
		return ""
	case r.OOM:
		return "out of memory while the program runs"
	case r.Reason == qemu.ReasonExit:
		return fmt.Sprintf("the program ends with status %d", r.Status)
	case r.Reason == qemu.ReasonSignal, r.Reason == qemu.ReasonTimeout, r.Reason == qemu.ReasonBoot && !unpacking:
		return r.Message
	case unpacking:
		return "out of memory while the kernel unpacks the image"
	case r.Durations.Boot > 0:
		return "out of memory when init is up: " + r.Message
	case strings.Contains(r.ConsoleTail, "out of memory"), strings.Contains(r.ConsoleTail, "deadlocked on memory"), strings.Contains(r.ConsoleTail, "Out of memory"):
		return "out of memory while init starts"
	default:
		return "the kernel does not come up: " + r.Message
	}
}

// clockWords keep a kernel of ours from measuring the timer of its APIC, for which
// it waits 200 ms under TCG: one processor does as well with another timer. Under
// KVM it knows its clock, and with more processors it needs them.
func clockWords(k kernels.Kernel, m qemu.Machine) []string {
	if x86 := m.Arch == "amd64" || m.Arch == "386"; !x86 || !k.Own() || m.Accel != "tcg" || m.SMP > 1 {
		return nil
	}
	return []string{"noapictimer"}
}
