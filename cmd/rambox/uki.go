package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"rambox/internal/bootmedia"
	"rambox/internal/kernels"
)

// ukiOptions are the flags of rambox uki.
type ukiOptions struct {
	mediaOptions
	stub string
}

func ukiCommand() *cobra.Command {
	var o ukiOptions
	cmd := &cobra.Command{
		Use:   "uki -o FILE [flags] [-- ARGUMENT...]",
		Short: "Make a unified kernel image: one program for UEFI with kernel, image and command line",
		Long: `Uki makes the image that rambox build would make, and puts it with its kernel and a command line into one file that UEFI starts: from
EFI/BOOT/BOOTX64.EFI (arm64: BOOTAA64.EFI) of a stick, from EFI/Linux by a boot menu, or over HTTP. The program in it that starts the kernel is systemd's stub,
of Debian's package systemd-boot-efi; of another architecture it comes with rambox kernel fetch --arch. Nothing is signed. The same inputs give the same bytes.

Without --payload it gives a shell on each console. On x86 the consoles are the screen and the first serial port unless --append names some.`,
		Example: `  rambox uki -o rambox.efi --kernel cloud
  rambox uki -o app.efi --kernel iso --payload ./app --append quiet -- --port 80
  rambox uki -o arm.efi --kernel cloud-arm64 --payload ./app-arm64`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return o.make(args) },
	}
	o.register(cmd.Flags())
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "the program to write; - is standard output")
	f.StringVar(&o.append, "append", "", "kernel parameters")
	f.StringVar(&o.stub, "stub", "", "the stub (default: systemd's)")
	_ = cmd.MarkFlagRequired("output") // fails only for a flag that is not there
	return cmd
}

func (o *ukiOptions) make(args []string) error {
	k, err := o.find()
	if err != nil {
		return err
	}
	stub, err := o.readStub(k.Arch)
	if err != nil {
		return err
	}
	line := o.line(k.Arch)
	m, err := o.assemble(k, line, args)
	if err != nil {
		return err
	}
	defer m.close()
	if err := bootmedia.CheckEFIStub(m.bzImage, k.Arch); err != nil {
		return fmt.Errorf("kernel %s: %w; one that has it: rambox kernel build --profile iso", k.Path, err)
	}
	u := bootmedia.UKI{Arch: k.Arch, Stub: stub, Release: k.Release, Cmdline: line}
	if u.Kernel, err = whole(m.bzImage); err != nil {
		return err
	}
	if u.Initrd, err = whole(m.image); err != nil {
		return err
	}
	size := int64(0)
	err = replaceFile(o.output, func(w io.Writer) (err error) {
		size, err = u.Write(w)
		return err
	})
	if err != nil {
		return err
	}
	o.print(m, "for UEFI", size)
	return nil
}

func (o *ukiOptions) readStub(arch string) ([]byte, error) {
	if o.stub != "" {
		return os.ReadFile(o.stub)
	}
	var more []string
	if dir, err := kernels.StubDir(arch); err == nil {
		more = append(more, dir)
	}
	b, err := bootmedia.Stub(arch, more...).Find(os.DirFS("/"))
	switch {
	case err != nil && foreign(arch):
		err = fmt.Errorf("%w; run rambox kernel fetch --arch %s, or name it with --stub", err, arch)
	case err != nil:
		err = fmt.Errorf("%w, or name it with --stub", err)
	}
	return b, err
}
