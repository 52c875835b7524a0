package image

import (
	"cmp"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"time"
)

// Spec says what goes into an image. The zero value gives the skeleton alone.
type Spec struct {
	Arch    string   // GOARCH of the programs: "arm64"; "" for this machine's
	Init    string   // host path of Rambox's init; "" for an image with its own
	Add     []Add    // the user's own files; they win over everything below
	Payload []string // the program that the image runs by default, and its arguments; see Report.Payload
	Busybox string   // host path of a busybox; "" for none

	Kernel          KernelInfo
	KernelLine      string   // the command line that the machine will boot with, as far as it is known
	Modules         []string // names, aliases and sets; see SetQEMU. A name that is unknown is an error
	OptionalModules []string // more names, which the kernel may have built in or lack
	UnsignedModules bool     // cut signatures off: the kernel takes longer to check one than to load the module
	Firmware        []string // host directories; nil for /lib/firmware
	Sys             fs.FS    // sysfs for SetHost; nil for /sys

	Hostname string // "" for "rambox"
	Cmdline  string // default parameters; the kernel's own line wins
	Locked   bool   // no shell, ever
	Nonce    string // see Settings

	Environ []string // see Settings
	Fstab   []Fstab  // what is mounted besides what the image's own /etc/fstab says
	Mounted []string // directories that will be the host's own, at the same paths: a payload below them stays there

	Compression Compression // what Write will be asked for; "" for Zstd. Assemble checks that the kernel can unpack it
	Epoch       time.Time   // time of all files; see ParseEpoch
}

// ParseEpoch reads SOURCE_DATE_EPOCH: seconds since 1970. "" gives 1970, so
// that images are reproducible by default.
func ParseEpoch(seconds string) (time.Time, error) {
	if seconds == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	n, err := strconv.ParseUint(seconds, 10, 32)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: want seconds since 1970, below 2^32", seconds)
	}
	return time.Unix(int64(n), 0).UTC(), nil
}

// Assemble makes the tree of an image. It reads the host and writes nothing.
// The report says what the tree holds beyond what was asked for by name.
func Assemble(spec Spec) (*Tree, Report, error) {
	a, err := archNamed(cmp.Or(spec.Arch, runtime.GOARCH))
	if err != nil {
		return nil, Report{}, err
	}
	if err := CanUnpack(spec.Kernel.Config, cmp.Or(spec.Compression, Zstd)); err != nil {
		return nil, Report{}, err
	}
	if reason, enforced := EnforcesSignatures(spec.Kernel.Config, spec.KernelLine); enforced && spec.UnsignedModules {
		return nil, Report{}, fmt.Errorf("unsigned modules: the kernel refuses them (%s)", reason)
	}
	b := builder{spec: &spec, arch: a, tree: NewTree(spec.Epoch)}
	for _, stage := range [...]func() error{
		b.userFiles, b.programs, b.needs, b.modules, b.settings, b.surroundings,
	} {
		if err := stage(); err != nil {
			return nil, b.report, err
		}
	}
	b.report.Files = len(b.tree.entries)
	b.report.Raw = b.tree.archiveSize()
	return b.tree, b.report, nil
}

// builder carries out a Spec. The order of its stages is the order of
// precedence.
type builder struct {
	spec   *Spec
	arch   arch
	tree   *Tree
	report Report

	mounted []Entry // programs that are not in the tree, because the machine will have the host's own
}

func (b *builder) userFiles() error {
	for _, add := range b.spec.Add {
		if err := b.tree.Add(add); err != nil {
			return err
		}
	}
	return nil
}

// programs adds the payload, busybox and init. A payload that the user names
// by a path goes before busybox, which might have a link there; one named
// without a slash may be an applet.
func (b *builder) programs() error {
	b.report.Payload = b.spec.Payload
	byPath := len(b.spec.Payload) > 0 && hasSlash(b.spec.Payload[0])
	if byPath {
		if err := b.payload(); err != nil {
			return err
		}
	}
	if b.spec.Init != "" {
		if _, ok := b.tree.Lookup("init"); ok {
			b.report.note("/init is the user's own; Rambox's is not in the image")
		}
		if err := b.tree.addInit(b.spec.Init); err != nil {
			return err
		}
	}
	if b.spec.Busybox != "" {
		if err := b.tree.addBusybox(b.spec.Busybox, b.spec.Init != ""); err != nil {
			return err
		}
	}
	if len(b.spec.Payload) > 0 && !byPath {
		return b.payload()
	}
	return nil
}

func (b *builder) payload() error {
	if e, ok, err := b.spec.mountedPayload(); ok || err != nil {
		b.mounted = append(b.mounted, e)
		return err
	}
	at, err := b.tree.addPayload(b.spec.Payload[0])
	if err != nil {
		return err
	}
	b.report.Payload = append([]string{at}, b.spec.Payload[1:]...)
	return nil
}

func (b *builder) needs() error {
	libraries, notes, err := b.tree.meetNeeds(b.arch, b.spec.Kernel.Config, b.mounted)
	b.report.Libraries = libraries
	b.report.Notes = append(b.report.Notes, notes...)
	return err
}

func (b *builder) modules() error {
	s, err := selectModules(b.spec, b.tree)
	if err != nil || s == nil {
		return err
	}
	if err := b.tree.addModules(b.spec, s, &b.report); err != nil || b.spec.Init == "" {
		return err
	}
	// For the kernel's own calls; busybox's modprobe, if there is one, stays.
	return b.tree.addInitName("sbin/modprobe")
}

func (b *builder) settings() error {
	return b.tree.addSettings(Settings{
		Cmdline: b.spec.Cmdline, Payload: b.report.Payload, Environ: b.spec.Environ, Locked: b.spec.Locked, Nonce: b.spec.Nonce,
	})
}

func (b *builder) surroundings() error {
	if err := b.tree.addSkeleton(cmp.Or(b.spec.Hostname, "rambox")); err != nil {
		return err
	}
	return b.tree.addFstab(b.spec.Fstab)
}
