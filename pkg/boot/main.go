//go:build linux

package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"syscall"
)

// Main makes a program its own /init: main calls it and nothing else.
//
//	func main() {
//		boot.Main(func(ctx context.Context) error {
//			return serve(ctx, ":80")
//		})
//	}
//
// As PID 1 of an initramfs the program boots the machine as Rambox's init does:
// by the kernel's command line it mounts, loads modules and brings the network
// up. Then it runs f in a second process of the same program, which may do what
// any program may: start others, crash, panic. When f returns the machine ends
// as rambox.onexit= says, and a rambox run that has started it exits with f's
// status. Arguments (os.Args[1:]) are the words after "--" on the command line.
//
// Under any other PID, on a developer's machine, Main just runs f.
//
// ctx ends when the machine is asked to power off, reboot or halt (the process
// gets SIGTERM), or at SIGINT; f has five seconds then. The exit status is 0 if
// f returns nil, or the error of a ctx that has ended; that of the error's method
// ExitCode() int, as exec.ExitError has one; else 1. The error is printed to
// standard error. Main never returns.
func Main(f func(ctx context.Context) error) {
	if status, ok := called(os.Args); ok {
		os.Exit(status)
	}
	if os.Getpid() == 1 {
		m := newPID1(os.Args, os.Environ())
		m.own = true
		m.run()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := f(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // it has done as it was told
	}
	stop()
	os.Exit(exitStatus(err))
}

// exitStatus prints an error and returns the status that it stands for.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", path.Base(os.Args[0]), err)
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() < 256 {
		return exit.ExitCode()
	}
	return 1
}
