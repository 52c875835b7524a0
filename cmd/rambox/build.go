package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rambox/internal/image"
	"rambox/internal/kernels"
)

// buildOptions are the flags of rambox build.
type buildOptions struct {
	output, payload, init, busybox string
	kernel, compress, arch         string
	cmdline, hostname              string
	add, modules, firmware, with   []string
	noBusybox, unsigned, locked    bool
	quiet                          bool
}

func buildCommand() *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build -o FILE [flags] [-- ARGUMENT...]",
		Short: "Build an initramfs image",
		Long: `Build makes an image of Rambox's init, a payload or busybox, and the kernel modules that the machine needs. It needs no root, and
the same inputs give the same bytes (SOURCE_DATE_EPOCH sets the time of the files, default 1970).

Words after -- are the payload's arguments. Modules are chosen for --kernel: by default those of QEMU's machines, and what
the command line in --cmdline asks for.`,
		Example: `  rambox build -o app.img --payload ./app --kernel cloud -- --port 80
  rambox build -o rescue.img --kernel /boot/vmlinuz --modules host
  rambox build -o kiosk.img --payload ./kiosk --locked --no-busybox`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return o.build(args) },
	}
	o.register(cmd.Flags())
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "the image to write; - is standard output")
	_ = cmd.MarkFlagRequired("output") // fails only for a flag that is not there
	return cmd
}

// register adds the flags that say what is in the image.
func (o *buildOptions) register(f *pflag.FlagSet) {
	f.StringVarP(&o.payload, "payload", "p", "", "program that the image runs by default; what it needs comes along")
	f.StringArrayVar(&o.add, "add", nil, "file or directory SRC[:DST] to put into the image")
	f.StringVarP(&o.kernel, "kernel", "k", "", "kernel that the image is for (default: what is there); none for an image without modules")
	f.StringSliceVar(&o.modules, "modules", []string{image.SetQEMU}, "kernel modules: names, or the sets qemu, host, all, none")
	f.StringArrayVar(&o.firmware, "firmware", nil, "directory with firmware (default: /lib/firmware)")
	f.StringSliceVar(&o.with, "with", nil, "programs that few images need: http-root (for root=http://… and https://…)")
	f.BoolVar(&o.unsigned, "unsigned-modules", false, "cut the signatures of modules off: they load faster, on kernels that do not insist")
	f.StringVar(&o.cmdline, "cmdline", "", "default kernel parameters; those of the kernel's own line win")
	f.StringVar(&o.hostname, "hostname", "", "host name (default: rambox)")
	f.BoolVar(&o.locked, "locked", false, "never give a shell, whatever the command line says")
	f.StringVarP(&o.compress, "compress", "c", string(image.Zstd), "zstd, gzip, xz, lz4, none; zstd-best or xz-best for the smallest, in seconds")
	f.StringVar(&o.busybox, "busybox", "", "static busybox for the image (default: that of this machine)")
	f.BoolVar(&o.noBusybox, "no-busybox", false, "no busybox, so no shell unless you add one")
	f.StringVar(&o.init, "init", "", "Rambox's init (default: the one beside this program)")
	f.StringVar(&o.arch, "arch", "", "architecture by Go's name (default: the kernel's, else this machine's)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print nothing")
}

func (o *buildOptions) build(args []string) error {
	spec, err := o.spec(args)
	if err != nil {
		return err
	}
	tree, report, err := image.Assemble(spec)
	if err != nil {
		return withoutBusybox(err, spec)
	}
	sizes, err := o.write(tree, spec.Compression)
	if err != nil {
		return err
	}
	if !o.quiet {
		fmt.Fprint(os.Stderr, report)
		fmt.Fprintf(os.Stderr, "image      %s, %s, %.2f MiB\n", o.output, spec.Compression, float64(sizes.Stored)/(1<<20))
	}
	return nil
}

func (o *buildOptions) spec(args []string) (image.Spec, error) {
	spec := image.Spec{
		Arch: o.arch, Modules: o.modules, UnsignedModules: o.unsigned, Firmware: o.firmware,
		Hostname: o.hostname, Cmdline: o.cmdline, Locked: o.locked,
	}
	var err error
	if spec.Compression, err = image.ParseCompression(o.compress); err != nil {
		return spec, err
	}
	if spec.Epoch, err = image.ParseEpoch(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return spec, err
	}
	if spec.Add, err = parseAdds(o.add); err != nil {
		return spec, err
	}
	if o.payload != "" {
		spec.Payload = append([]string{o.payload}, args...)
	} else if len(args) > 0 {
		return spec, fmt.Errorf("arguments %q, and no --payload to give them to", args)
	}
	if err := o.forKernel(&spec); err != nil {
		return spec, err
	}
	return spec, o.forArch(&spec)
}

// forArch adds the programs that are there for each architecture.
func (o *buildOptions) forArch(spec *image.Spec) error {
	var err error
	if spec.Init, err = initPath(o.init, spec.Arch); err != nil {
		return err
	}
	helpers, err := addHelpers(o.with, spec.Arch)
	if err != nil {
		return err
	}
	spec.Add = append(spec.Add, helpers...)
	if !o.noBusybox {
		spec.Busybox = findBusybox(o.busybox, spec.Arch)
	}
	return nil
}

// forKernel adds what the image needs for its kernel. Without a kernel, and
// without modules that were asked for, the image has none: that is right for a
// kernel that has everything built in.
func (o *buildOptions) forKernel(spec *image.Spec) error {
	if o.kernel == "none" {
		spec.Modules = []string{image.SetNone}
		return nil
	}
	k, err := kernels.FindFor(o.kernel, o.arch)
	if err != nil && o.kernel == "" && slices.Equal(o.modules, []string{image.SetQEMU}) {
		fmt.Fprintf(os.Stderr, "rambox: no kernel found, so the image gets no modules (%v)\n", err)
		spec.Modules = []string{image.SetNone}
		return nil
	}
	if err != nil {
		return err
	}
	if spec.Arch == "" {
		spec.Arch = k.Arch
	}
	spec.Kernel, err = kernelInfo(k)
	return err
}

// write writes the tree as the output.
func (o *buildOptions) write(tree *image.Tree, c image.Compression) (image.Sizes, error) {
	var sizes image.Sizes
	err := replaceFile(o.output, func(w io.Writer) (err error) {
		sizes, err = tree.Write(w, c)
		return err
	})
	return sizes, err
}

// replaceFile writes a file in one step, so that a failure leaves what was
// there; "-" is standard output.
func replaceFile(name string, write func(io.Writer) error) error {
	if name == "-" {
		w := bufio.NewWriter(os.Stdout)
		if err := write(w); err != nil {
			return err
		}
		return w.Flush()
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".rambox-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it has its name
	defer f.Close()
	ctx, stop := interruptible(context.Background())
	defer stop()
	line := newProgress()
	defer line.done()
	w := bufio.NewWriterSize(until(ctx, line.counted(f, name)), 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
