package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readLoaderConf returns the directories of /etc/ld.so.conf and the files that
// it includes, as ldconfig(8) reads them. A file that does not exist has none.
func readLoaderConf(name string, depth int) ([]string, error) {
	const maxDepth = 10
	if depth > maxDepth {
		return nil, fmt.Errorf("%s: included more than %d levels deep", name, maxDepth)
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n:,", r) })
		switch {
		case len(words) == 0 || words[0] == "hwcap":
		case words[0] == "include":
			more, err := includeLoaderConf(filepath.Dir(name), words[1:], depth)
			if err != nil {
				return nil, err
			}
			dirs = append(dirs, more...)
		default:
			dirs = append(dirs, words...)
		}
	}
	return dirs, nil
}

// includeLoaderConf reads the files of an include line; patterns are relative
// to dir.
func includeLoaderConf(dir string, patterns []string, depth int) ([]string, error) {
	var dirs []string
	for _, pattern := range patterns {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(dir, pattern)
		}
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("include %s: %w", pattern, err)
		}
		slices.Sort(names)
		for _, name := range names {
			more, err := readLoaderConf(name, depth+1)
			if err != nil {
				return nil, err
			}
			dirs = append(dirs, more...)
		}
	}
	return dirs, nil
}
