package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"rambox/internal/image"
	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/pkg/cmdline"
)

// initramfs returns the image of a run in memory: built around the program, or
// the user's own with a little archive behind it that names the program.
func (o *runOptions) initramfs(k kernels.Kernel, m qemu.Machine, g *guest, nonce string) (*os.File, error) {
	f, err := qemu.MemFile("initramfs")
	if err != nil {
		return nil, err
	}
	if o.initrd != "" {
		err = o.appendTo(f, g, nonce)
	} else {
		err = o.assemble(f, k, m, g, nonce)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// defaults are the parameters that a run has in the image rather than on the
// kernel's line.
func (o *runOptions) defaults(g *guest) string {
	var words []string
	if g.cwd != "" {
		words = append(words, g.cwd)
	}
	if o.tty {
		words = append(words, "rambox.tty")
		if term, ok := cmdline.Quote("TERM=" + os.Getenv("TERM")); ok && os.Getenv("TERM") != "" {
			words = append(words, term)
		}
	}
	return strings.Join(words, " ")
}

func (o *runOptions) appendTo(f *os.File, g *guest, nonce string) error {
	own, err := os.Open(o.initrd)
	if err != nil {
		return err
	}
	defer own.Close()
	size, err := io.Copy(f, own)
	if err != nil {
		return fmt.Errorf("read %s: %w", o.initrd, err)
	}
	rest, err := image.Overlay(size, image.Settings{Cmdline: o.defaults(g), Payload: g.args, Environ: g.environ, Nonce: nonce})
	if err != nil {
		return err
	}
	_, err = f.Write(rest)
	return err
}

func (o *runOptions) assemble(f *os.File, k kernels.Kernel, m qemu.Machine, g *guest, nonce string) error {
	init, err := initPath(o.init, k.Arch)
	if err != nil {
		return err
	}
	info, err := kernelInfo(k)
	if err != nil {
		return err
	}
	if err := checkMMIO(k, info.Config, m); err != nil {
		return err
	}
	devices := image.Devices{
		MMIO: m.MMIO(), Ports: true,
		Disks: len(m.Disks) > 0, Net: m.Net.Card(), Plan9: m.HasShare(qemu.Share9P), FS: m.HasShare(qemu.ShareVirtiofs),
	}
	spec := image.Spec{
		Arch: k.Arch, Init: init, Payload: g.args, Busybox: findBusybox(o.busybox, k.Arch),
		Kernel: info, KernelLine: m.Cmdline, Modules: o.modules, OptionalModules: devices.Modules(),
		Cmdline: o.defaults(g), Environ: g.environ, Fstab: g.fstab, Mounted: g.mounted, Nonce: nonce,
	}
	if _, enforced := image.EnforcesSignatures(info.Config, m.Cmdline); !o.signedModules && info.Config != nil {
		// Unsigned ones load much faster; a kernel that insists gets its own.
		spec.UnsignedModules = !enforced
	}
	if spec.Add, err = parseAdds(o.add); err != nil {
		return err
	}
	spec.Add = append(spec.Add, g.copies...)
	spec.Compression = packing(info.Config, m)
	tree, _, err := image.Assemble(spec)
	if err != nil {
		return withoutBusybox(err, spec)
	}
	line := newProgress()
	defer line.done()
	w := bufio.NewWriterSize(line.counted(f, "image"), 1<<20)
	if _, err := tree.Write(w, spec.Compression); err != nil {
		return err
	}
	return w.Flush()
}

// packing chooses an image's compression: none, since it crosses no network and
// unpacking takes time, unless memory is so scarce that the archive beside its
// files, before the kernel gives it back, is what decides.
func packing(config kernels.Config, m qemu.Machine) image.Compression {
	if can, _ := config.Enabled("RD_GZIP"); can && m.Little() {
		return image.Gzip
	}
	return image.None
}

// kernelInfo is what an image needs to know of a kernel.
func kernelInfo(k kernels.Kernel) (image.KernelInfo, error) {
	config, err := kernels.ReadConfig(k.Config)
	return image.KernelInfo{Release: k.Release, ModulesDir: k.Modules, Config: config}, err
}

func parseAdds(args []string) ([]image.Add, error) {
	var adds []image.Add
	for _, a := range args {
		add, err := image.ParseAdd(a)
		if err != nil {
			return nil, err
		}
		adds = append(adds, add)
	}
	return adds, nil
}
