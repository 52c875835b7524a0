package boot

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"rambox/pkg/cmdline"
)

// Root is where the root file system comes from.
type Root struct {
	Spec   string   // the value of root=, for messages
	Kind   RootKind // which of the fields below count
	Device Device   // RootDevice
	Name   string   // RootShare: its tag; RootNFS: "10.0.0.1:/srv/root"; RootFile: the image's path; RootHelper: "/lib/rambox/root/https"

	File    string        // an image on that file system, to be mounted instead of it: "/live/root.squashfs"
	Types   []string      // file systems to try; nil: the one that is found there
	Flags   uintptr       // of mount(2)
	Data    string        // for the file system
	Overlay string        // the size of a tmpfs over it, "50%"; "": none
	Wait    time.Duration // how long it may take to appear; WaitForever
	Delay   time.Duration // before the first try
}

// RootKind is what a root is.
type RootKind string

const (
	RootDevice RootKind = "block device"
	RootShare  RootKind = "share" // virtiofs, 9p, or a flash device that is mounted by name
	RootNFS    RootKind = "NFS"
	RootFile   RootKind = "image in the initramfs"
	RootHelper RootKind = "helper" // a program of the image that brings it
)

// helperDir has a program for each scheme that a root= can begin with.
const helperDir = "/lib/rambox/root/"

// onNetwork tells whether there is no such root without a network.
func (r Root) onNetwork() bool {
	return r.Kind == RootNFS || r.Kind == RootHelper && (r.Name == helperDir+"http" || r.Name == helperDir+"https")
}

// WaitForever is the time that a bare rootwait gives a device.
const WaitForever time.Duration = -1

// defaultRootWait is how long a root device may take when the command line
// does not say. The kernel itself would not wait at all, but its drivers are
// not modules that are still being loaded.
const defaultRootWait = 30 * time.Second

// planRoot plans a root; see docs/kernel-parameters.md for its forms.
func (p *Plan) planRoot(args cmdline.Args, spec string) error {
	r := Root{Spec: spec, Flags: msRdonly, Wait: defaultRootWait}
	if v, ok := args.Value("rootfstype"); ok {
		for t := range strings.SplitSeq(v, ",") {
			if t != "" && t != "auto" {
				r.Types = append(r.Types, t)
			}
		}
	}
	p.mountOptions(args, &r)
	p.rootWaits(args, &r)
	if file, ok := args.Value("rambox.file"); ok {
		if !path.IsAbs(file) {
			p.warn("rambox.file=%s: ignored, want an absolute path on the root", file)
		} else {
			r.File = path.Clean(file)
		}
	}
	r.Overlay = p.overlay(args)
	err := r.source(args)
	p.Root = r
	if err != nil {
		return fmt.Errorf("root=%s: %w", spec, err)
	}
	p.rootModules(r)
	return nil
}

// source tells what kind of root it is, and where.
func (r *Root) source(args cmdline.Args) error {
	scheme, rest, hasScheme := strings.Cut(r.Spec, ":")
	shared := len(r.Types) == 1 && (r.Types[0] == "virtiofs" || r.Types[0] == "9p")
	switch {
	case hasScheme && (scheme == "virtiofs" || scheme == "9p"):
		r.share(rest, scheme)
	case shared: // root=TAG rootfstype=virtiofs, as the kernel has it
		r.share(r.Spec, r.Types[0])
	case strings.HasPrefix(r.Spec, "mtd") || strings.HasPrefix(r.Spec, "ubi"):
		// Not block devices: their file systems find them by name.
		r.Kind, r.Name = RootShare, r.Spec
		if r.Types == nil {
			return errors.New("name the file system of a flash device with rootfstype=")
		}
	case r.Spec == "/dev/nfs" || r.Spec == "nfs" || hasScheme && (scheme == "nfs" || scheme == "nfs4"):
		return r.nfs(args)
	case hasScheme && scheme == "file" && path.IsAbs(rest):
		r.Kind, r.Name = RootFile, path.Clean(rest)
	case hasScheme && isScheme(scheme):
		r.Kind, r.Name = RootHelper, helperDir+scheme
	default:
		d, err := ParseDevice(r.Spec)
		if err != nil && path.IsAbs(r.Spec) && !strings.HasPrefix(r.Spec, "/dev/") {
			r.Kind, r.Name = RootFile, path.Clean(r.Spec)
			return nil
		}
		r.Kind, r.Device = RootDevice, d
		return err
	}
	if r.Name == "" {
		return errors.New("without a name")
	}
	return nil
}

func (r *Root) share(tag, fsType string) {
	r.Kind, r.Name, r.Types = RootShare, tag, []string{fsType}
	if fsType == "9p" && !strings.Contains(r.Data, "trans=") {
		// What QEMU offers, with the version and the message size that are
		// worth having.
		r.Data = strings.Trim("trans=virtio,version=9p2000.L,msize=262144,"+r.Data, ",")
	}
}

// isScheme tells a scheme from what else may stand before a colon: numbers.
func isScheme(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '+' {
			return false
		}
	}
	return true
}

// mountOptions reads ro, rw and rootflags=. Of ro and rw the last one counts,
// and both count more than rootflags=: the kernel keeps them apart in the same
// way (readonly and readwrite in init/do_mounts.c).
func (p *Plan) mountOptions(args cmdline.Args, r *Root) {
	for _, w := range args.Words {
		switch {
		case w.HasValue:
		case w.Name == "ro":
			r.Flags |= msRdonly
		case w.Name == "rw":
			r.Flags &^= msRdonly
		}
	}
	for _, v := range args.Values("rootflags") {
		flags, data := ParseOptions(v)
		r.Flags |= flags &^ msRdonly
		r.Data = strings.Trim(r.Data+","+data, ",")
	}
}

func (p *Plan) rootWaits(args cmdline.Args, r *Root) {
	if a, ok := args.Lookup("rootwait"); ok {
		r.Wait = WaitForever
		if a.HasValue {
			r.Wait = p.seconds(args, "rootwait", defaultRootWait)
		}
	}
	r.Delay = p.seconds(args, "rootdelay", 0)
}

func (p *Plan) seconds(args cmdline.Args, name string, byDefault time.Duration) time.Duration {
	d, ok, err := args.Duration(name)
	if err != nil {
		p.warn("%v", err)
	}
	if err != nil || !ok {
		return byDefault
	}
	return d
}

// overlay reads rambox.overlay, and its size: what tmpfs takes for size=.
func (p *Plan) overlay(args cmdline.Args) string {
	const half = "50%" // tmpfs's own default
	a, ok := args.Lookup("rambox.overlay")
	switch {
	case !ok, a.HasValue && (a.Value == "0" || a.Value == "off" || a.Value == "no"):
		return ""
	case !a.HasValue, a.Value == "1", a.Value == "on", a.Value == "yes":
		return half
	}
	if percent, ok := strings.CutSuffix(a.Value, "%"); ok {
		if n, err := cmdline.ParseSize(percent); err == nil && n > 0 && n <= 100 {
			return a.Value
		}
	} else if n, err := cmdline.ParseSize(a.Value); err == nil && n > 0 {
		return a.Value
	}
	p.warn("rambox.overlay=%s: want a size, such as 256M or 50%%; taking %s", a.Value, half)
	return half
}

// rootModules names the modules that the root needs, as far as the line tells.
func (p *Plan) rootModules(r Root) {
	for _, t := range r.Types {
		p.LoadFor = append(p.LoadFor, "fs-"+t)
	}
	switch {
	case r.Kind == RootShare && r.Types[0] == "9p":
		p.LoadFor = append(p.LoadFor, "9pnet_virtio")
	case r.Kind == RootFile, r.File != "":
		p.LoadFor = append(p.LoadFor, "loop")
	}
	if r.Overlay != "" {
		p.LoadFor = append(p.LoadFor, "fs-overlay")
	}
}

// String says what the root is: "UUID=…", "NFS 10.0.0.1:/srv/root".
func (r Root) String() string {
	name := r.Name
	switch {
	case r.Kind == RootDevice && r.Device != (Device{}):
		name = r.Device.String()
	case r.Kind == RootHelper:
		name = "helper " + r.Name + " for " + r.Spec
	case name == "":
		name = r.Spec
	case r.Kind != RootDevice:
		name = string(r.Kind) + " " + name
	}
	if r.File != "" {
		return r.File + " on " + name
	}
	return name
}
