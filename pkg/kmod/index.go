// Package kmod finds and loads kernel modules.
//
// The index half is pure and builds everywhere: it reads the text files that depmod(8) writes into /lib/modules/<release>
// and the configuration of modprobe.d(5), and answers which modules a name or a modalias stands for and in which order
// they must be loaded. It follows libkmod 30 where it says nothing else.
//
// The loader half (Linux only) gives modules to the kernel with finit_module(2), and finds the modules that the devices
// in sysfs ask for.
package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unsafe"
)

// ErrNotFound is in the error for a name that is neither a module, nor built into the kernel, nor an alias of either.
var ErrNotFound = errors.New("no such module")

// Module is one line of modules.dep with what modules.softdep adds to it.
type Module struct {
	Name string   // canonical, with '_' for '-': "virtio_blk"
	Path string   // as modules.dep has it, relative to the index root: "kernel/drivers/block/virtio_blk.ko"
	Deps []string // names of all modules that it needs, direct and indirect, in load order
	Pre  []string // modules or aliases to load before it, where they exist
	Post []string // modules or aliases to load after it, where they exist
}

// Index answers questions about the modules of one kernel release. It keeps the files as they are and builds its look-up
// tables on first use. It is safe for concurrent use.
type Index struct {
	dep     *lineTable
	builtin *lineTable
	alias   *aliasTable
	softdep string // modules.softdep
	modinfo string // modules.builtin.modinfo
	config  *Config
}

// maxFile is ten times what the largest index file has. Offsets into one must fit an int32.
const maxFile = 16 << 20

// ReadIndex reads modules.dep, modules.alias, modules.softdep, modules.builtin and modules.builtin.modinfo from dir, which
// is rooted at /lib/modules/<release>. Only modules.dep must be there; without it the error wraps fs.ErrNotExist.
func ReadIndex(dir fs.FS) (*Index, error) {
	var texts [5]string
	for i, name := range [len(texts)]string{"modules.dep", "modules.alias", "modules.softdep", "modules.builtin", "modules.builtin.modinfo"} {
		data, err := fs.ReadFile(dir, name)
		if err != nil && (i == 0 || !errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("read module index: %w", err)
		}
		if len(data) > maxFile {
			return nil, fmt.Errorf("read module index: %s has %d bytes", name, len(data))
		}
		// Nobody else holds data, and a modules.alias of 1.4 MB is worth not copying.
		texts[i] = unsafe.String(unsafe.SliceData(data), len(data))
	}
	return &Index{
		dep:     &lineTable{text: texts[0]},
		alias:   &aliasTable{text: texts[1]},
		softdep: texts[2],
		builtin: &lineTable{text: texts[3]},
		modinfo: texts[4],
		config:  new(Config),
	}, nil
}

// WithConfig returns an index that also follows the aliases and soft dependencies of config; nil has none. It shares
// everything else with x. Options and blacklists are the loader's concern.
func (x *Index) WithConfig(config *Config) *Index {
	y := *x
	y.config = config
	if config == nil {
		y.config = new(Config)
	}
	return &y
}

// Module returns the module called name ('-' equals '_'). An alias or a module built into the kernel is not found.
func (x *Index) Module(name string) (Module, bool) {
	name = canonical(name)
	path, _, ok := x.depLine(name)
	if !ok {
		return Module{}, false
	}
	m := Module{Name: name, Path: path}
	p := planner{index: x, hardOnly: true}
	if p.visit(path, 0) >= 0 {
		for _, s := range p.steps[:len(p.steps)-1] {
			m.Deps = append(m.Deps, s.name)
		}
	}
	m.Pre, m.Post = x.softDeps(name)
	return m, true
}

// Builtin reports whether the module called name is built into the kernel.
func (x *Index) Builtin(name string) bool {
	_, ok := x.builtin.find(canonical(name))
	return ok
}

// Names lists the modules in the order of modules.dep.
func (x *Index) Names() []string {
	var names []string
	for line := range strings.Lines(x.dep.text) {
		path, _, ok := strings.Cut(line, ":")
		if name := moduleName(path); ok && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// depLine returns the path of the module with this canonical name and the paths that it depends on, as modules.dep has
// them: separated by blanks, and to be loaded from the last to the first.
func (x *Index) depLine(name string) (path, deps string, ok bool) {
	line, ok := x.dep.find(name)
	if !ok {
		return "", "", false
	}
	return strings.Cut(line, ":")
}

// softDeps collects the soft dependencies of the module with this canonical name from the configuration and from
// modules.softdep. A module with several lines gets them all; libkmod stops at the first.
func (x *Index) softDeps(name string) (pre, post []string) {
	for _, s := range x.config.softdeps {
		if match(s.module, name) {
			pre, post = appendSoftDeps(pre, post, s.list)
		}
	}
	for rest := x.softdep; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		line, ok := strings.CutPrefix(line, "softdep ")
		if !ok {
			continue
		}
		if module, list, ok := strings.Cut(line, " "); ok && match(module, name) {
			pre, post = appendSoftDeps(pre, post, list)
		}
	}
	return pre, post
}

// appendSoftDeps parses "pre: a b post: c". Names before the first keyword count for nothing, as in libkmod.
func appendSoftDeps(pre, post []string, list string) ([]string, []string) {
	var to *[]string
	for word := range strings.FieldsSeq(list) {
		switch {
		case word == "pre:":
			to = &pre
		case word == "post:":
			to = &post
		case to != nil:
			*to = append(*to, word)
		}
	}
	return pre, post
}

// canonical writes a module name as the kernel does: "crc32c-intel" is crc32c_intel.
func canonical(name string) string {
	return strings.ReplaceAll(name, "-", "_")
}

// moduleName returns the canonical name of a module file: "kernel/lib/crc32c-intel.ko.xz" is crc32c_intel.
func moduleName(path string) string {
	base := path[strings.LastIndexByte(path, '/')+1:]
	base, _, _ = strings.Cut(base, ".")
	return canonical(base)
}
