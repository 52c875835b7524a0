package image

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"rambox/internal/kernels"
	"rambox/pkg/cmdline"
	"rambox/pkg/kmod"
)

// KernelInfo is what is known of the kernel that will boot the image.
type KernelInfo struct {
	Release    string         // "6.1.0-56-cloud-amd64"; "" for the last part of ModulesDir
	ModulesDir string         // host directory of modules.dep; "" for a kernel without modules
	Config     kernels.Config // nil when it is unknown
}

func (k KernelInfo) release() string { return cmp.Or(k.Release, filepath.Base(k.ModulesDir)) }

// Module is a module in the image.
type Module struct {
	Name   string // "virtio_blk"
	Path   string // "lib/modules/6.1.0/kernel/drivers/block/virtio_blk.ko"
	Size   int64  // bytes
	Signed bool   // it carries a signature in the image
}

// selection is which modules go into an image.
type selection struct {
	index    *kmod.Index
	names    []string // names and aliases that the index knows
	problems []error  // those asked for by name that it does not
}

// selectModules works out what spec and its command lines ask for. The result
// is nil for a kernel without modules, or if none are wanted.
func selectModules(spec *Spec, t *Tree) (*selection, error) {
	if slices.Contains(spec.Modules, SetNone) {
		if len(spec.Modules) > 1 {
			return nil, fmt.Errorf("modules %s: %s goes with no other name", strings.Join(spec.Modules, ","), SetNone)
		}
		return nil, nil
	}
	explicit, optional := lineModules(spec.args())
	explicit = append(explicit, t.modulesLoad()...)
	optional = append(optional, spec.OptionalModules...)
	var sets []string
	for _, name := range spec.Modules {
		switch name {
		case SetQEMU, SetHost, SetAll:
			sets = append(sets, name)
		default:
			explicit = append(explicit, name)
		}
	}
	if spec.Kernel.ModulesDir == "" {
		if len(spec.Modules) > len(sets) {
			return nil, fmt.Errorf("modules %s: the kernel has no modules", strings.Join(explicit, ","))
		}
		return nil, nil
	}
	index, err := kmod.ReadIndex(os.DirFS(spec.Kernel.ModulesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; depmod(8) makes it: depmod -b BASE RELEASE", err)
	}
	if err != nil {
		return nil, err
	}
	s := &selection{index: index}
	for _, set := range sets {
		names, err := s.set(set, spec.Sys)
		if err != nil {
			return nil, err
		}
		optional = append(optional, names...)
	}
	s.ask(explicit, true)
	s.ask(optional, false)
	return s, errors.Join(s.problems...)
}

// set returns the names that a set stands for.
func (s *selection) set(set string, sys fs.FS) ([]string, error) {
	switch set {
	case SetAll:
		return s.index.Names(), nil
	case SetQEMU:
		return qemuModules(), nil
	}
	if sys == nil {
		sys = os.DirFS("/sys")
	}
	aliases, err := hostAliases(sys)
	if err != nil {
		return nil, fmt.Errorf("modules of this machine: %w", err)
	}
	var names []string
	for _, alias := range aliases {
		names = append(names, s.index.Match(alias)...)
	}
	return names, nil
}

// ask adds the names that the index knows. One that it does not know is a
// problem if it is required.
func (s *selection) ask(names []string, required bool) {
	for _, name := range names {
		if slices.Contains(s.names, name) {
			continue
		}
		_, err := s.index.Closure(name)
		switch {
		case err == nil:
			s.names = append(s.names, name)
		case required:
			s.problems = append(s.problems, fmt.Errorf("%w%s", err, nearNames(name, s.index.Names())))
		}
	}
}

// modulesLoad returns the names in the tree's modules-load.d(5) files.
func (t *Tree) modulesLoad() []string {
	var names []string
	for _, e := range t.Entries() {
		dir, inside := strings.CutSuffix(path.Dir(e.Path), "/modules-load.d")
		if !inside || path.Ext(e.Path) != ".conf" || !slices.Contains([]string{"etc", "run", "usr/lib", "lib"}, dir) {
			continue
		}
		text, err := t.readFile(e.Path)
		if err != nil {
			continue // a dangling link
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != ';' {
				names = append(names, line)
			}
		}
	}
	return names
}

// addModules puts the chosen modules, with what they depend on and the index
// files for them, into the tree.
func (t *Tree) addModules(spec *Spec, s *selection, report *Report) error {
	modules, err := s.index.Closure(s.names...)
	if err != nil {
		return err
	}
	base := path.Join("lib/modules", spec.Kernel.release())
	wanted := map[string][]string{} // firmware → modules
	for _, m := range modules {
		file, err := readModule(filepath.Join(spec.Kernel.ModulesDir, filepath.FromSlash(m.Path)), spec.UnsignedModules)
		if err != nil {
			return fmt.Errorf("module %s: %w", m.Name, err)
		}
		e := Entry{
			Path: path.Join(base, unpackedPath(m.Path)), Mode: 0o644, Size: file.size,
			Source: "module " + m.Name, origin: ours, content: file.content,
		}
		if err := t.put(e, false); err != nil {
			return err
		}
		cut := file.signed && spec.UnsignedModules
		if cut {
			report.Unsigned++
		}
		report.Modules = append(report.Modules, Module{m.Name, e.Path, e.Size, file.signed && !cut})
		for _, name := range file.firmware {
			wanted[name] = append(wanted[name], m.Name)
		}
	}
	files, err := s.index.Subset(unpackedPath, s.names...)
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := t.putBytes(path.Join(base, name), 0o644, data, "module index"); err != nil {
			return err
		}
	}
	return t.addFirmware(spec, wanted, report)
}

// unpackedPath is where a module file goes: "foo.ko.xz" becomes "foo.ko".
func unpackedPath(name string) string { return strings.TrimSuffix(name, packedExtension(name)) }

// putBytes adds a file of ours.
func (t *Tree) putBytes(name string, perm fs.FileMode, data []byte, source string) error {
	return t.put(Entry{
		Path: clean(name), Mode: perm, Size: int64(len(data)),
		Source: source, origin: ours, content: bytesContent(data),
	}, false)
}

// args is the command line of the machine over that of the image.
func (s *Spec) args() cmdline.Args {
	return cmdline.Parse(s.KernelLine).Over(cmdline.Parse(s.Cmdline))
}

// nearNames returns "; did you mean a, b?" with the known names that are most
// like name, or "".
func nearNames(name string, known []string) string {
	const most, maxDistance = 5, 3
	name = strings.ReplaceAll(name, "-", "_")
	var near []string
	distances := map[string]int{}
	for _, k := range known {
		d := distance(name, k)
		if len(name) > maxDistance && strings.Contains(k, name) {
			d = 0
		}
		if d <= min(maxDistance, len(name)/3) {
			near = append(near, k)
			distances[k] = d
		}
	}
	if len(near) == 0 {
		return ""
	}
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(distances[a], distances[b]) })
	return "; did you mean " + strings.Join(near[:min(most, len(near))], ", ") + "?"
}

// distance is the Levenshtein distance of two names, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
