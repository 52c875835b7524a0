package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rambox/internal/bootmedia"
	"rambox/pkg/cmdline"
)

// isoOptions are the flags of rambox iso.
type isoOptions struct {
	mediaOptions
	boot []string
}

func isoCommand() *cobra.Command {
	var o isoOptions
	cmd := &cobra.Command{
		Use:   "iso -o FILE [flags] [-- ARGUMENT...]",
		Short: "Make a CD image that boots by BIOS and UEFI, from a CD drive or a USB stick",
		Long: `Iso makes the image that rambox build would make, and puts it with its kernel and boot loaders on a CD image. Written to a stick as it is
(cp rambox.iso /dev/sdX), it boots from there too. Kernel and image are in it once, for both kinds of firmware. It needs no root, and the same inputs
give the same bytes.

Without --payload it gives a shell on the screen and on the first serial port, and the boot menu has two choices: without a network, and with DHCP. The boot
loaders, ISOLINUX and systemd-boot, are this machine's: Debian's packages isolinux, syslinux-common and systemd-boot-efi.`,
		Example: `  rambox iso -o rambox.iso --kernel iso       # after: rambox kernel build --profile iso
  rambox iso -o rescue.iso --kernel generic --modules all --append ip=dhcp
  rambox iso -o app.iso --kernel cloud --payload ./app -- --port 80`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.compact = !cmd.Flags().Changed("compress")
			return o.make(args)
		},
	}
	o.register(cmd.Flags())
	f := cmd.Flags()
	f.Lookup("compress").Usage += "; with a kernel without modules a small image is packed with xz if none is named"
	f.StringVarP(&o.output, "output", "o", "", "the CD image to write; - is standard output")
	f.StringVar(&o.append, "append", "", "kernel parameters")
	f.StringSliceVar(&o.boot, "boot", nil, "firmware that it boots by: bios, uefi (default: what the architecture has)")
	_ = cmd.MarkFlagRequired("output") // fails only for a flag that is not there
	return cmd
}

// firmwares are what media of an architecture can boot by.
var firmwares = map[string][]string{"amd64": {"bios", "uefi"}, "386": {"bios"}, "arm64": {"uefi"}}

func (o *isoOptions) make(args []string) error {
	k, err := o.find()
	if err != nil {
		return err
	}
	have := firmwares[k.Arch]
	if o.boot == nil {
		o.boot = have
	}
	if len(have) == 0 {
		return fmt.Errorf("kernel %s is for %s, for which there are no boot loaders", k.Path, k.Arch)
	}
	for _, b := range o.boot {
		if !slices.Contains(have, b) {
			return fmt.Errorf("--boot %s: for %s want %s", b, k.Arch, strings.Join(have, ", "))
		}
	}
	disc := bootmedia.Disc{Label: "RAMBOX", Menu: o.menu(k.Arch)}
	if err := o.findLoaders(&disc, k.Arch); err != nil {
		return err
	}
	m, err := o.assemble(k, disc.Menu[len(disc.Menu)-1].Cmdline, args)
	if err != nil {
		return err
	}
	defer m.close()
	disc.Time = m.spec.Epoch
	if err := o.fill(&disc, m); err != nil {
		return fmt.Errorf("kernel %s: %w", k.Path, err)
	}
	size := int64(0)
	err = replaceFile(o.output, func(w io.Writer) (err error) {
		size, err = disc.Write(w)
		return err
	})
	if err != nil {
		return err
	}
	o.print(m, "for "+strings.Join(o.boot, " and "), size)
	return nil
}

// findLoaders finds the boot loaders before anything takes long.
func (o *isoOptions) findLoaders(disc *bootmedia.Disc, arch string) error {
	root := os.DirFS("/")
	var err error
	if slices.Contains(o.boot, "bios") {
		if disc.BIOS, err = bootmedia.FindISOLINUX(root); err != nil {
			return err
		}
	}
	if slices.Contains(o.boot, "uefi") {
		if disc.EFI, err = bootmedia.FindSystemdBoot(root, arch); err != nil {
			return err
		}
	}
	if len(o.boot) == 0 {
		return errors.New("--boot: want bios or uefi, or both")
	}
	return nil
}

// fill gives the disc its files, if the firmware can start the kernel.
func (o *isoOptions) fill(disc *bootmedia.Disc, m *media) (err error) {
	if disc.BIOS != nil {
		if err := bootmedia.CheckISOLINUX(m.bzImage); err != nil {
			return err
		}
	}
	if disc.EFI != nil {
		if err := bootmedia.CheckEFIStub(m.bzImage, m.kernel.Arch); err != nil {
			return fmt.Errorf("%w; use --boot bios, or a kernel that has it: rambox kernel build --profile iso", err)
		}
	}
	if disc.Kernel, err = whole(m.bzImage); err != nil {
		return err
	}
	disc.Initrd, err = whole(m.image)
	return err
}

// menu is what the boot loaders offer. A shell needs no network, and is there at
// once without; who says something of the network or a root gets what they say.
func (o *isoOptions) menu(arch string) []bootmedia.Choice {
	line := o.line(arch)
	plain := bootmedia.Choice{Name: "rambox", Title: "Rambox", Cmdline: line}
	said := cmdline.Parse(o.cmdline + " " + o.append)
	decides := func(name string) bool { return said.Has(name) }
	if !o.shell() || slices.ContainsFunc([]string{"ip", "rambox.net", "root", "rambox", "shell", "rambox.payload"}, decides) {
		return []bootmedia.Choice{plain}
	}
	dhcp := bootmedia.Choice{Name: "dhcp", Title: "Rambox with a network (DHCP)", Cmdline: line + " ip=dhcp"}
	plain.Cmdline += " ip=off"
	return []bootmedia.Choice{plain, dhcp}
}
