package kernels

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// kernelSource is a tree to build from.
type kernelSource struct {
	dir     string // absolute
	id      string // a short name for its object directory: "debian", "4f1d0c2a"
	version string // for people: "linux-source-6.12.117-1-deb12u1", or the directory
	content string // changes whenever the tree does
	cached  bool   // the tree is the cache's own
}

// debianTrees is the directory that keeps Debian's sources, unpacked.
func debianTrees(cache string) string { return filepath.Join(cache, "source") }

// findSource finds the tree to build from: a directory; "debian", the newest
// linux-source package that apt knows, fetched if it is not there; "", the Debian
// source that is unpacked already, else as "debian".
func findSource(ctx context.Context, source, cache string, log io.Writer) (kernelSource, error) {
	switch source {
	case "":
		if src, ok := unpackedSource(cache); ok {
			return src, nil
		}
		return debianSource(ctx, cache, log)
	case "debian":
		return debianSource(ctx, cache, log)
	}
	return dirSource(source)
}

// dirSource is a tree that the user has.
func dirSource(dir string) (kernelSource, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return kernelSource{}, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return kernelSource{}, fmt.Errorf("find kernel source: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "scripts", "kconfig")); err != nil {
		return kernelSource{}, fmt.Errorf("%s is no kernel source: %w", dir, err)
	}
	// The kernel's Makefile, target outputmakefile, refuses such a tree.
	for _, built := range []string{".config", filepath.Join("include", "config")} {
		if _, err := os.Stat(filepath.Join(dir, built)); err == nil {
			return kernelSource{}, fmt.Errorf("%s has been built in (it has %s): run make mrproper there, or give a clean tree", dir, built)
		}
	}
	content, err := treeState(dir)
	if err != nil {
		return kernelSource{}, err
	}
	sum := sha256.Sum256([]byte(dir))
	return kernelSource{dir: dir, id: hex.EncodeToString(sum[:4]), version: dir, content: content}, nil
}

// treeState is a digest of the names, sizes and times of a tree's files: about
// a third of a second for a kernel, where reading them takes many.
func treeState(dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == ".git" || name == "Documentation" {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read source tree: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unpackedSource is the newest of Debian's sources that the cache has.
func unpackedSource(cache string) (kernelSource, bool) {
	entries, err := os.ReadDir(debianTrees(cache))
	if err != nil {
		return kernelSource{}, false
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !strings.HasPrefix(e.Name(), "linux-source-") })
	if len(entries) == 0 {
		return kernelSource{}, false
	}
	newest := slices.MaxFunc(entries, func(a, b fs.DirEntry) int { return CompareReleases(a.Name(), b.Name()) })
	return debianTree(cache, newest.Name()), true
}

func debianTree(cache, name string) kernelSource {
	return kernelSource{dir: filepath.Join(debianTrees(cache), name), id: "debian", version: name, content: name, cached: true}
}

// debianSource asks apt for the newest linux-source package and unpacks it,
// unless that has been done. Older unpacked sources (1.5 GB each) are removed.
func debianSource(ctx context.Context, cache string, log io.Writer) (kernelSource, error) {
	trees := debianTrees(cache)
	if err := os.MkdirAll(trees, 0o755); err != nil {
		return kernelSource{}, fmt.Errorf("create the source cache: %w", err)
	}
	tmp, err := os.MkdirTemp(trees, ".unpack-")
	if err != nil {
		return kernelSource{}, fmt.Errorf("write to the source cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	f := fetch{run: runner{ctx: ctx}, progress: log, arch: runtime.GOARCH, tmp: tmp}
	src, err := f.source(cache)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return kernelSource{}, fmt.Errorf("fetch Debian's kernel source: %w", err)
	}
	return src, removeOthers(trees, src.version)
}

// source finds, downloads and unpacks the newest source by the host's package
// lists, or by lists of our own if those lack it or are out of date.
func (f fetch) source(cache string) (kernelSource, error) {
	var src kernelSource
	var err error
	for _, list := range []func() (apt, error){f.hostLists, f.ownLists} {
		var a apt
		if a, err = list(); err != nil {
			break
		}
		var p debPackage
		if p, err = a.newestSource(); err != nil {
			continue
		}
		src = debianTree(cache, treeName(p))
		if isDir(src.dir) {
			return src, nil
		}
		f.say("download %s %s (%s bytes)", p.name, p.version, p.size)
		var debs []string
		if debs, err = a.download(packageList{p}); err == nil {
			return src, f.unpackSource(p, debs[0], src.dir)
		}
	}
	return kernelSource{}, err
}

// newestSource is the package linux-source-N with the highest N.
func (a apt) newestSource() (debPackage, error) {
	names, err := a.run.command(a.tmp, "apt-cache", "-c", a.conf, "pkgnames", "linux-source-")
	if err != nil {
		return debPackage{}, err
	}
	pkg, ok := newestSource(strings.Fields(names))
	if !ok {
		return debPackage{}, errors.New("no package linux-source-N in the host's apt sources: give a source directory")
	}
	return a.show(pkg)
}

// newestSource picks linux-source-N with the highest N.
func newestSource(names []string) (string, bool) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		version, ok := strings.CutPrefix(name, "linux-source-")
		return !ok || version == "" || strings.Trim(version, "0123456789.") != ""
	})
	if len(names) == 0 {
		return "", false
	}
	return slices.MaxFunc(names, CompareReleases), true
}

// treeName names an unpacked source by its package's version, without what make
// (a colon) or a shell (a tilde) would take for something else.
func treeName(p debPackage) string {
	return "linux-source-" + strings.NewReplacer(":", "-", "~", "-").Replace(p.version)
}

// unpackSource unpacks the tree that a linux-source package holds as a tar file.
func (f fetch) unpackSource(p debPackage, deb, target string) error {
	f.say("unpack %s (1.5 GB)", p.name)
	if _, err := f.run.command(f.tmp, "dpkg-deb", "-x", deb, "."); err != nil {
		return err
	}
	tree := filepath.Join(f.tmp, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	archive := filepath.Join("usr", "src", p.name+".tar.xz")
	if _, err := f.run.command(f.tmp, "tar", "-xf", archive, "-C", tree, "--strip-components=1"); err != nil {
		return err
	}
	if err := os.Rename(tree, target); err != nil && !isDir(target) { // another process was faster
		return err
	}
	return nil
}

// removeOthers removes the other sources from a directory of sources.
func removeOthers(dir, keep string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != keep && strings.HasPrefix(e.Name(), "linux-source-") {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
