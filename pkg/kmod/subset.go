package kmod

import (
	"bytes"
	"slices"
	"strings"
)

// Subset returns the index files of an image that holds only the closure of these modules (or aliases), by file name:
// modules.dep, modules.alias, modules.softdep, modules.builtin and, of modules.builtin.modinfo, the aliases. rename maps
// a module's path in x to its path in the image, for a builder that unpacks "foo.ko.xz" to "foo.ko"; nil leaves paths as
// they are. The error is that of Closure.
func (x *Index) Subset(rename func(path string) string, names ...string) (map[string][]byte, error) {
	modules, err := x.Closure(names...)
	if err != nil {
		return nil, err
	}
	if rename == nil {
		rename = func(path string) string { return path }
	}
	paths := make(map[string]string, len(modules))
	for _, m := range modules {
		paths[m.Name] = rename(m.Path)
	}
	var dep bytes.Buffer
	for _, m := range modules {
		dep.WriteString(paths[m.Name] + ":")
		for _, name := range slices.Backward(m.Deps) {
			dep.WriteString(" " + paths[name])
		}
		dep.WriteByte('\n')
	}
	has := func(module string) bool { _, ok := paths[canonical(module)]; return ok }
	return map[string][]byte{
		"modules.dep": dep.Bytes(),
		"modules.alias": keepLines(x.alias.text, func(line string) bool {
			return has(line[strings.LastIndexByte(line, ' ')+1:])
		}),
		"modules.softdep": keepLines(x.softdep, func(line string) bool {
			fields := strings.Fields(line)
			return len(fields) > 1 && has(fields[1])
		}),
		"modules.builtin":         []byte(x.builtin.text),
		"modules.builtin.modinfo": aliasRecords(x.modinfo),
	}, nil
}

// keepLines returns the lines that keep accepts, without comments.
func keepLines(text string, keep func(line string) bool) []byte {
	var out []byte
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "#") && keep(line) {
			out = append(append(out, line...), '\n')
		}
	}
	return out
}

// aliasRecords returns the records "MODULE.alias=PATTERN" of a modules.builtin.modinfo.
func aliasRecords(modinfo string) []byte {
	var out []byte
	for record := range strings.SplitAfterSeq(modinfo, "\x00") {
		if _, field, _ := strings.Cut(record, "."); strings.HasPrefix(field, "alias=") {
			out = append(out, record...)
		}
	}
	return out
}
