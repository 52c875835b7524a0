package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rambox/internal/kernels"
)

func kernelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "kernel", Short: "Find, fetch and build kernels"}
	cmd.AddCommand(kernelListCommand(), kernelFetchCommand(), kernelBuildCommand())
	return cmd
}

func kernelListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the kernels that rambox can boot",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := kernels.List()
			w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
			if len(found) > 0 {
				fmt.Fprintln(w, "RELEASE\tARCH\tFROM\tFILE")
			}
			for _, k := range found {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.Release, k.Arch, k.Origin, k.Path)
			}
			return errors.Join(w.Flush(), err)
		},
	}
}

func kernelFetchCommand() *cobra.Command {
	var arch string
	var ifMissing bool
	cmd := &cobra.Command{
		Use:   "fetch [cloud|generic]",
		Short: "Fetch a Debian kernel into the cache",
		Long: `Fetch downloads Debian's newest kernel package and unpacks it into the cache, with its modules. Nothing is installed, and no root is
needed. cloud (the default where Debian has it: amd64, arm64) is the small one for virtual machines, generic the one for real ones.
With the kernel of another architecture comes its busybox, and (amd64, arm64) what rambox uki and rambox serve take from systemd.`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: []string{"cloud", "generic"},
		RunE: func(cmd *cobra.Command, args []string) error {
			flavour := kernels.DefaultFlavour(arch)
			if len(args) > 0 {
				flavour = args[0]
			}
			if ifMissing && isFetched(flavour, arch) {
				return nil
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			line := newProgress()
			k, err := kernels.Fetch(ctx, flavour, arch, line)
			line.done()
			if err != nil {
				return err
			}
			fmt.Println(k.Path)
			return nil
		},
	}
	cmd.Flags().StringVar(&arch, "arch", runtime.GOARCH, "architecture by Go's name")
	cmd.Flags().BoolVar(&ifMissing, "if-missing", false, "do nothing if there is one already")
	return cmd
}

func kernelBuildCommand() *cobra.Command {
	var o kernels.BuildOptions
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build a small kernel from source",
		Long: `Build configures a kernel from nothing (allnoconfig) by a profile, and checks that each wanted option was really set. Profiles:

    run    what rambox run wants, with nothing in modules
    micro  virtio-mmio only: no PCI, no ACPI
    tiny   a serial console, and no network, block or PCI
    node   a diskless PC that boots over the network
    iso    any PC, from a CD or a stick

The same source, settings and compiler give the same kernel, which is then built only once. docs/kernels.md says what is in the profiles and
how to change them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			line := newProgress()
			o.Progress = line
			k, err := kernels.Build(ctx, o)
			line.done()
			if err != nil {
				return err
			}
			fmt.Println(k.Path)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Profile, "profile", "run", "run, micro, tiny, node or iso")
	f.StringVar(&o.Arch, "arch", "amd64", "architecture by Go's name")
	f.StringVar(&o.Source, "source", "debian", "directory of a kernel source tree, or debian for the newest linux-source package")
	f.StringArrayVar(&o.Fragments, "fragment", nil, "file of CONFIG_NAME=value lines that go over the profile's")
	return cmd
}
