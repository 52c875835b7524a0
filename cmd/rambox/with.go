package main

import (
	"errors"
	"fmt"
	"io/fs"

	"rambox/internal/image"
)

// helperSchemes are the helpers that come with Rambox, and what a root= begins
// with that each of them brings.
var helperSchemes = map[string][]string{
	"http-root": {"http", "https"},
}

// addHelpers puts the helpers of --with where init looks for them.
func addHelpers(names []string, arch string) ([]image.Add, error) {
	var adds []image.Add
	for _, name := range names {
		schemes, ok := helperSchemes[name]
		if !ok {
			return nil, fmt.Errorf("--with %s: there is no such helper; there is http-root", name)
		}
		host, err := besideUs(name, arch)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("--with %s: %w; run: make", name, err)
		}
		if err != nil {
			return nil, err
		}
		const dir = "lib/rambox/root/"
		adds = append(adds, image.Add{Host: host, Entry: image.Entry{Path: dir + schemes[0]}})
		for _, scheme := range schemes[1:] {
			adds = append(adds, image.AddLink(dir+scheme, schemes[0]))
		}
	}
	return adds, nil
}
