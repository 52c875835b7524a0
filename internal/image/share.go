package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"rambox/pkg/kmod"
)

// shareParts is what a kernel needs for a kind of shared directory: symbols of its configuration, and the modules that they make.
var shareParts = map[string][]struct{ symbol, module string }{
	"9p":       {{"NET_9P", "9pnet"}, {"NET_9P_VIRTIO", "9pnet_virtio"}, {"9P_FS", "9p"}},
	"virtiofs": {{"FUSE_FS", "fuse"}, {"VIRTIO_FS", "virtiofs"}},
}

// CanMount reports why the kernel cannot mount shared directories of a kind, "9p" or "virtiofs". A kernel of which nothing is known gets
// the benefit of the doubt.
func (k KernelInfo) CanMount(kind string) error {
	parts, ok := shareParts[kind]
	if !ok {
		return fmt.Errorf("shares of kind %q", kind)
	}
	var index *kmod.Index
	if k.ModulesDir != "" {
		var err error
		index, err = kmod.ReadIndex(os.DirFS(k.ModulesDir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, p := range parts {
		state := k.Config.State(p.symbol)
		if state == "y" || state == "unknown" && index == nil {
			continue
		}
		if state == "n" {
			return fmt.Errorf("the kernel is built without CONFIG_%s", p.symbol)
		}
		if index == nil {
			return fmt.Errorf("the kernel's module %s is not here", p.module)
		}
		if _, err := index.Closure(p.module); err != nil {
			return fmt.Errorf("%s has no module %s", k.ModulesDir, p.module)
		}
	}
	return nil
}

// Size is how many bytes the files of a directory have, each rounded up to a page, as in the guest's memory.
func Size(dir string) (int64, error) {
	const page = 4 << 10
	var total int64
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			total += (info.Size() + page - 1) / page * page
		}
		return nil
	})
	return total, err
}

// isMounted tells whether the machine will have the host's own file at name.
func (s *Spec) isMounted(name string) bool {
	return slices.ContainsFunc(s.Mounted, func(dir string) bool {
		return strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
	})
}
