package kernels

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// busyboxPackage is Debian's busybox without libraries.
const busyboxPackage = "busybox-static"

// Busybox is the static busybox of an architecture that Fetch has put into the cache beside its kernel; ok is false if there is
// none. Of the host's own architecture there never is: that is the host's matter.
func Busybox(arch string) (path string, ok bool) {
	cache, err := CacheDir()
	if err != nil {
		return "", false
	}
	path = filepath.Join(busyboxDir(cache, arch), "busybox")
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular()
}

func busyboxDir(cache, arch string) string { return filepath.Join(cache, "busybox", arch) }

// busybox puts the newest busybox of f.arch into the cache, unless it is there.
func (f fetch) busybox() error {
	return f.extra(busyboxPackage, map[string]string{"bin/busybox": "busybox"}, busyboxDir(filepath.Dir(f.kernels), f.arch))
}

// extra puts files of a package's newest version, by their names there, into dir, under other names, unless they are there. The
// package's copyright comes with them.
func (f fetch) extra(pkg string, files map[string]string, dir string) error {
	a, err := f.ownLists()
	if err != nil {
		return err
	}
	p, err := a.show(pkg)
	if err != nil {
		return err
	}
	list := packageList{p}
	if stamp, _ := os.ReadFile(filepath.Join(dir, stampFile)); string(stamp) == list.String() {
		return nil
	}
	f.say("download %s %s (%s bytes)", p.name, p.version, p.size)
	debs, err := a.download(list)
	if err != nil {
		return err
	}
	root, next := filepath.Join(f.tmp, pkg), filepath.Join(f.tmp, "next-"+pkg)
	if _, err := f.run.command(f.tmp, "dpkg-deb", "-x", debs[0], root); err != nil {
		return err
	}
	if err := os.Mkdir(next, 0o755); err != nil {
		return err
	}
	files = maps.Clone(files)
	files["usr/share/doc/"+pkg+"/copyright"] = "copyright"
	for from, to := range files {
		if err := os.Rename(filepath.Join(root, from), filepath.Join(next, to)); err != nil {
			// Newer packages have all programs in /usr.
			if err := os.Rename(filepath.Join(root, "usr", from), filepath.Join(next, to)); err != nil {
				return fmt.Errorf("package %s: %w", pkg, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(next, stampFile), []byte(list.String()), 0o644); err != nil {
		return err
	}
	return replaceDir(next, dir, filepath.Join(f.tmp, "old-"+pkg))
}

// replaceDir gives next the name target, and what has it now the name old.
func replaceDir(next, target, old string) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if err := os.Rename(target, old); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace %s in the cache: %w", filepath.Base(target), err)
	}
	return os.Rename(next, target)
}
