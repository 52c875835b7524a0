// Package kernels finds Linux kernels to boot and fetches Debian's into a cache, with nothing installed on the host.
package kernels

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Kernel is a kernel image with what belongs to it.
type Kernel struct {
	Release string // as uname -r says: 6.1.0-56-cloud-amd64
	Path    string // the bzImage, Image or vmlinux
	Modules string // directory …/lib/modules/<release>; "" if there is none
	Config  string // the configuration it was built with; "" if there is none
	Arch    string // GOARCH name: amd64, 386, arm, arm64, riscv64
	Origin  string // one of the Origin constants
}

// Where a kernel comes from.
const (
	OriginCache = "cache" // fetched
	OriginBoot  = "/boot" // the host's own
	OriginFile  = "file"  // named by path
)

// Flavour is the build variant in a kernel's release: "cloud" for Debian's 6.1.0-56-cloud-amd64, "run" for 6.12.1-rambox-run,
// which Rambox has built; "generic" when it names none.
func (k Kernel) Flavour() string {
	release := strings.TrimSuffix(k.Release, "-"+debianArch(k.Arch))
	if generic := genericPackages[k.Arch]; generic != "" {
		release = strings.TrimSuffix(release, "-"+generic)
	}
	if m := flavourWords.FindStringSubmatch(release); m != nil {
		return strings.TrimPrefix(m[1], "rambox-")
	}
	return "generic"
}

// flavourWords are the words that end a release: they begin with a letter.
var flavourWords = regexp.MustCompile(`-([a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*)$`)

// CacheDir is the directory of what Rambox keeps between runs: $RAMBOX_CACHE, or rambox in the user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv("RAMBOX_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w; set RAMBOX_CACHE", err)
	}
	return filepath.Join(dir, "rambox"), nil
}

// Find returns the kernel that spec means: the path of an image; or a release or a flavour ("cloud", "generic", "run", "cloud-arm64"),
// of which the newest in the cache, else in /boot, is taken, for the host's architecture unless only another's has the name.
// "" is the newest cloud kernel of the cache, else the host's own.
func Find(spec string) (Kernel, error) {
	cache, err := CacheDir()
	if err != nil {
		return Kernel{}, err
	}
	return find(spec, cache, hostRoot)
}

func find(spec, cache, root string) (Kernel, error) {
	if strings.Contains(spec, "/") {
		return load(spec, OriginFile, root)
	}
	all, err := list(cache, root)
	if err != nil {
		return Kernel{}, err
	}
	if spec == "" {
		return findDefault(all, runtime.GOARCH)
	}
	for _, native := range []bool{true, false} {
		for _, k := range all {
			if (k.Arch == runtime.GOARCH) == native && k.is(spec) && (native || k.Flavour() != spec) {
				return k, nil
			}
		}
	}
	if _, err := os.Stat(spec); err == nil {
		return load(spec, OriginFile, root)
	}
	return Kernel{}, fmt.Errorf("kernel %s is neither a file nor in the cache nor readable in /boot; %s", spec, fetchHint(""))
}

// is reports whether spec, which is no path, may mean k.
func (k Kernel) is(spec string) bool {
	return spec == k.Release || spec == k.Flavour() || spec == k.Flavour()+"-"+k.Arch
}

// findDefault picks one for arch from a list that is sorted as List's is.
func findDefault(all []Kernel, arch string) (Kernel, error) {
	var host *Kernel
	running := runningRelease()
	for i, k := range all {
		switch {
		case k.Arch != arch:
		case k.Origin == OriginCache && k.Flavour() == DefaultFlavour(arch):
			return k, nil
		case k.Origin == OriginBoot && (host == nil || k.Release == running):
			host = &all[i]
		}
	}
	switch {
	case host != nil:
		return *host, nil
	case arch != runtime.GOARCH:
		return Kernel{}, fmt.Errorf("no kernel for %s: none in the cache; %s", arch, fetchHint(arch))
	}
	return Kernel{}, errors.New("no kernel: none in the cache, none readable in /boot; " + fetchHint(""))
}

// runningRelease is uname -r; "" where there is no /proc.
func runningRelease() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(release))
}

// hostRoot is where the host keeps /boot and /lib/modules.
const hostRoot = "/"

// List returns the kernels of the cache and the readable ones of /boot, the cache's first, the newest first.
func List() ([]Kernel, error) {
	dir, err := CacheDir()
	if err != nil {
		return nil, err
	}
	return list(dir, hostRoot)
}

func list(cache, root string) ([]Kernel, error) {
	var all []Kernel
	entries, err := os.ReadDir(filepath.Join(cache, "kernels"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the kernel cache: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			dir := filepath.Join(cache, "kernels", e.Name())
			all = append(all, images(filepath.Join(dir, "boot"), OriginCache, dir)...)
		}
	}
	all = append(all, images(filepath.Join(root, "boot"), OriginBoot, root)...)
	slices.SortStableFunc(all, func(a, b Kernel) int {
		if a.Origin != b.Origin {
			return strings.Compare(b.Origin, a.Origin) // "cache" before "/boot"
		}
		return CompareReleases(b.Release, a.Release)
	})
	return all, nil
}

// images loads the vmlinuz-*, then the vmlinux-* files of a boot directory that can be read and make sense.
func images(boot, origin, root string) []Kernel {
	var found []Kernel
	for _, pattern := range []string{"vmlinuz-*", "vmlinux-*"} {
		paths, _ := filepath.Glob(filepath.Join(escapeGlob(boot), pattern))
		for _, p := range paths {
			if k, err := load(p, origin, root); err == nil {
				found = append(found, k)
			}
		}
	}
	return found
}

// escapeGlob makes a directory's name mean itself in filepath.Glob.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// load reads what an image says of itself and looks for what belongs to it: beside it, then under root.
func load(path, origin, root string) (Kernel, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Kernel{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Kernel{}, fmt.Errorf("read kernel: %w", err)
	}
	defer f.Close()
	info, err := identify(f)
	if err == nil && info.release == "" {
		info.release, err = releaseInName(path)
	}
	if err != nil {
		return Kernel{}, fmt.Errorf("read kernel %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	k := Kernel{Release: info.release, Path: path, Arch: info.arch, Origin: origin}
	for _, base := range []string{filepath.Dir(dir), root} {
		for _, lib := range []string{"lib/modules", "usr/lib/modules"} {
			if p := filepath.Join(base, lib, k.Release); k.Modules == "" && isDir(p) {
				k.Modules = p
			}
		}
	}
	for _, p := range []string{filepath.Join(dir, "config-"+k.Release), buildConfig(path), filepath.Join(root, "boot", "config-"+k.Release)} {
		if k.Config == "" && isConfig(p) {
			k.Config = p
		}
	}
	return k, nil
}

// buildConfig is where the configuration is if the image at path lies in the tree that it was built in:
// vmlinux at the top, the others in arch/<arch>/boot.
func buildConfig(path string) string {
	dir := filepath.Dir(path)
	arches := filepath.Dir(filepath.Dir(dir))
	if filepath.Base(dir) == "boot" && filepath.Base(arches) == "arch" {
		dir = filepath.Dir(arches)
	}
	return filepath.Join(dir, ".config")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// CompareReleases orders kernel releases by age: numbers count as numbers, so 6.1.0-9 is older than 6.1.0-10; a release
// candidate (6.12~rc1, 6.12-rc1) is older than its release. The result is as of strings.Compare.
func CompareReleases(a, b string) int {
	for a != "" || b != "" {
		var wa, wb string
		wa, a = nextWord(a)
		wb, b = nextWord(b)
		if c := compareWords(wa, wb); c != 0 {
			return c
		}
	}
	return 0
}

// nextWord splits off the run of digits or of other bytes that s begins with.
func nextWord(s string) (word, rest string) {
	if s == "" {
		return "", ""
	}
	end := 1
	for end < len(s) && isDigit(s[end]) == isDigit(s[0]) {
		end++
	}
	return s[:end], s[end:]
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func compareWords(a, b string) int {
	if a == b {
		return 0
	}
	if a != "" && b != "" && isDigit(a[0]) && isDigit(b[0]) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	}
	switch ca, cb := isCandidate(a), isCandidate(b); {
	case ca && cb:
		return 0 // the number that follows decides
	case ca:
		return -1
	case cb:
		return 1
	}
	return strings.Compare(a, b)
}

func isCandidate(word string) bool { return strings.TrimLeft(word, "-~") == "rc" }
