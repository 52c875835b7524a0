//go:build linux

package boot

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Command is the main function of /init. args and env are the process's own,
// as the kernel gave them. The name under which it was called decides what it
// is: poweroff, reboot and halt ask the running PID 1 to end the machine,
// renew_ip renews its leases, modprobe loads modules, for the kernel too; under any other name, as PID 1, it boots and
// never returns. The result is an exit status.
func Command(args, env []string) int {
	if status, ok := called(args); ok {
		return status
	}
	if os.Getpid() != 1 {
		fmt.Fprintf(os.Stderr, "%s: this is an init: the kernel runs it as PID 1, from the initramfs as /init\n"+
			"To boot it in a virtual machine: rambox run -- PROGRAM\n", args[0])
		return 2
	}
	newPID1(args, env).run()
	return 0 // not reached
}

// called does what init does under its other names.
func called(args []string) (status int, ok bool) {
	switch name := path.Base(args[0]); name {
	case "poweroff", "reboot", "halt":
		return requestPower(Action(name), args[1:]), true
	case "modprobe":
		return modprobe(args[1:]), true
	default:
		return netCommand(name, args[1:])
	}
}

// requestPower signals PID 1, whichever init it is by now. With -f it does not
// ask: it syncs and ends the machine by itself.
func requestPower(a Action, args []string) int {
	force := false
	for _, arg := range args {
		switch arg {
		case "-f", "--force":
			force = true
		case "-h", "--help":
			fmt.Printf("usage: %s [-f]\nAsks PID 1 to stop all programs, unmount and %s. With -f: sync and %[1]s at once.\n", a, a)
			return 0
		default:
			fmt.Fprintf(os.Stderr, "%s: %s: want no argument but -f\n", a, arg)
			return 2
		}
	}
	if force {
		unix.Sync()
		if err := unix.Reboot(rebootCommand(a)); err != nil {
			fmt.Fprintf(os.Stderr, "%s: reboot: %v\n", a, err)
			return 1
		}
		return 0
	}
	s := unix.SIGUSR2
	switch a {
	case Reboot:
		s = unix.SIGTERM
	case Halt:
		s = unix.SIGUSR1
	}
	if err := unix.Kill(1, s); err != nil {
		fmt.Fprintf(os.Stderr, "%s: signal PID 1: %v\n", a, err)
		return 1
	}
	return 0
}

func rebootCommand(a Action) int {
	command := uint32(unix.LINUX_REBOOT_CMD_POWER_OFF)
	switch a {
	case Reboot:
		command = unix.LINUX_REBOOT_CMD_RESTART
	case Halt:
		command = unix.LINUX_REBOOT_CMD_HALT
	}
	return int(command) // negative where int has 32 bits; the kernel takes it as unsigned
}
