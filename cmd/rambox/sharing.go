package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"rambox/internal/image"
	"rambox/internal/kernels"
	"rambox/internal/qemu"
)

// guest is what the program will have around it.
type guest struct {
	args    []string // the program and its arguments
	shares  []share
	environ []string
	cwd     string // a word for the image's command line, or ""
	test    *goTest

	// How the shares get there.
	fstab   []image.Fstab
	copies  []image.Add
	mounted []string // where the guest has this machine's directories at the same paths
}

// goTestMemory is enough for most test binaries and what they read. A machine takes of the
// host what it uses.
const goTestMemory = "1G"

// planGuest works out what the program gets of this machine.
func (o *runOptions) planGuest(args []string) (*guest, error) {
	g := &guest{args: args}
	for _, arg := range o.shares {
		s, err := parseShare(arg)
		if err != nil {
			return nil, fmt.Errorf("--share %s: %w", arg, err)
		}
		g.shares = append(g.shares, s)
	}
	cwd := o.cwd
	if o.initrd == "" && isGoTest(args, builtByGo) {
		dir, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		test, err := planGoTest(thisHost(), args, dir)
		if err != nil {
			return nil, err
		}
		if err := g.addTest(test); err != nil {
			return nil, err
		}
		if cwd == "" {
			cwd = dir
		}
		if !o.memoryGiven {
			o.memory = goTestMemory
		}
	}
	environ, err := o.environment(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	g.environ = append(g.environ, environ...)
	if g.cwd, err = cwdParameter(cwd); err != nil {
		return nil, err
	}
	if o.initrd != "" && len(g.shares) > 0 {
		return nil, fmt.Errorf("--share %s with --initrd: the image is made already; what it mounts is up to its /etc/fstab", g.shares[0])
	}
	g.shares, err = mergeShares(g.shares)
	return g, err
}

// addTest gives a Go test what it needs where --share does not say otherwise.
func (g *guest) addTest(t goTest) error {
	g.test = &t
	g.args = append([]string{t.program}, t.args...)
	g.environ = t.environment(os.Environ())
	if t.fuzz != "" { // it makes this directory when it first writes there
		if err := os.MkdirAll(t.fuzz, 0o777); err != nil {
			return err
		}
	}
	theirs := len(g.shares)
	for _, s := range t.shares {
		if slices.ContainsFunc(g.shares[:theirs], func(u share) bool { return u.guest == s.guest }) {
			continue
		}
		real, err := parseShare(s.String())
		if err != nil {
			return fmt.Errorf("share %s for this Go test: %w", s.host, err)
		}
		real.implied = true
		g.shares = append(g.shares, real)
	}
	return nil
}

// findKernel returns the kernel of a run. If none is named it is one of ours,
// when it has been built, unless modules are asked for, which it has not; and if
// there is something to share, the default gives way to one that can.
func (o *runOptions) findKernel(g *guest) (kernels.Kernel, error) {
	if o.kernel == "" && len(o.modules) == 0 {
		profile := "run"
		if o.machine == "microvm" {
			profile = "micro"
		}
		if k, ok := kernels.FindBuilt(profile, o.arch); ok && o.canShare(g, k) {
			return k, nil
		}
	}
	k, err := kernels.FindFor(o.kernel, o.arch)
	if err != nil || o.kernel != "" || o.canShare(g, k) {
		return k, err
	}
	others, err := o.sharingKernels(k.Arch)
	if err != nil || len(others) == 0 {
		return k, err
	}
	return others[0], nil
}

// canShare reports whether the guest can have its shares with a kernel.
func (o *runOptions) canShare(g *guest, k kernels.Kernel) bool {
	if len(g.shares) == 0 {
		return true
	}
	_, err := o.shareKind(k)
	return err == nil
}

// sharingKernels are those of the cache with which this machine can share.
func (o *runOptions) sharingKernels(arch string) ([]kernels.Kernel, error) {
	all, err := kernels.List()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(k kernels.Kernel) bool {
		if k.Arch != arch || k.Origin != kernels.OriginCache {
			return true
		}
		_, err := o.shareKind(k)
		return err != nil
	}), nil
}

// shareKinds are the kinds of shares, the one to be preferred first: QEMU serves 9p itself.
var shareKinds = [...]string{qemu.Share9P, qemu.ShareVirtiofs}

// shareKind chooses the kind of share that the kernel and this machine have. Its
// error says why there is none.
func (o *runOptions) shareKind(k kernels.Kernel) (string, error) {
	info, err := kernelInfo(k)
	if err != nil {
		return "", err
	}
	if o.hostKinds == nil {
		if o.hostKinds, err = (qemu.Machine{Arch: k.Arch, Type: o.machine}).CanShare(); err != nil {
			return "", err
		}
	}
	var why []string
	for _, kind := range shareKinds {
		err := info.CanMount(kind)
		if err == nil {
			err = o.hostKinds[kind]
		}
		if err == nil {
			return kind, nil
		}
		why = append(why, kind+": "+err.Error())
	}
	return "", errors.New(strings.Join(why, "; "))
}

// share finds the way for each directory into the guest.
func (o *runOptions) share(g *guest, k kernels.Kernel, m *qemu.Machine) error {
	if len(g.shares) == 0 {
		return nil
	}
	kind, why := o.shareKind(k)
	if why != nil {
		return o.copyShares(g, k, m, why)
	}
	for i, s := range g.shares {
		tag := fmt.Sprint("share", i)
		m.Shares = append(m.Shares, qemu.Share{Kind: kind, Dir: s.host, Tag: tag, ReadOnly: !s.writable})
		g.fstab = append(g.fstab, image.Fstab{Source: tag, Target: s.guest, Type: kind, Options: fstabOptions(kind, s.writable)})
		if s.guest == s.host {
			g.mounted = append(g.mounted, s.guest)
		}
	}
	return nil
}

// copyShares is the last resort: the guest gets the files as they are now, and
// cannot change them.
func (o *runOptions) copyShares(g *guest, k kernels.Kernel, m *qemu.Machine, why error) error {
	remedy := o.remedy(k)
	if g.test != nil {
		if err := g.withoutWrites(noShares(k, why), remedy); err != nil {
			return err
		}
	}
	var size int64
	var names []string
	for i, s := range g.shares {
		if s.writable {
			return fmt.Errorf("--share %s: %s; %s", s, noShares(k, why), remedy)
		}
		n, err := image.Size(s.host)
		if err != nil {
			return fmt.Errorf("--share %s: %w", s, err)
		}
		size += n
		names = append(names, s.host)
		at := fmt.Sprint("/var/lib/rambox/share", i)
		g.copies = append(g.copies, image.Add{Host: s.host, Entry: image.Entry{Path: at}, Owner: true})
		g.fstab = append(g.fstab, image.Fstab{Source: at, Target: s.guest, Type: "none", Options: "bind,ro"})
	}
	what := strings.Join(names, " and ")
	if room := copyRoom(m.Memory); size > room {
		return fmt.Errorf("--share %s: it would have to be copied (%w), and holds %s: a guest with %s has room for %s; %s, or give it --memory %dM",
			what, why, mebibytes(size), mebibytes(m.Memory), mebibytes(room), remedy, memoryFor(size)>>20)
	}
	fmt.Fprintf(os.Stderr, "rambox: %s is copied into the guest, which cannot change it (%v); %s\n", what, why, remedy)
	return nil
}

// baseMemory is what a guest with Debian's kernel needs besides a copy.
const baseMemory = 96 << 20

// copyTimes is how often a copy is in a guest's memory while its image is unpacked; see checkMemory.
const copyTimes = 3

// copyRoom is how much may be copied into a guest.
func copyRoom(memory int64) int64 { return max(0, (memory-baseMemory)/copyTimes) }

// memoryFor is what to give a guest for a copy.
func memoryFor(size int64) int64 {
	const unit = 64 << 20
	need := copyTimes*size + baseMemory
	return (need + need/32 + 2*unit - 1) / unit * unit
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// remedy says which kernel would do.
func (o *runOptions) remedy(k kernels.Kernel) string {
	if others, err := o.sharingKernels(k.Arch); err == nil && len(others) > 0 {
		return fmt.Sprintf("--kernel %s can share", others[0].Release)
	}
	for _, kind := range shareKinds {
		if err, asked := o.hostKinds[kind]; asked && err == nil {
			return "a kernel that can share comes by: rambox kernel build --profile run, or rambox kernel fetch generic"
		}
	}
	return "no kernel could"
}

// noShares is why everything has to be copied.
func noShares(k kernels.Kernel, why error) string {
	return fmt.Sprintf("kernel %s and this machine can share no directory (%v)", k.Release, why)
}

// withoutWrites lets a Go test run on a copy: it gets no flags for files that would
// not come back, and is refused if somebody waits for them.
func (g *guest) withoutWrites(why, remedy string) error {
	if len(g.test.writes) > 0 {
		return fmt.Errorf("%s: no file would come back: %s; %s", g.test.writes[0], why, remedy)
	}
	g.args = append([]string{g.test.program}, g.test.unshared...)
	g.shares = slices.DeleteFunc(g.shares, func(s share) bool { return s.implied && !under(g.test.dir, s.guest) })
	for i, s := range g.shares {
		g.shares[i].writable = s.writable && !s.implied
	}
	return nil
}
