package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
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
	terminalOptions
	debugOptions
	shareOptions
	timingsOptions
	archOptions

	kernel, initrd, init, busybox string
	appendLine, memory, accel     string
	net, mac                      string
	machine, cpu, result          string
	disks, modules, forwards      []string
	add                           []string
	smp                           int
	timeout                       time.Duration
	signedModules, verbose        bool
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
  rambox run --shell
  rambox run --arch arm64 -- ./prog
  rambox run -it --memory 1G -- bash
  rambox run --kernel run --gdb -- true
  rambox run --share .,rw --cwd $PWD -- make check
  go test -exec 'rambox run --' ./...`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := readProjectFile(cmd.Flags()); err != nil {
				return err
			}
			o.memoryGiven = cmd.Flags().Changed("memory")
			if !cmd.Flags().Changed("net") {
				o.net = o.impliedNet()
			}
			return o.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVarP(&o.kernel, "kernel", "k", "", "kernel: a file, a release, or cloud, generic, run (default: what is there, see rambox kernel list)")
	f.StringVar(&o.initrd, "initrd", "", "boot this image instead of building one; it must have Rambox's init")
	f.StringVarP(&o.appendLine, "append", "a", "", "more words for the kernel's command line")
	f.StringVarP(&o.memory, "memory", "m", "256M", "memory, with a suffix K, M or G; auto finds out the least with which the program ends with status 0")
	f.IntVar(&o.smp, "smp", 1, "number of CPUs")
	f.StringArrayVarP(&o.disks, "disk", "d", nil, "disk FILE[,ro][,format=qcow2]: /dev/vda, /dev/vdb, …")
	f.StringVarP(&o.net, "net", "n", "", "network: none, user (QEMU's own), tap:DEVICE, or bridge:BRIDGE (default: none, or user with --forward)")
	f.StringArrayVar(&o.forwards, "forward", nil, "[udp:][ADDRESS:]PORT:GUESTPORT: a port of 127.0.0.1, or of that address, leads to the guest; 0 takes a free one")
	f.StringVar(&o.mac, "mac", "", "address of the network card (default: with tap and bridge a random one, else QEMU's)")
	f.DurationVar(&o.timeout, "timeout", 0, "time limit from power-on to the program's end, such as 30s (default: none)")
	f.StringVar(&o.accel, "accel", "auto", "auto, kvm or tcg; auto takes KVM when it has been seen to boot the kernel")
	f.StringVar(&o.machine, "machine", "", "QEMU's machine type: pc, q35, microvm, virt (default: q35, or microvm for a kernel without PCI, or virt where there is no PC)")
	f.StringVar(&o.cpu, "cpu", "", "QEMU's CPU model (default: all that the accelerator has)")
	f.StringArrayVar(&o.add, "add", nil, "file or directory SRC[:DST] to put into the image")
	f.StringSliceVar(&o.modules, "modules", nil, "kernel modules besides those of the machine: names, or qemu, host, all")
	f.BoolVar(&o.signedModules, "signed-modules", false, "keep the signatures of modules (checking one takes a kernel about 10 ms)")
	f.StringVar(&o.init, "init", "", "Rambox's init (default: the one beside this program)")
	f.StringVar(&o.busybox, "busybox", "", "static busybox for the image, or none (default: that of this machine, or what kernel fetch --arch has brought)")
	f.StringVar(&o.result, "result", "", "write how the run ended to this file, as JSON")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show the kernel's console on standard error")
	o.terminalOptions.register(f)
	o.debugOptions.register(f)
	o.shareOptions.register(f)
	o.timingsOptions.register(f)
	o.archOptions.register(f)
	return cmd
}

func (o *runOptions) run(ctx context.Context, args []string) error {
	if o.shell {
		o.tty = true
		args = slices.Concat([]string{"sh", "-l"}, args)
	}
	if len(args) == 0 && o.initrd == "" && o.init == "" { // an init may be a program itself: boot.Main
		return errors.New("no program; want: rambox run -- PROGRAM, or rambox run --shell")
	}
	if err := o.terminalOptions.check(); err != nil {
		return err
	}
	if err := o.timingsOptions.check(); err != nil {
		return err
	}
	auto := o.memory == autoMemory
	if auto {
		if err := o.checkAuto(); err != nil {
			return err
		}
		o.memory = fmt.Sprint(mostMemory, "M")
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
	guest, err := o.planGuest(args)
	if err != nil {
		return err
	}
	kernel, err := o.chooseKernel(guest)
	if err != nil {
		return err
	}
	m, err := o.machineFor(kernel)
	if err != nil {
		return err
	}
	m.Net = network
	if err := o.share(guest, kernel, &m); err != nil {
		return err
	}
	nonce := qemu.NewNonce()
	initrd, err := o.initramfs(kernel, m, guest, nonce)
	if errors.Is(err, image.ErrNoProgram) {
		return o.finish(qemu.Result{Status: qemu.StatusNotFound, Reason: qemu.ReasonNotFound, Message: err.Error() + o.appletHint(args, kernel.Arch)})
	}
	if err != nil {
		return err
	}
	defer initrd.Close()
	if err := checkMemory(kernel, m, initrd); err != nil {
		return err
	}
	s := qemu.Session{Machine: m, Initrd: initrd, Nonce: nonce, Timeout: o.timeout}
	if auto {
		return o.leastMemory(ctx, kernel, s, func(m qemu.Machine) (*os.File, error) {
			return o.initramfs(kernel, m, guest, nonce)
		})
	}
	return o.boot(ctx, kernel, s, args)
}

// chooseKernel finds the kernel, in the form that starts soonest, and the machine
// type that suits it.
func (o *runOptions) chooseKernel(g *guest) (kernels.Kernel, error) {
	k, err := o.findKernel(g)
	if err != nil {
		return k, err
	}
	if err := checkKernel(k); err != nil {
		return k, err
	}
	if o.machine == "" {
		o.machine, err = machineType(k)
	}
	return k.Direct(), err
}

// boot runs the machine of a session whose image is there.
func (o *runOptions) boot(ctx context.Context, kernel kernels.Kernel, s qemu.Session, args []string) error {
	m := s.Machine
	err := o.accelerate(ctx, kernel, &m)
	if err != nil {
		return err
	}
	if s.GDB, err = o.debugger(kernel); err != nil {
		return err
	}
	if s.GDB != nil {
		defer s.GDB.Close()
		m.GDB = s.GDB.Addr
	}
	if err := o.showMachine(m, s.Initrd); err != nil {
		return err
	}
	s.Machine = m
	return o.session(ctx, s, args)
}

// accelerate chooses the machine's accelerator, and the clock that suits it.
func (o *runOptions) accelerate(ctx context.Context, kernel kernels.Kernel, m *qemu.Machine) error {
	cache, _ := kernels.CacheDir() // without one the answer is not remembered
	accel, why, err := qemu.ChooseAccel(ctx, o.accel, *m, cache)
	if err != nil {
		return err
	}
	m.Accel = accel
	m.Cmdline = strings.Join(append(clockWords(kernel, *m), m.Cmdline), " ")
	if o.verbose {
		fmt.Fprintf(os.Stderr, "rambox: kernel %s, accelerator %s (%s)\n", kernel.Release, accel, why)
	}
	return nil
}

// session connects the terminal or the pipes of this process with the guest.
func (o *runOptions) session(ctx context.Context, s qemu.Session, args []string) error {
	s.Stdin, s.Stdout, s.Stderr = os.Stdin, os.Stdout, os.Stderr
	if o.verbose {
		s.ConsoleLog = os.Stderr
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	s.Signals = signals
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.TTY, s.Timings = o.tty, o.timings != ""
	stop, resized, err := o.recording(&s, args)
	if err != nil {
		return err
	}
	restore := func() {}
	if o.tty {
		t, err := openTerminal(o.escape, cancel, resized)
		if err != nil {
			return err
		}
		restore = sync.OnceFunc(t.restore)
		defer restore() // if we panic
		s.Stdin, s.Winsize = t, t.sizes
		s.Stdout = t.watch(s.Stdout)
	}
	result, err := qemu.Run(ctx, s)
	restore()
	if !result.Ok() {
		err = nil // the result has it
	}
	ended := o.writeTimings(s.Machine.Accel, result, o.finish(result))
	if err := errors.Join(err, stop()); err != nil {
		// The program ended, but not all of its output has arrived.
		fmt.Fprintf(os.Stderr, "rambox: %v\n", err)
		return cmp.Or(ended, error(exitError(statusFailed)))
	}
	return ended
}

// finish tells how the run ended: to the user what is not the program's own
// doing, to --result everything.
func (o *runOptions) finish(r qemu.Result) error {
	if r.Reason != qemu.ReasonExit {
		if !r.Ok() && !o.verbose && r.ConsoleTail != "" {
			fmt.Fprintf(os.Stderr, "--- the last of the guest's console ---\n%s\n---\n", lastLines(r.ConsoleTail, 40))
		}
		fmt.Fprintf(os.Stderr, "rambox: %s\n", cmp.Or(r.Message, r.Reason))
		if again := o.again(os.Args, r); again != "" {
			fmt.Fprintf(os.Stderr, "rambox: to see more of it: %s\n", again)
		}
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
	config, err := kernels.ReadConfig(k.Config)
	if err != nil {
		return qemu.Machine{}, err
	}
	m := qemu.Machine{
		Arch: k.Arch, Type: o.machine, NoPCI: lacksPCI(config) && !isPC(k.Arch), CPU: o.cpu, Memory: int64(memory), SMP: o.smp,
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
	if o.gdb != "" {
		words = append(words, "nokaslr") // where the debugger looks for it
	}
	if o.timings != "" {
		words = append(words, "rambox.timings")
	}
	if !o.verbose {
		words = append(words, "quiet") // each character of the console costs
	}
	if m.Little() {
		// A tmpfs holds at most half of what is free when the kernel starts, and
		// the image is a large part of that. What comes later on the line wins.
		words = append(words, "rootfstype=ramfs")
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
