//go:build linux

// Command init is PID 1 of an initramfs. Called poweroff, reboot or halt it
// asks the running PID 1 to end the machine.
package main

import (
	"os"

	"rambox/pkg/boot"
)

func main() {
	os.Exit(boot.Command(os.Args, os.Environ()))
}
