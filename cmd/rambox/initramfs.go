package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"

	"rambox/internal/image"
	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/pkg/cmdline"
)

// initramfs returns the image of a run in memory: built around the program, or
// the user's own with a little archive behind it that names the program.
func (o *runOptions) initramfs(k kernels.Kernel, m qemu.Machine, args []string, nonce string) (*os.File, error) {
	f, err := qemu.MemFile("initramfs")
	if err != nil {
		return nil, err
	}
	if o.initrd != "" {
		err = o.appendTo(f, args, nonce)
	} else {
		err = o.assemble(f, k, m, args, nonce)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// defaults are the parameters that a run has in the image rather than on the
// kernel's line.
func (o *runOptions) defaults() string {
	if !o.tty {
		return ""
	}
	words := "rambox.tty"
	if term, ok := cmdline.Quote("TERM=" + os.Getenv("TERM")); ok && os.Getenv("TERM") != "" {
		words += " " + term
	}
	return words
}

func (o *runOptions) appendTo(f *os.File, args []string, nonce string) error {
	own, err := os.Open(o.initrd)
	if err != nil {
		return err
	}
	defer own.Close()
	size, err := io.Copy(f, own)
	if err != nil {
		return fmt.Errorf("read %s: %w", o.initrd, err)
	}
	rest, err := image.Overlay(size, image.Settings{Cmdline: o.defaults(), Payload: args, Nonce: nonce})
	if err != nil {
		return err
	}
	_, err = f.Write(rest)
	return err
}

func (o *runOptions) assemble(f *os.File, k kernels.Kernel, m qemu.Machine, args []string, nonce string) error {
	init, err := initPath(o.init)
	if err != nil {
		return err
	}
	info, err := kernelInfo(k)
	if err != nil {
		return err
	}
	devices := image.Devices{
		MMIO: m.Type == "microvm", Ports: true,
		Disks: len(m.Disks) > 0, Net: m.Net.Card(),
	}
	spec := image.Spec{
		Arch: k.Arch, Init: init, Payload: args, Busybox: findBusybox(o.busybox),
		Kernel: info, KernelLine: m.Cmdline, Modules: o.modules, OptionalModules: devices.Modules(),
		Cmdline: o.defaults(), Nonce: nonce, Compression: image.None,
	}
	if _, enforced := image.EnforcesSignatures(info.Config, m.Cmdline); !o.signedModules && info.Config != nil {
		// Unsigned ones load much faster; a kernel that insists gets its own.
		spec.UnsignedModules = !enforced
	}
	if spec.Add, err = parseAdds(o.add); err != nil {
		return err
	}
	tree, _, err := image.Assemble(spec)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if _, err := tree.Write(w, image.None); err != nil {
		return err
	}
	return w.Flush()
}

// kernelInfo is what an image needs to know of a kernel.
func kernelInfo(k kernels.Kernel) (image.KernelInfo, error) {
	config, err := kernels.ReadConfig(k.Config)
	return image.KernelInfo{Release: k.Release, ModulesDir: k.Modules, Config: config}, err
}

// findBusybox is the busybox named, else that of this machine if it is
// static: one with libraries would not run in an image without them.
func findBusybox(named string) string {
	if named != "" {
		return named
	}
	p, err := exec.LookPath("busybox")
	if err != nil {
		return ""
	}
	return p
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
