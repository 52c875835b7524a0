package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"rambox/internal/image"
	"rambox/internal/kernels"
	"rambox/pkg/cmdline"
)

// mediaOptions are the flags that rambox iso and rambox uki have in common.
type mediaOptions struct {
	buildOptions
	append  string
	compact bool // nobody has named a compression, and the medium's size counts
}

// media is a kernel and an initramfs for it, which boot without us.
type media struct {
	kernel         kernels.Kernel
	bzImage, image *os.File
	sizes          image.Sizes
	report         image.Report
	spec           image.Spec
}

func (m *media) close() {
	m.bzImage.Close()
	m.image.Close()
}

// whole is an open file from its beginning to its end.
func whole(f *os.File) (*io.SectionReader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(f, 0, st.Size()), nil
}

// line is the kernel's command line: the consoles that the machine has, unless
// the user names some, and what the user wants.
func (o *mediaOptions) line(arch string) string {
	if args := cmdline.Parse(o.append); !args.Has("console") && (arch == "amd64" || arch == "386") {
		return strings.TrimSpace("console=tty0 console=ttyS0,115200 " + o.append)
	}
	return o.append
}

// find finds the kernel. From here on it is named by its path, so that it stays
// the same one.
func (o *mediaOptions) find() (kernels.Kernel, error) {
	if o.kernel == "none" {
		return kernels.Kernel{}, fmt.Errorf("--kernel none: a medium without a kernel boots nothing")
	}
	k, err := kernels.FindFor(o.kernel, o.arch)
	o.kernel, o.arch = k.Path, k.Arch
	return k, err
}

// assemble makes the initramfs for a machine that boots with this command line,
// in a file without a name.
func (o *mediaOptions) assemble(k kernels.Kernel, line string, args []string) (*media, error) {
	m := &media{kernel: k}
	var err error
	if m.spec, err = o.spec(args); err != nil {
		return nil, err
	}
	m.spec.KernelLine = line
	if o.shell() {
		// As a payload, for init's own shell comes before modules and the network.
		m.spec.Payload = []string{"sh", "-l"}
		m.spec.Add = append(m.spec.Add, image.AddFile("lib/rambox/hooks/handoff.d/50-consoles", 0o755, []byte(consolesHook)))
	}
	var tree *image.Tree
	if tree, m.report, err = image.Assemble(m.spec); err != nil {
		return nil, withoutBusybox(err, m.spec)
	}
	if o.compact {
		m.spec.Compression = compactest(m.spec, m.report.Raw)
	}
	if m.image, err = os.CreateTemp("", "rambox-*"); err != nil {
		return nil, err
	}
	os.Remove(m.image.Name())
	if m.sizes, err = tree.Write(m.image, m.spec.Compression); err == nil {
		m.bzImage, err = os.Open(k.Path)
	}
	if err != nil {
		m.image.Close()
		return nil, err
	}
	return m, nil
}

// compactest is xz, a twelfth smaller than zstd, where that is quick to make: two
// seconds for 8 MiB. Beside the modules of a distribution's kernel it is no gain.
func compactest(spec image.Spec, raw int64) image.Compression {
	if spec.Kernel.ModulesDir == "" && raw <= 8<<20 && image.CanUnpack(spec.Kernel.Config, image.XZ) == nil {
		return image.XZ
	}
	return spec.Compression
}

// shell reports whether the medium is for a person, who gets a shell.
func (o *mediaOptions) shell() bool {
	return o.payload == "" && !o.noBusybox && !o.locked
}

// consolesHook gives each console a shell: whoever boots a medium sits at a
// screen or at a serial line, and the payload is on one of them alone.
const consolesHook = `#!/bin/sh
# A shell on each of the kernel's consoles but the last, which has the payload's.
set -- $(cat /sys/class/tty/console/active)
cd "$HOME"
while [ $# -gt 1 ]; do
	tty=$1 TERM=vt220
	# tty0 is the screen that is shown, and can control no process.
	case $tty in tty0) tty=tty1;; esac
	case $tty in tty[0-9]*) TERM=linux;; esac
	export TERM
	while :; do setsid -c sh -l; sleep 1; done </dev/$tty >/dev/$tty 2>&1 &
	shift
done
`

// print says what has been made, unless --quiet.
func (o *mediaOptions) print(m *media, what string, size int64) {
	if o.quiet {
		return
	}
	fmt.Fprint(os.Stderr, m.report)
	fmt.Fprintf(os.Stderr, "kernel     %s, %s\ninitramfs  %s, %.2f MiB\nimage      %s, %s, %.2f MiB\n",
		m.kernel.Release, m.kernel.Path, m.spec.Compression, float64(m.sizes.Stored)/(1<<20), o.output, what, float64(size)/(1<<20))
}
