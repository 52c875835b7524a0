package boot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rambox/pkg/cmdline"
)

// Handoff is what a boot leads to.
type Handoff string

const (
	ToShell   Handoff = "shell"   // a shell
	ToInit    Handoff = "init"    // stay in RAM: exec the image's init
	ToPayload Handoff = "payload" // run a program as a child, report its status
	ToRoot    Handoff = "root"    // mount the root device, switch to it, exec its init
)

// Plan is what a machine will do, worked out from its command line and its
// image before anything is touched.
type Plan struct {
	Handoff Handoff
	Reason  string   // the words that decided it: "root=/dev/vda1"
	Argv    []string // the payload and its arguments
	Init    []string // paths of the next init, in the order in which they are tried
	Root    Root     // for ToRoot
	Network Network

	Hostname    string
	Environ     []string // "K=V" words of the image's own command line, and its /etc/rambox/environ
	Dir         string   // the payload's working directory; "" is its home
	Mounts      []Mount  // after the early file systems
	Late        []Mount  // when the modules are there: shares of the host, and what follows them in fstab
	Load        []string // modules to load by name
	LoadFor     []string // module aliases that the plan itself needs: "fs-ext4"
	Blacklist   []string
	ModuleParam map[string]string // module → "a=1 b=2"

	OnExit   Action // after the payload
	Rescue   Rescue
	Breaks   []string // stages after which the boot stops for a shell
	NoPower  Action   // where the kernel cannot power off: Halt or Reboot
	Debug    bool     // log debug lines
	TTY      bool     // give the payload a terminal where rambox run would give it pipes
	Timings  bool     // send the boot report to rambox run
	Report   string   // and to this URL; "" is nobody
	Shell    string   // "" when the image has none or is locked
	Warnings []string
}

// Rescue is what follows a boot that failed.
type Rescue struct {
	Do    Action
	After time.Duration // a pause before a reboot, so that the report can be read
}

// nextInits are tried on a root when there is no init=. An init= that fails is
// not followed by these, as in kernel_init of init/main.c (v6.12).
var nextInits = [...]string{"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"}

// atOnce tells whether the line says "shell", beside which nothing counts. A
// shell for want of anything else comes when the machine is ready.
func (p *Plan) atOnce() bool { return p.Handoff == ToShell && p.Reason == string(ToShell) }

// NewPlan works out what the command line asks of an image. kernel is the
// parsed /proc/cmdline; the image's defaults are read first, so it wins.
//
// A parameter with a bad value is named in Plan.Warnings and its default
// holds. An error means that the handoff itself is impossible; the plan that
// comes with it still says what to do then (Plan.Rescue).
func NewPlan(kernel cmdline.Args, img Image) (Plan, error) {
	args, warnings := img.args(kernel)
	p := Plan{
		Warnings:    warnings,
		Hostname:    img.Hostname,
		Blacklist:   blacklist(args),
		Load:        append(img.Load, lists(args, "modules_load", "rd.modules_load", "rd.driver.pre")...),
		ModuleParam: args.ModuleParams(),
		Environ:     append(environ(cmdline.Parse(img.Cmdline), kernel), img.Environ...),
		Shell:       img.Shell,
	}
	if img.Locked {
		p.Shell = ""
	}
	if name, ok := args.Value("hostname"); ok {
		p.Hostname = name
	}
	p.Mounts, p.Late = splitMounts(img.Mounts)
	p.Dir, _ = args.Value("rambox.cwd")
	p.Report, _ = args.Value("rambox.report")
	p.TTY = p.flag(args, "rambox.tty")
	p.Timings = p.flag(args, "rambox.timings")
	p.Debug = debugging(args)
	p.policies(args)
	err := p.handoff(args, img)
	p.network(args)
	p.planBreaks(args)
	return p, err
}

// args is the kernel's line over the image's defaults, without what a locked
// image does not take from it.
func (img Image) args(kernel cmdline.Args) (_ cmdline.Args, warnings []string) {
	defaults := cmdline.Parse(img.Cmdline)
	if img.Locked {
		kernel, warnings = lock(kernel, defaults)
	}
	return kernel.Over(defaults), warnings
}

// lock takes from the kernel's line what would run a program that a locked
// image does not name itself: any of them may be a shell. Nor does the line
// replace a root that the image names, or what proves it to be the right one.
func lock(kernel, defaults cmdline.Args) (_ cmdline.Args, warnings []string) {
	var words []cmdline.Arg
	for _, w := range kernel.Words {
		switch name := w.Name; {
		case name == "init", name == "rambox.payload", name == "rambox.insecure",
			(name == "root" || name == "nfsroot" || name == "rambox.digest" || name == "rambox.mirror" || name == "rambox.file") && defaults.Has("root"):
			warnings = append(warnings, w.String()+": ignored, the image is locked")
		default:
			words = append(words, w)
		}
	}
	return cmdline.Args{Words: words, Init: kernel.Init}, warnings
}

// blacklist names the modules that are never to be loaded.
func blacklist(args cmdline.Args) []string {
	return append(lists(args, "module_blacklist"), lists(args, "modprobe.blacklist")...)
}

// lists returns the comma-separated values of every occurrence of the names.
func lists(args cmdline.Args, names ...string) []string {
	var all []string
	for _, name := range names {
		for _, v := range args.Values(name) {
			for s := range strings.SplitSeq(v, ",") {
				if s != "" {
					all = append(all, s)
				}
			}
		}
	}
	return all
}

// debugging tells whether the kernel writes debug lines to the console, which
// is when init writes any (debug_kernel, loglevel, init/main.c, and
// suppress_message_printing, kernel/printk/printk.c, v6.12).
func debugging(args cmdline.Args) bool {
	level, _, _ := args.Int("loglevel")
	return level > 7 || bare(args, "debug") || bare(args, "ignore_loglevel")
}

func (p *Plan) warn(format string, a ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, a...))
}

func (p *Plan) flag(args cmdline.Args, name string) bool {
	v, _, err := args.Bool(name)
	if err != nil {
		p.warn("%v", err)
	}
	return v
}

// choice reads an action parameter that may have one of the allowed values.
func (p *Plan) choice(args cmdline.Args, name string, byDefault Action, allowed ...Action) Action {
	v, ok := args.Value(name)
	if !ok {
		return byDefault
	}
	for _, a := range allowed {
		if v == string(a) {
			return a
		}
	}
	p.warn("%s=%s: want one of %v; taking %s", name, v, allowed, byDefault)
	return byDefault
}

func (p *Plan) policies(args cmdline.Args) {
	p.OnExit = p.choice(args, "rambox.onexit", PowerOff, PowerOff, Reboot, Halt, Shell)
	p.NoPower = p.choice(args, "rambox.nopower", Halt, Halt, Reboot)

	// panic= as kernel/panic.c has it: seconds until reboot, 0 for never,
	// negative for at once. Without a policy of our own it means that nobody
	// is there to use a shell.
	seconds, panicGiven, err := args.Int("panic")
	if err != nil {
		p.warn("%v", err)
	}
	panicGiven = panicGiven && seconds != 0
	byDefault := Shell
	if panicGiven {
		byDefault = Reboot
	}
	p.Rescue.Do = p.choice(args, "rambox.rescue", byDefault, Shell, Reboot, PowerOff, Halt)
	if p.Rescue.Do == Shell && p.Shell == "" {
		p.Rescue.Do = PowerOff
		if panicGiven {
			p.Rescue.Do = Reboot
		}
	}
	p.Rescue.After = time.Duration(max(seconds, 0)) * time.Second

	for _, w := range args.Words {
		if strings.HasPrefix(w.Name, "rambox.") && !known(w.Name) {
			p.warn("%s: no such parameter; see docs/kernel-parameters.md", w.Name)
		}
	}
}

// handoff decides in the order: shell, rambox, payload, root=, /sbin/init, shell.
func (p *Plan) handoff(args cmdline.Args, img Image) error {
	payload := img.Payload
	if v, ok := args.Value("rambox.payload"); ok {
		payload = []string{v}
	}
	if len(payload) > 0 && args.Init != nil {
		payload = append([]string{payload[0]}, args.Init...)
	}
	next, initGiven := args.Value("init")
	if !initGiven {
		next = defaultInit
	}
	root, hasRoot := args.Value("root")

	switch {
	case bare(args, "shell"):
		p.Handoff, p.Reason = ToShell, "shell"
		// Everything else on the line is ignored.
		p.Load, p.Mounts, p.Late = nil, nil, nil
	case bare(args, "rambox"):
		p.Handoff, p.Reason, p.Init = ToInit, "rambox", []string{next}
	case len(payload) > 0:
		p.Handoff, p.Reason, p.Argv = ToPayload, "rambox.payload="+payload[0], payload
		if payload[0] == "" {
			return errors.New("rambox.payload= is empty; name a program of the image")
		}
	case hasRoot && root != "":
		p.Handoff, p.Reason = ToRoot, "root="+root
		p.Init = []string{next}
		if !initGiven {
			p.Init = nextInits[:]
			if img.Locked {
				p.Init = nextInits[:len(nextInits)-1] // not /bin/sh
			}
		}
		return p.planRoot(args, root)
	case img.Init:
		p.Handoff, p.Reason, p.Init = ToInit, "the image has "+defaultInit, []string{next}
	default:
		p.Handoff, p.Reason = ToShell, "nothing else to do"
	}
	if p.Handoff != ToShell || p.Shell != "" {
		return nil
	}
	if img.Locked {
		return errors.New("the image is locked and has nothing to run but a shell; give it rambox.payload= or root=")
	}
	return errors.New("the image has no shell and nothing else to run; give it rambox.payload=, root= or a /bin/sh")
}

// bare tells whether the last occurrence of a word of ours has no value:
// "shell" counts, "shell=/bin/bash" is somebody else's.
func bare(args cmdline.Args, name string) bool {
	a, ok := args.Lookup(name)
	return ok && !a.HasValue
}

// parameters are ours alone; each is described in docs/kernel-parameters.md.
var parameters = [...]string{"payload", "cwd", "onexit", "rescue", "nopower", "tty", "timings", "report", "net", "net.timeout", "net.probe",
	"break", "file", "overlay", "digest", "insecure", "mirror"}

func known(name string) bool {
	for _, p := range parameters {
		if name == "rambox."+p {
			return true
		}
	}
	return false
}

// isKernelDefault tells whether a variable is one of the two that the kernel
// gives every init; they say nothing.
func isKernelDefault(variable string) bool {
	return variable == "HOME=/" || variable == "TERM=linux"
}

// environ picks the words of the image's command line that a kernel would pass
// to init in its environment: those with a value that no parameter takes. The
// kernel has done the same with its own line, which wins.
func environ(defaults, kernel cmdline.Args) []string {
	_, env := defaults.Passed(func(a cmdline.Arg) bool {
		if kernel.Has(a.Name) {
			return true
		}
		switch a.Name {
		case "root", "rootfstype", "rootflags", "rootwait", "rootdelay", "init", "panic", "loglevel", "hostname",
			"modules_load", "module_blacklist", "console", "ip":
			return true
		}
		return false
	})
	return slices.DeleteFunc(env, isKernelDefault)
}
