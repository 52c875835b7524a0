package image

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// linker finds what dynamic programs need and puts it into the tree, each file
// where the loader will look for it. It follows ld.so(8) without the cache:
// for each name DT_RPATH of the object and of those that loaded it,
// DT_RUNPATH of the object, the directories of /etc/ld.so.conf, and the
// loader's own. What the tree has counts before what the host has.
type linker struct {
	tree *Tree
	conf []string // directories of /etc/ld.so.conf

	binaries map[string]*elfFile // by what they were read from; nil: not a program
	done     map[string]bool     // paths in the image whose needs have been met
	placed   []string            // paths of libraries from the host
}

func newLinker(t *Tree) (*linker, error) {
	conf, err := readLoaderConf("/etc/ld.so.conf", 0)
	if err != nil {
		return nil, err
	}
	return &linker{tree: t, conf: conf, binaries: map[string]*elfFile{}, done: map[string]bool{}}, nil
}

// object is a program or library as the loader opens it.
type object struct {
	path   string // in the image: "/usr/bin/git"
	host   string // the same on the host; "" for a file that the host does not have
	bin    *elfFile
	loader *object // what asked for it; nil for the program
	listed bool    // found in a directory of the loader's list, not by RPATH or RUNPATH
	ours   bool    // taken from the host
}

// link meets the needs of the program or library e. fromHost allows taking
// them from the host. Needs that cannot be met are errors that name the
// program, joined.
func (l *linker) link(e Entry, bin *elfFile, fromHost bool) error {
	if l.done[e.Path] {
		return nil
	}
	l.done[e.Path] = true
	root := &object{path: "/" + e.Path, bin: bin}
	if h, ok := e.content.(hostFile); ok {
		root.host = string(h)
	}
	if bin.interp != "" {
		if _, err := l.find(bin.interp, root, nil, fromHost); err != nil {
			return fmt.Errorf("%s: interpreter %w", root.path, err)
		}
	}
	return l.load(root, fromHost)
}

// load is the loader's breadth-first search.
func (l *linker) load(root *object, fromHost bool) error {
	var missing []error
	queue := []*object{root}
	loaded := map[string]*object{}
	need := func(name string, by *object, optional bool) {
		if loaded[name] != nil || isMusl(root.bin.interp) && strings.HasPrefix(name, "libc.") {
			return // musl's loader is its libc
		}
		o, err := l.find(name, by, l.dirs(by, root), fromHost)
		if err != nil {
			if !optional {
				missing = append(missing, fmt.Errorf("%s: library %w", by.path, err))
			}
			return
		}
		loaded[name] = o
		queue = append(queue, o)
	}
	for i := 0; i < len(queue); i++ {
		o := queue[i]
		for _, name := range o.bin.needed {
			need(name, o, false)
		}
		if o.bin.unwinds {
			need("libgcc_s.so.1", root, true)
		}
		if o.bin.oldNSS {
			need("libnss_files.so.2", root, true)
			need("libnss_dns.so.2", root, true)
		}
	}
	return errors.Join(append(missing, l.reach(loaded))...)
}

// reach makes links in libc's directory to libraries that only
// /etc/ld.so.conf leads to: the image has no cache of its directories, and
// libc.so.6 is always in one that the loader knows by itself.
func (l *linker) reach(loaded map[string]*object) error {
	c := loaded[libc]
	if c == nil {
		return nil
	}
	known := path.Dir(c.path)
	twin, ok := strings.CutPrefix(known, "/usr")
	if !ok {
		twin = "/usr" + known
	}
	for _, name := range slices.Sorted(maps.Keys(loaded)) {
		o := loaded[name]
		dir := path.Dir(o.path)
		if !o.listed || !o.ours || dir == known || dir == twin {
			continue
		}
		err := l.tree.put(Entry{
			Path: clean(path.Join(known, name)), Mode: fs.ModeSymlink | 0o777, Target: o.path,
			Source: "library of " + o.loader.path, origin: ours,
		}, false)
		if err != nil {
			return err
		}
	}
	return nil
}

// searchDir is a directory where the loader looks.
type searchDir struct {
	image, host string
	listed      bool
}

// dirs lists where the loader looks for what o needs.
func (l *linker) dirs(o, root *object) []searchDir {
	var dirs []searchDir
	add := func(paths []string, by *object) {
		for _, p := range paths {
			dirs = append(dirs, expand(p, by)...)
		}
	}
	musl := isMusl(root.bin.interp)
	if len(o.bin.runpath) == 0 || musl {
		for by := o; by != nil; by = by.loader {
			if len(by.bin.runpath) == 0 {
				add(by.bin.rpath, by)
			}
		}
	}
	add(o.bin.runpath, o)
	if musl {
		for by := o.loader; by != nil; by = by.loader {
			add(by.bin.runpath, by) // musl lets it count for what is below, too
		}
	}
	for _, d := range l.defaultDirs(root.bin) {
		dirs = append(dirs, searchDir{d, d, true})
	}
	return dirs
}

// defaultDirs are those that a loader searches whoever asks.
func (l *linker) defaultDirs(b *elfFile) []string {
	a, known := archOf(b.machine)
	if isMusl(b.interp) {
		list, err := os.ReadFile("/etc/ld-musl-" + a.musl + ".path")
		if err == nil {
			return strings.FieldsFunc(string(list), func(r rune) bool { return r == ':' || r == '\n' })
		}
		return []string{"/lib", "/usr/local/lib", "/usr/lib"}
	}
	dirs := slices.Clone(l.conf)
	if known {
		dirs = append(dirs, "/lib/"+a.triplet, "/usr/lib/"+a.triplet)
	}
	return append(dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib")
}

func isMusl(interp string) bool { return strings.HasPrefix(path.Base(interp), "ld-musl-") }

// expand replaces $ORIGIN, $LIB and $PLATFORM of ld.so(8) in a directory of
// RPATH or RUNPATH. The directory of the object may be another one in the
// image than on the host. An empty or relative path would be relative to the
// working directory, which nobody knows.
func expand(dir string, o *object) []searchDir {
	a, _ := archOf(o.bin.machine)
	libs := []string{"lib"}
	if strings.Contains(dir, "$LIB") || strings.Contains(dir, "${LIB}") {
		libs = []string{"lib/" + a.triplet, "lib64", "lib"}
	}
	platform, _, _ := strings.Cut(a.triplet, "-")
	var dirs []searchDir
	for _, lib := range libs {
		at := func(origin string) string {
			return strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin, "$LIB", lib, "${LIB}", lib,
				"$PLATFORM", platform, "${PLATFORM}", platform).Replace(dir)
		}
		d := searchDir{image: at(path.Dir(o.path)), host: at(path.Dir(o.path))}
		if o.host != "" {
			d.host = at(filepath.Dir(o.host))
		}
		if path.IsAbs(d.image) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// find looks a library, or with a slash in its name a path, up for o, and puts
// it into the tree if it comes from the host.
func (l *linker) find(name string, o *object, dirs []searchDir, fromHost bool) (*object, error) {
	var where []string
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			return nil, fmt.Errorf("%s: a relative path, which depends on the working directory", name)
		}
		dirs = []searchDir{{image: path.Dir(name), host: path.Dir(name)}}
	}
	for _, d := range dirs {
		found := &object{path: path.Join(d.image, path.Base(name)), loader: o, listed: d.listed}
		if e, ok := l.tree.Lookup(found.path); ok && e.Mode.IsRegular() {
			bin, err := l.readEntry(e)
			if err == nil && bin != nil && bin.machine == o.bin.machine {
				found.bin, found.ours = bin, e.origin == ours
				if h, ok := e.content.(hostFile); ok {
					found.host = string(h)
				}
				l.done[e.Path] = true
				return found, nil
			}
		} else if fromHost {
			found.host = filepath.Join(d.host, path.Base(name))
			bin, err := l.readHost(found.host)
			if err == nil && bin != nil && bin.machine == o.bin.machine {
				found.bin, found.ours = bin, true
				return found, l.place(found)
			}
		}
		where = append(where, d.image)
	}
	if len(where) == 1 {
		return nil, fmt.Errorf("%s for %s: not found", name, o.bin.machine)
	}
	return nil, fmt.Errorf("%s for %s: not found in %s", name, o.bin.machine, strings.Join(where, ", "))
}

// place puts a library of the host into the tree.
func (l *linker) place(o *object) error {
	info, err := os.Stat(o.host)
	if err != nil {
		return err
	}
	e, err := hostEntry(o.host, info, false)
	if err != nil {
		return err
	}
	e.Path, e.Source, e.origin = clean(o.path), "library of "+o.loader.path, ours
	if clean(filepath.ToSlash(o.host)) == e.Path {
		err = l.tree.putAtHostPath(e, false)
	} else {
		err = l.tree.put(e, false)
	}
	if err != nil {
		return err
	}
	at, err := l.tree.resolve(e.Path, true)
	if err != nil {
		return err
	}
	l.done[at] = true
	l.placed = append(l.placed, at)
	return nil
}

// readHost reads a host file; the answer is nil for what is no program.
func (l *linker) readHost(name string) (*elfFile, error) {
	if b, ok := l.binaries[name]; ok {
		return b, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil
	}
	return l.read(name, hostFile(name))
}

func (l *linker) readEntry(e Entry) (*elfFile, error) {
	if h, ok := e.content.(hostFile); ok {
		return l.readHost(string(h))
	}
	if b, ok := l.binaries[":"+e.Path]; ok {
		return b, nil
	}
	return l.read(":"+e.Path, e.content)
}

func (l *linker) read(key string, c content) (*elfFile, error) {
	r, closer, err := readerAt(c)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	b, err := readELF(r)
	if err != nil && !errors.Is(err, errNotProgram) {
		return nil, err
	}
	l.binaries[key] = b
	return b, nil
}
