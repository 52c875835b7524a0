package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
)

// debugOptions are the flags of rambox run that show what happens, and let it
// happen again.
type debugOptions struct {
	gdb, record     string
	keep, printQEMU bool
}

// defaultGDB is the port that gdb's and QEMU's manuals use.
const defaultGDB = "1234"

func (o *debugOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.gdb, "gdb", "", "wait for a debugger before the boot: --gdb (port 1234 of 127.0.0.1), --gdb=PORT (0: a free one) or --gdb=./SOCKET")
	f.Lookup("gdb").NoOptDefVal = defaultGDB
	f.StringVar(&o.record, "record", "", "record the program's output and its times to this file, as asciinema (with --verbose also the console)")
	f.BoolVar(&o.keep, "keep", false, "keep the image and say where it is")
	f.BoolVar(&o.printQEMU, "print-qemu", false, "print QEMU's command line as well (with --keep it can be run by hand)")
}

// debugger opens the door to a debugger, if one was asked for, and says how to
// enter.
func (o *debugOptions) debugger(k kernels.Kernel) (*qemu.GDBServer, error) {
	if o.gdb == "" {
		return nil, nil
	}
	server, err := qemu.ListenGDB(o.gdb)
	if err != nil {
		return nil, fmt.Errorf("--gdb=%s: %w", o.gdb, err)
	}
	argv := []string{"gdb"}
	symbols, ok := k.Symbols()
	if ok {
		argv = append(argv, symbols)
	}
	argv = append(argv, "-ex", "target remote "+server.Addr)
	if ok {
		// A breakpoint in memory would be lost when the kernel unpacks itself.
		argv = append(argv, "-ex", "hbreak start_kernel")
	} else {
		fmt.Fprintf(os.Stderr, "rambox: there is no vmlinux with symbols for %s; Debian has them in linux-image-%[1]s-dbg, and rambox kernel build keeps them\n", k.Release)
	}
	argv = append(argv, "-ex", "continue")
	fmt.Fprintf(os.Stderr, "rambox: the machine waits for: %s\n", qemu.ShellWords(argv...))
	return server, nil
}

// showMachine serves --keep and --print-qemu.
func (o *debugOptions) showMachine(m qemu.Machine, initrd *os.File) error {
	m.Initrd = "IMAGE"
	if o.keep {
		kept, err := keepImage(initrd)
		if err != nil {
			return err
		}
		m.Initrd = kept
		fmt.Fprintf(os.Stderr, "rambox: the image is %s\n", kept)
	}
	if !o.printQEMU {
		return nil
	}
	m.Disks = slices.Clone(m.Disks)
	for i, d := range m.Disks {
		if p, err := filepath.Abs(d.Path); err == nil {
			m.Disks[i].Path = p
		}
	}
	line, err := m.ShellLine()
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, line)
	return nil
}

func keepImage(initrd *os.File) (string, error) {
	f, err := os.CreateTemp("", "rambox-*.cpio")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, io.NewSectionReader(initrd, 0, 1<<62))
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("keep the image: %w", err)
	}
	return f.Name(), nil
}

// recording makes the recorder's copies of what a session shows. stop ends it
// and returns its first error.
func (o *debugOptions) recording(s *qemu.Session, args []string) (stop func() error, resized func(cols, rows int), err error) {
	if o.record == "" {
		return func() error { return nil }, func(int, int) {}, nil
	}
	r, err := newRecorder(o.record, args)
	if err != nil {
		return nil, nil, err
	}
	tees := []*tee{r.tee(s.Stdout, s.TTY), r.tee(s.Stderr, s.TTY)}
	s.Stdout, s.Stderr = tees[0], tees[1]
	if s.ConsoleLog != nil {
		tees = append(tees, r.tee(s.ConsoleLog, false))
		s.ConsoleLog = tees[2]
	}
	return func() error {
		for _, t := range tees {
			t.finish()
		}
		return r.Close()
	}, r.resized, nil
}

// again is the command line that shows more of a run that failed; "" when this
// one has shown all there is.
func (o *debugOptions) again(argv []string, r qemu.Result) string {
	failures := []string{qemu.ReasonPanic, qemu.ReasonDied, qemu.ReasonTimeout, qemu.ReasonBoot}
	if !slices.Contains(failures, r.Reason) || o.keep && o.printQEMU || len(argv) < 2 {
		return ""
	}
	more := []string{"--verbose", "--keep", "--print-qemu"}
	return qemu.ShellWords(slices.Concat(argv[:2], more, argv[2:])...)
}
