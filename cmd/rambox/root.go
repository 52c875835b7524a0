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
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(runCommand(), buildCommand(), inspectCommand(), explainCommand(), kernelCommand())
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
func initPath(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	p, err := besideUs("init")
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; name it with --init, or run: make", err)
	}
	return p, err
}

// besideUs is the path of a program that make has built beside this one.
func besideUs(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", err
	}
	p := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(p); err != nil {
		return "", fmt.Errorf("no %s beside %s (%w)", name, self, fs.ErrNotExist)
	}
	return p, nil
}
