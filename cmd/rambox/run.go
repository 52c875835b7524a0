package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"rambox/internal/image"
	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/pkg/cmdline"
)

// statusFailed is the exit status when nothing has come to run.
const statusFailed = qemu.StatusFailed

// runOptions are the flags of rambox run.
type runOptions struct {
	kernel, initrd, init, busybox string
	appendLine, memory, accel     string
	net, mac                      string
	machine, cpu, result          string
	disks, modules, forwards      []string
	add                           []string
	smp                           int
	timeout                       time.Duration
	shell, tty, keep, verbose     bool
	signedModules, printQEMU      bool
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] [--] [PROGRAM [ARGUMENT...]]",
		Short: "Run a program in a fresh virtual machine, and exit with its status",
		Long: `Run boots a kernel in QEMU with PROGRAM as the machine's payload. Standard input, output and error are the program's own,
byte for byte; the kernel's console is kept aside and its end is shown when something fails.

PROGRAM without a slash is looked up among busybox's applets, then in PATH of this machine; with a slash it is a file of this
machine. The libraries and the interpreter that it needs come along.

Exit status: the program's own, else
  123  the guest's kernel panicked, or the guest ended without a word
  124  the time limit ran out
  125  rambox, QEMU or the boot failed before the program ran
  126  the program could not be executed
  127  the program was not found
  128+N  signal N killed the program`,
		Example: `  rambox run -- uname -a
  rambox run --memory 64M -- sh -c 'free; exit 42'
  rambox run --forward 8080:80 -- httpd -f -p 80
  rambox run --shell`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("net") {
				o.net = o.impliedNet()
			}
			return o.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVarP(&o.kernel, "kernel", "k", "", "kernel: a file, a release, or cloud, generic, run (default: what is there, see rambox kernel list)")
	f.StringVarP(&o.initrd, "initrd", "i", "", "boot this image instead of building one; it must have Rambox's init")
	f.StringVarP(&o.appendLine, "append", "a", "", "more words for the kernel's command line")
	f.StringVarP(&o.memory, "memory", "m", "256M", "memory, with a suffix K, M or G")
	f.IntVar(&o.smp, "smp", 1, "number of CPUs")
	f.StringArrayVarP(&o.disks, "disk", "d", nil, "disk FILE[,ro][,format=qcow2]: /dev/vda, /dev/vdb, …")
	f.StringVarP(&o.net, "net", "n", "", "network: none, user (QEMU's own), tap:DEVICE, or bridge:BRIDGE (default: none, or user with --forward)")
	f.StringArrayVar(&o.forwards, "forward", nil, "[udp:][ADDRESS:]PORT:GUESTPORT: a port of 127.0.0.1, or of that address, leads to the guest; 0 takes a free one")
	f.StringVar(&o.mac, "mac", "", "address of the network card (default: with tap and bridge a random one, else QEMU's)")
	f.DurationVarP(&o.timeout, "timeout", "t", 0, "time limit from power-on to the program's end, such as 30s (default: none)")
	f.StringVar(&o.accel, "accel", "auto", "auto, kvm or tcg; auto takes KVM when it has been seen to boot the kernel")
	f.StringVar(&o.machine, "machine", "", "QEMU's machine type: pc, q35, microvm (default: q35)")
	f.StringVar(&o.cpu, "cpu", "", "QEMU's CPU model (default: all that the accelerator has)")
	f.BoolVar(&o.shell, "shell", false, "a shell on this terminal instead of a program")
	f.BoolVar(&o.tty, "tty", false, "give the program a terminal (ctrl-a x ends the machine)")
	f.StringArrayVar(&o.add, "add", nil, "file or directory SRC[:DST] to put into the image")
	f.StringSliceVar(&o.modules, "modules", nil, "kernel modules besides those of the machine: names, or qemu, host, all")
	f.BoolVar(&o.signedModules, "signed-modules", false, "keep the signatures of modules (checking one takes a kernel about 10 ms)")
	f.StringVar(&o.init, "init", "", "Rambox's init (default: the one beside this program)")
	f.StringVar(&o.busybox, "busybox", "", "static busybox for the image (default: that of this machine)")
	f.BoolVar(&o.keep, "keep", false, "keep the image and say where it is")
	f.BoolVar(&o.printQEMU, "print-qemu", false, "print QEMU's command line (with --keep it can be run)")
	f.StringVar(&o.result, "result", "", "write how the run ended to this file, as JSON")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show the kernel's console on standard error")
	return cmd
}

func (o *runOptions) run(ctx context.Context, args []string) error {
	if o.shell {
		o.tty = true
		args = slices.Concat([]string{"sh", "-l"}, args)
	}
	if len(args) == 0 && o.initrd == "" {
		return errors.New("no program; want: rambox run -- PROGRAM, or rambox run --shell")
	}
	network, err := o.network()
	if err != nil {
		return err
	}
	release, err := holdPorts(&network)
	if err != nil {
		return err
	}
	defer release()
	kernel, err := kernels.Find(o.kernel)
	if err != nil {
		return err
	}
	m, err := o.machineFor(kernel)
	if err != nil {
		return err
	}
	m.Net = network
	nonce := qemu.NewNonce()
	initrd, err := o.initramfs(kernel, m, args, nonce)
	if errors.Is(err, image.ErrNoProgram) {
		return o.finish(qemu.Result{Status: qemu.StatusNotFound, Reason: qemu.ReasonNotFound, Message: err.Error()})
	}
	if err != nil {
		return err
	}
	defer initrd.Close()
	if err := o.showMachine(m, initrd); err != nil {
		return err
	}
	cache, _ := kernels.CacheDir() // without one the answer is not remembered
	accel, why, err := qemu.ChooseAccel(ctx, o.accel, m, cache)
	if err != nil {
		return err
	}
	m.Accel = accel
	if o.verbose {
		fmt.Fprintf(os.Stderr, "rambox: kernel %s, accelerator %s (%s)\n", kernel.Release, accel, why)
	}
	return o.session(ctx, m, initrd, nonce)
}

// session connects the terminal or the pipes of this process with the guest.
func (o *runOptions) session(ctx context.Context, m qemu.Machine, initrd *os.File, nonce string) error {
	s := qemu.Session{
		Machine: m, Initrd: initrd, Nonce: nonce, Timeout: o.timeout,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if o.verbose {
		s.ConsoleLog = os.Stderr
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	s.Signals = signals
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.tty {
		t, err := openTerminal(func() { cancel(errors.New("ended by ctrl-a x")) })
		if err != nil {
			return err
		}
		defer t.restore()
		s.TTY, s.Stdin, s.Winsize = true, t, t.sizes
	}
	result, err := qemu.Run(ctx, s)
	if err != nil && result.Ok() {
		// The program ended, but not all of its output has arrived.
		return errors.Join(o.finish(result), err)
	}
	return o.finish(result)
}

// finish tells how the run ended: to the user what is not the program's own
// doing, to --result everything.
func (o *runOptions) finish(r qemu.Result) error {
	if r.Reason != qemu.ReasonExit {
		if !r.Ok() && !o.verbose && r.ConsoleTail != "" {
			fmt.Fprintf(os.Stderr, "--- the last of the guest's console ---\n%s\n---\n", lastLines(r.ConsoleTail, 40))
		}
		fmt.Fprintf(os.Stderr, "rambox: %s\n", cmp.Or(r.Message, r.Reason))
	}
	if o.result != "" {
		b, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.result, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if r.Status != 0 {
		return exitError(r.Status)
	}
	return nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (o *runOptions) machineFor(k kernels.Kernel) (qemu.Machine, error) {
	memory, err := cmdline.ParseSize(o.memory)
	if err != nil {
		return qemu.Machine{}, fmt.Errorf("--memory %s: %w", o.memory, err)
	}
	m := qemu.Machine{
		Arch: k.Arch, Type: o.machine, CPU: o.cpu, Memory: int64(memory), SMP: o.smp,
		Kernel: k.Path,
	}
	for _, d := range o.disks {
		disk, err := parseDisk(d)
		if err != nil {
			return qemu.Machine{}, err
		}
		m.Disks = append(m.Disks, disk)
	}
	words := append(m.BootArgs(), "rambox.rescue=poweroff")
	if !o.verbose {
		words = append(words, "quiet") // each character of the console costs
	}
	if o.appendLine != "" {
		words = append(words, o.appendLine)
	}
	m.Cmdline = strings.Join(words, " ")
	return m, nil
}

// parseDisk reads FILE[,ro][,format=F]. A comma in FILE is written twice, as
// for QEMU.
func parseDisk(s string) (qemu.Disk, error) {
	words := strings.Split(strings.ReplaceAll(s, ",,", "\x00"), ",")
	d := qemu.Disk{Path: strings.ReplaceAll(words[0], "\x00", ",")}
	for _, w := range words[1:] {
		format, isFormat := strings.CutPrefix(w, "format=")
		switch {
		case w == "ro":
			d.ReadOnly = true
		case isFormat:
			d.Format = format
		default:
			return d, fmt.Errorf("--disk %s: %q: want ro or format=…", s, w)
		}
	}
	if _, err := os.Stat(d.Path); err != nil {
		return d, fmt.Errorf("--disk %s: %w", s, err)
	}
	return d, nil
}

// showMachine serves --keep and --print-qemu.
func (o *runOptions) showMachine(m qemu.Machine, initrd *os.File) error {
	m.Initrd = "IMAGE"
	if o.keep {
		kept, err := keepImage(initrd)
		if err != nil {
			return err
		}
		m.Initrd = kept
		fmt.Fprintf(os.Stderr, "rambox: the image is %s\n", kept)
	}
	if o.printQEMU {
		line, err := m.ShellLine()
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, line)
	}
	return nil
}

func keepImage(initrd *os.File) (string, error) {
	f, err := os.CreateTemp("", "rambox-*.cpio")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, io.NewSectionReader(initrd, 0, 1<<62))
	return f.Name(), errors.Join(err, f.Close())
}
