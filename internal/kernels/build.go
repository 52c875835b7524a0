package kernels

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"rambox/kernel"
)

// BuildOptions say what kernel to build.
type BuildOptions struct {
	// Profile is one of package kernel's: "run".
	Profile string
	// Arch is a GOARCH name; "" is the host's.
	Arch string
	// Source is a directory with a kernel's source, which is only read, and gets none of
	// package kernel's patches;
	// "debian" for the newest linux-source package that apt knows; "" for the
	// Debian source that is unpacked already, else as "debian".
	Source string
	// Fragments are files of configuration settings that go over the profile's
	// and may change them.
	Fragments []string
	// Jobs is how many commands make runs at a time; 0 is one for each processor.
	Jobs int
	// Progress takes lines for people; nil takes none.
	Progress io.Writer
}

// build is one build under way.
type build struct {
	target   target
	profile  string
	settings []Setting // everything that the configuration must have
	source   kernelSource
	jobs     int
	log      io.Writer
	out      string // the object directory
	dir      string // where the kernel goes
}

// Build configures and builds a kernel and keeps it in the cache, where List and
// Find see it. Its release ends with "-rambox-" and the profile. Beside the image
// stand its configuration and, on x86, vmlinux, which starts by PVH with no
// decompressor.
//
// The kernel is configured from nothing: allnoconfig with the profile's fragments
// and then the caller's. A symbol that does not end up as they want is an error that
// names the fragment's line and what is missing.
//
// A kernel that is in the cache, made from the same source, settings and compiler,
// is returned at once. The same input gives the same bytes.
func Build(ctx context.Context, o BuildOptions) (Kernel, error) {
	b, err := newBuild(o)
	if err != nil {
		return Kernel{}, err
	}
	cache, err := CacheDir()
	if err != nil {
		return Kernel{}, err
	}
	if b.source, err = findSource(ctx, o.Source, cache, b.log); err != nil {
		return Kernel{}, err
	}
	if b.source.cached {
		if b.source, err = patchSource(ctx, b.source, kernel.FS, b.log); err != nil {
			return Kernel{}, err
		}
	}
	b.dir = filepath.Join(cache, "kernels", b.name())
	b.out = filepath.Join(cache, "build", b.name()+"-"+b.source.id)
	key, keyErr := b.key(ctx)
	if k, ok := b.cached(key); ok && keyErr == nil {
		return k, nil
	}
	if err := cmp.Or(b.target.checkTools(ctx, b.settings), keyErr); err != nil {
		return Kernel{}, err
	}
	unlock, err := lockDir(ctx, b.out, b.log)
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	if k, ok := b.cached(key); ok {
		return k, nil // the build that was waited for
	}
	if err := b.configure(ctx); err != nil {
		return Kernel{}, err
	}
	if err := b.compile(ctx); err != nil {
		return Kernel{}, err
	}
	return b.keep(ctx, key)
}

// newBuild reads the profile and the caller's fragments.
func newBuild(o BuildOptions) (*build, error) {
	t, err := findTarget(o.Arch)
	if err != nil {
		return nil, err
	}
	p, err := LoadProfile(kernel.FS, o.Profile)
	if err != nil {
		return nil, err
	}
	settings, err := p.Settings(kernel.FS, t.arch)
	if err != nil {
		return nil, err
	}
	settings = append(settings, []Setting{{
		Symbol: "LOCALVERSION", Value: `"-rambox-` + p.Name + `"`, File: "profile " + p.Name,
	}})
	for _, file := range o.Fragments {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read fragment: %w", err)
		}
		own, err := ParseFragment(file, data)
		if err != nil {
			return nil, err
		}
		settings = append(settings, own)
	}
	b := &build{
		target: t, profile: p.Name, settings: merge(settings...),
		jobs: cmp.Or(o.Jobs, runtime.NumCPU()), log: o.Progress,
	}
	if b.log == nil {
		b.log = io.Discard
	}
	for _, s := range b.settings {
		if s.Value == "m" || s.Symbol == "MODULES" && s.Value == "y" {
			return nil, fmt.Errorf("%s: %s: kernels are built here without modules", s.Where(), s)
		}
	}
	return b, nil
}

// name names the kernel's directories: "rambox-run-amd64".
func (b *build) name() string { return "rambox-" + b.profile + "-" + b.target.arch }

// buildRecipe changes when a kernel built by an older version of this package
// would differ from one built now for another reason than its settings.
const buildRecipe = "1"

// key is a digest of everything that the kernel's bytes depend on.
func (b *build) key(ctx context.Context) (string, error) {
	compiler, err := b.target.compiler(ctx)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n%s", buildRecipe, b.target.make, b.source.content, compiler, formatSettings(b.settings))
	return hex.EncodeToString(h.Sum(nil)), nil
}

// make is a run of make in the object directory with everything fixed that
// would make two builds differ.
func (b *build) make() makeRun {
	cc := b.target.prefix() + "gcc"
	if _, err := exec.LookPath("ccache"); err == nil {
		cc = "ccache " + cc
	}
	return makeRun{
		target: b.target, source: b.source.dir, out: b.out, log: b.log,
		vars: []string{
			"CC=" + cc, "LOCALVERSION=",
			"KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970", "KBUILD_BUILD_VERSION=1",
			"KBUILD_BUILD_USER=rambox", "KBUILD_BUILD_HOST=rambox",
		},
	}
}

// configure writes the object directory's .config and checks it.
func (b *build) configure(ctx context.Context) error {
	wanted := filepath.Join(b.out, "wanted.config")
	if err := os.WriteFile(wanted, formatSettings(b.settings), 0o644); err != nil {
		return err
	}
	m := b.make()
	m.vars = append(m.vars, "KCONFIG_ALLCONFIG="+wanted)
	if err := m.run(ctx, "allnoconfig"); err != nil {
		return err
	}
	got, err := b.config()
	if err != nil {
		return err
	}
	return checkSettings(b.settings, got, os.DirFS(b.source.dir), b.target.dir)
}

// compile builds the image and vmlinux.
func (b *build) compile(ctx context.Context) error {
	got, err := b.config()
	if err != nil {
		return err
	}
	m := b.make()
	m.steps = estimateSteps(got)
	fmt.Fprintf(b.log, "build %s from %s: about %d steps, %d at a time\n", b.name(), b.source.version, m.steps, b.jobs)
	return m.run(ctx, fmt.Sprintf("-j%d", b.jobs), b.target.image)
}

// config reads the object directory's configuration.
func (b *build) config() (Config, error) {
	return ReadConfig(filepath.Join(b.out, ".config"))
}
