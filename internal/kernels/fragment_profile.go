package kernels

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Profile is a list of fragments that make one kind of kernel.
// The grammar of its file is in the documentation of package kernel.
type Profile struct {
	Name      string
	About     string   // the comment that the file begins with, as one line
	Archs     []string // GOARCH names that it can be built for
	Fragments []ProfileFragment
}

// ProfileFragment is one fragment of a profile.
type ProfileFragment struct {
	Arch string // GOARCH name; "" is every architecture
	Name string // "block": the file is block.config
}

// Profiles reads every profile of fsys, which is laid out like kernel.FS,
// in the order of their names.
func Profiles(fsys fs.FS) ([]Profile, error) {
	entries, err := fs.ReadDir(fsys, "profiles")
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	var profiles []Profile
	for _, e := range entries {
		p, err := LoadProfile(fsys, e.Name())
		if err != nil {
			return nil, err
		}
		profiles = append(profiles, p)
	}
	return profiles, nil
}

// LoadProfile reads one profile of fsys. The error for an unknown name tells
// which there are.
func LoadProfile(fsys fs.FS, name string) (Profile, error) {
	if !isFileName(name) {
		return Profile{}, fmt.Errorf("profile %q: not a name", name)
	}
	data, err := fs.ReadFile(fsys, "profiles/"+name)
	if err != nil {
		entries, dirErr := fs.ReadDir(fsys, "profiles")
		if dirErr != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name }) {
			return Profile{}, fmt.Errorf("profile %s: %w", name, err)
		}
		var known []string
		for _, e := range entries {
			known = append(known, e.Name())
		}
		return Profile{}, fmt.Errorf("profile %q: want %s", name, strings.Join(known, ", "))
	}
	return parseProfile(name, data)
}

func parseProfile(name string, data []byte) (Profile, error) {
	p := Profile{Name: name}
	var about []string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if comment, ok := strings.CutPrefix(line, "#"); ok || line == "" {
			if p.Archs == nil && comment != "" {
				about = append(about, strings.TrimSpace(comment))
			}
			continue
		}
		arch, names, ok := strings.Cut(line, ":")
		if !ok {
			arch, names = "", line
		}
		words := strings.Fields(names)
		if arch == "" && len(words) > 1 && words[0] == "for" && p.Archs == nil {
			p.Archs = words[1:]
			continue
		}
		if p.Archs == nil {
			return Profile{}, fmt.Errorf("profile %s:%d: %q stands before the line for ARCH…", name, n, line)
		}
		if arch != "" && !slices.Contains(p.Archs, arch) {
			return Profile{}, fmt.Errorf("profile %s:%d: it is for %s, not for %q", name, n, strings.Join(p.Archs, " "), arch)
		}
		if len(words) == 0 || arch == "" && len(words) > 1 {
			return Profile{}, fmt.Errorf("profile %s:%d: %q: want a fragment, or ARCH: fragments", name, n, line)
		}
		for _, w := range words {
			if !isFileName(w) {
				return Profile{}, fmt.Errorf("profile %s:%d: fragment %q: not a name", name, n, w)
			}
			p.Fragments = append(p.Fragments, ProfileFragment{Arch: arch, Name: w})
		}
	}
	if err := lines.Err(); err != nil {
		return Profile{}, fmt.Errorf("read profile %s: %w", name, err)
	}
	if p.Archs == nil {
		return Profile{}, fmt.Errorf("profile %s: no line for ARCH…", name)
	}
	p.About = strings.Join(about, " ")
	return p, nil
}

func isFileName(s string) bool {
	return fs.ValidPath(s) && s != "." && !strings.Contains(s, "/")
}

// Settings reads the fragments of the profile for one architecture.
// One slice for each fragment, in the profile's order.
func (p Profile) Settings(fsys fs.FS, arch string) ([][]Setting, error) {
	if !slices.Contains(p.Archs, arch) {
		return nil, fmt.Errorf("profile %s: it is for %s, not for %s", p.Name, strings.Join(p.Archs, ", "), arch)
	}
	var all [][]Setting
	for _, f := range p.Fragments {
		if f.Arch != "" && f.Arch != arch {
			continue
		}
		file := f.Name + ".config"
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("fragment %s of profile %s: %w", f.Name, p.Name, err)
		}
		settings, err := ParseFragment(file, data)
		if err != nil {
			return nil, err
		}
		all = append(all, settings)
	}
	return all, nil
}
