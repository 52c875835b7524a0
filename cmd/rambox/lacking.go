package main

import (
	"fmt"
	"io/fs"
	"slices"

	"rambox/pkg/boot"
	"rambox/pkg/kmod"
)

// lacking names what a plan needs and the image has not: a helper, and modules
// that are not built into the kernel for which it has modules.
func lacking(p boot.Plan, files fs.FS) []string {
	var warnings []string
	if p.Handoff == boot.ToRoot && p.Root.Kind == boot.RootHelper {
		if _, err := fs.Stat(files, p.Root.Name[1:]); err != nil {
			warnings = append(warnings, fmt.Sprintf("the image has no helper %s, which root=%s needs", p.Root.Name, p.Root.Spec))
		}
	}
	const dir = "lib/modules"
	releases, err := fs.ReadDir(files, dir)
	if err != nil {
		return warnings // for a kernel that has everything built in
	}
	for _, release := range releases {
		tree, err := fs.Sub(files, dir+"/"+release.Name())
		if err != nil {
			continue
		}
		index, err := kmod.ReadIndex(tree)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("modules of %s: %v", release.Name(), err))
			continue
		}
		for _, name := range slices.Concat(p.Load, p.LoadFor) {
			_, module := index.Module(name)
			if !module && !index.Builtin(name) && len(index.Match(name)) == 0 {
				warnings = append(warnings, fmt.Sprintf("%s: neither in the image nor built into the kernel %s", name, release.Name()))
			}
		}
	}
	return warnings
}
