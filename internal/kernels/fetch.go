package kernels

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Fetch puts a Debian kernel into the cache and returns it; when the cache has that very version already, it downloads no kernel.
// flavour is cloud, generic, rt, the release of a kernel, or the name of a package ("" is cloud where Debian has one, else
// generic); arch is a GOARCH name ("" is the host's). For another architecture than the host's, its busybox comes along (see Busybox), for amd64
// and arm64 systemd's programs for UEFI too (see StubDir).
// Nothing is installed: the package is unpacked into a directory beside the others, which gets its name when it is complete.
// The host's package lists are used where they will do; otherwise lists are downloaded into a temporary directory, with the
// host's sources and keys, so that neither root nor a change of the host's configuration is needed, not for other architectures either.
// progress gets a line of text for every step.
func Fetch(ctx context.Context, flavour, arch string, progress io.Writer) (Kernel, error) {
	if arch == "" {
		arch = runtime.GOARCH
	}
	pkg, err := packageName(flavour, arch)
	if err != nil {
		return Kernel{}, err
	}
	cache, err := CacheDir()
	if err != nil {
		return Kernel{}, err
	}
	f := fetch{run: runner{ctx: ctx}, progress: progress, arch: arch, kernels: filepath.Join(cache, "kernels")}
	k, err := f.fetch(pkg)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Kernel{}, fmt.Errorf("fetch %s: %w", pkg, err)
	}
	return k, nil
}

// packageName is the Debian package that brings a flavour.
func packageName(flavour, arch string) (string, error) {
	deb := debianArch(arch)
	if err := checkArch(arch); err != nil {
		return "", err
	}
	if flavour == "" {
		flavour = DefaultFlavour(arch)
	}
	switch {
	case strings.HasPrefix(flavour, "linux-image-"):
		return flavour, nil
	case isDigit(flavour[0]):
		return "linux-image-" + flavour, nil
	case flavour == "generic":
		return "linux-image-" + cmp.Or(genericPackages[arch], deb), nil
	default:
		return "linux-image-" + flavour + "-" + deb, nil
	}
}

// fetch is one call of Fetch.
type fetch struct {
	run      runner
	progress io.Writer
	arch     string // GOARCH name
	kernels  string // the cache's directory of kernels
	tmp      string // a directory of our own in it
}

func (f fetch) say(format string, args ...any) { fmt.Fprintf(f.progress, format+"\n", args...) }

// stampFile holds, in a kernel's directory of the cache, the packages that it was unpacked from.
const stampFile = "packages"

func (f fetch) fetch(pkg string) (Kernel, error) {
	for _, tool := range []struct{ name, advice string }{
		{"apt-get", "this needs a Debian host; elsewhere name a kernel's file instead"},
		{"apt-cache", "this needs a Debian host; elsewhere name a kernel's file instead"},
		{"dpkg-deb", "install dpkg"},
		{"depmod", "install kmod"},
	} {
		if _, err := findTool(tool.name); err != nil {
			return Kernel{}, fmt.Errorf("%w: %s", err, tool.advice)
		}
	}
	if err := os.MkdirAll(f.kernels, 0o755); err != nil {
		return Kernel{}, fmt.Errorf("create the kernel cache: %w", err)
	}
	f.sweep()
	tmp, err := os.MkdirTemp(f.kernels, tmpPrefix)
	if err != nil {
		return Kernel{}, fmt.Errorf("write to the kernel cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	f.tmp = tmp
	packages, debs, err := f.obtain(pkg)
	if err != nil {
		return Kernel{}, err
	}
	target := filepath.Join(f.kernels, packages.release())
	if debs == nil {
		f.say("%s is in the cache already", packages.release())
	} else if err := f.unpack(debs, packages, target); err != nil {
		return Kernel{}, err
	}
	if f.arch != runtime.GOARCH {
		if err := f.busybox(); err != nil {
			return Kernel{}, err
		}
		if err := f.stub(); err != nil {
			return Kernel{}, err
		}
	}
	return loadFetched(target)
}

// tmpPrefix starts the names of temporary directories in the cache.
const tmpPrefix = ".fetch-"

// sweep removes what a fetch that was killed has left behind: no fetch takes a day.
func (f fetch) sweep() {
	entries, _ := os.ReadDir(f.kernels)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), tmpPrefix) && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(filepath.Join(f.kernels, e.Name()))
		}
	}
}

// obtain resolves pkg and downloads what it takes: by the host's lists, and when these lack it, are older than what
// the mirrors have or are of another architecture, by lists of our own. No debs means that the cache has them.
func (f fetch) obtain(pkg string) (packages packageList, debs []string, err error) {
	f.say("resolve %s", pkg)
	lists := []func() (apt, error){f.hostLists, f.ownLists}
	if f.arch != runtime.GOARCH {
		lists = lists[1:]
	}
	for _, list := range lists {
		var a apt
		if a, err = list(); err != nil {
			return nil, nil, err
		}
		if packages, err = a.resolve(pkg); err != nil {
			continue
		}
		stamp, _ := os.ReadFile(filepath.Join(f.kernels, packages.release(), stampFile))
		if string(stamp) == packages.String() {
			return packages, nil, nil
		}
		for _, p := range packages {
			f.say("download %s %s (%s bytes)", p.name, p.version, p.size)
		}
		a.run.report = f.sayDownload(packages)
		if debs, err = a.download(packages); err == nil {
			return packages, debs, nil
		}
	}
	return nil, nil, err
}

// unpack makes the kernel's directory: boot, lib/modules with its index, and the stamp.
func (f fetch) unpack(debs []string, packages packageList, target string) error {
	root := filepath.Join(f.tmp, "root")
	f.say("unpack")
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	for _, deb := range debs {
		if _, err := f.run.command(f.tmp, "dpkg-deb", "-x", deb, root); err != nil {
			return err
		}
	}
	if err := arrange(root); err != nil {
		return err
	}
	f.say("index modules")
	if _, err := f.run.command(f.tmp, "depmod", "-b", root, packages.release()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, stampFile), []byte(packages.String()), 0o644); err != nil {
		return err
	}
	if _, err := loadFetched(root); err != nil {
		return err
	}
	return replaceDir(root, target, filepath.Join(f.tmp, "old"))
}

// arrange moves modules to lib/modules, where all but the newest packages have them, and drops the documentation.
// usr/lib leads there as well, for a depmod that looks there.
func arrange(root string) error {
	merged := filepath.Join(root, "usr/lib/modules")
	if isDir(merged) {
		if err := os.MkdirAll(filepath.Join(root, "lib"), 0o755); err != nil {
			return err
		}
		if err := os.Rename(merged, filepath.Join(root, "lib/modules")); err != nil {
			return err
		}
	}
	usr := filepath.Join(root, "usr")
	if err := os.RemoveAll(usr); err != nil {
		return err
	}
	if err := os.Mkdir(usr, 0o755); err != nil {
		return err
	}
	return os.Symlink("../lib", filepath.Join(usr, "lib"))
}

// loadFetched is the kernel in a directory that unpack has made.
func loadFetched(dir string) (Kernel, error) {
	found := images(filepath.Join(dir, "boot"), OriginCache, dir)
	if len(found) == 0 {
		return Kernel{}, errors.New("the package has no kernel that Rambox can read")
	}
	return found[0], nil
}
