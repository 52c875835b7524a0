package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// exitError ends the program with a status. Its message, if any, has been
// printed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// execute runs the command line and returns the exit status.
func execute(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:   "rambox",
		Short: "From a Linux kernel to a program, the short way",
		Long: "rambox builds initramfs images around its own PID 1, boots them in QEMU with the exit status of a program, " +
			"and explains what an image will do.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(runCommand(), buildCommand(), isoCommand(), ukiCommand(), inspectCommand(), explainCommand(), kernelCommand(), serveCommand())
	root.AddCommand(extraCommands()...)
	addCompletions(root)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var status exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(os.Stderr, "rambox: %v\n", err)
	if cmd.Name() == "run" {
		return statusFailed
	}
	return 1
}

// initPath is the init that goes into images: the one named, else that beside
// this program.
func initPath(named, arch string) (string, error) {
	if named != "" {
		return named, nil
	}
	p, err := besideUs("init", arch)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; name it with --init, or run: make", err)
	}
	return p, err
}

// besideUs is the path of a program of the guest that make has built beside
// this one, for an architecture; "" is this machine's. Other architectures have
// directories of their own.
func besideUs(name, arch string) (string, error) {
	if foreign(arch) {
		name = filepath.Join(arch, name)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", err
	}
	// The installed place comes first: /bin/init may be the host's own.
	dir := filepath.Dir(self)
	installed := filepath.Join(filepath.Dir(dir), "lib", "rambox")
	for _, d := range []string{installed, dir} {
		p := filepath.Join(d, name)
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("no %s beside %s nor in %s (%w)", name, self, installed, fs.ErrNotExist)
}
