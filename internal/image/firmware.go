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

// addFirmware puts the firmware files that modules name into the tree, below
// /lib/firmware. wanted says which modules want which file. Files that the
// host does not have go into the report.
func (t *Tree) addFirmware(spec *Spec, wanted map[string][]string, report *Report) error {
	dirs := spec.Firmware
	if dirs == nil {
		dirs = []string{"/lib/firmware"}
	}
	// The order of fw_path, drivers/base/firmware_loader/main.c (v6.12).
	var search []string
	release := spec.Kernel.release()
	for _, dir := range dirs {
		for _, sub := range [...]string{"updates/" + release, "updates", release, ""} {
			search = append(search, filepath.Join(dir, sub))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		source := "firmware of " + strings.Join(wanted[name], ", ")
		found, err := findFirmware(search, name)
		if err != nil {
			return err
		}
		for _, f := range found {
			at := path.Join("lib/firmware", f.name)
			content, size, err := f.open()
			if err != nil {
				return err
			}
			if err := t.put(Entry{Path: at, Mode: 0o644, Size: size, Source: source, origin: ours, content: content}, false); err != nil {
				return err
			}
			report.Firmware = append(report.Firmware, at)
		}
		if _, ok := t.Lookup(path.Join("lib/firmware", name)); !ok && len(found) == 0 {
			report.FirmwareMissing = append(report.FirmwareMissing, name+" ("+strings.Join(wanted[name], ", ")+")")
		}
	}
	return nil
}

// firmwareFile is a firmware file of the host.
type firmwareFile struct {
	name string // as the kernel asks for it
	host string
}

func (f firmwareFile) open() (content, int64, error) {
	if packedExtension(f.host) != "" && packedExtension(f.name) == "" {
		data, err := unpackFile(f.host)
		return data, int64(len(data)), err
	}
	info, err := os.Stat(f.host)
	if err != nil {
		return nil, 0, err
	}
	return hostFile(f.host), info.Size(), nil
}

// findFirmware looks name up in the directories, compressed or not. A name may
// be a pattern, as brcmfmac has it; then all files that match count.
func findFirmware(search []string, name string) ([]firmwareFile, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, nil
	}
	for _, dir := range search {
		var found []firmwareFile
		for _, extension := range [...]string{"", ".zst", ".xz"} {
			hosts, err := filesMatching(dir, name+extension)
			if err != nil {
				return nil, err
			}
			for _, host := range hosts {
				rel := strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(host, dir)), "/")
				f := firmwareFile{strings.TrimSuffix(rel, extension), host}
				if !slices.ContainsFunc(found, func(o firmwareFile) bool { return o.name == f.name }) {
					found = append(found, f)
				}
			}
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, nil
}

// filesMatching returns the regular files below dir that match, sorted.
func filesMatching(dir, pattern string) ([]string, error) {
	names := []string{filepath.Join(dir, pattern)}
	if strings.ContainsAny(pattern, "*?[") {
		var err error
		if names, err = filepath.Glob(names[0]); err != nil {
			return nil, fmt.Errorf("firmware %s: %w", pattern, err)
		}
	}
	var files []string
	for _, name := range names {
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info.Mode().IsRegular():
			files = append(files, name)
		}
	}
	return files, nil
}
