package kmod

import (
	"slices"
	"strings"
)

// resolve returns the canonical names of the modules to load for name, in libkmod's order of preference: aliases of the
// configuration, modules, aliases of modules. Those that aliases name may be built in, or missing from modules.dep. found
// is false if nothing knows the name; what is only built in is found and has no modules.
func (x *Index) resolve(name string) (modules []string, found bool) {
	if modules = x.config.aliasesOf(name); len(modules) > 0 {
		return modules, true
	}
	plain := canonical(name)
	if _, ok := x.dep.find(plain); ok {
		return []string{plain}, true
	}
	if modules = x.alias.matches(name); len(modules) > 0 {
		return modules, true
	}
	return nil, x.Builtin(plain) || len(x.builtinAliases(name)) > 0
}

// Match returns the canonical names of the modules with an alias pattern that matches modalias, in file order, each
// once. Patterns are those of fnmatch(3), and '-' equals '_'. Aliases of the configuration come before those of the
// modules, and those before the ones built in: the first kind that matches is the answer, as in libkmod.
func (x *Index) Match(modalias string) []string {
	if names := x.config.aliasesOf(modalias); len(names) > 0 {
		return names
	}
	if names := x.alias.matches(modalias); len(names) > 0 {
		return names
	}
	return x.builtinAliases(modalias)
}

// heads returns what the alias patterns of devices begin with, each once: "pci:", "acpi:", "acpi".
func (x *Index) heads() []string {
	heads := slices.Clone(x.alias.patternHeads())
	for _, a := range x.config.aliases {
		if _, _, head := keyOf(a.pattern); head != "" && !slices.Contains(heads, head) {
			heads = append(heads, head)
		}
	}
	return heads
}

// builtinAliases looks for modalias in modules.builtin.modinfo: records "MODULE.alias=PATTERN", each ended by a NUL.
func (x *Index) builtinAliases(modalias string) (names []string) {
	const key = ".alias="
	for rest := x.modinfo; ; {
		i := strings.Index(rest, key)
		if i < 0 {
			return names
		}
		pattern, after, _ := strings.Cut(rest[i+len(key):], "\x00")
		if match(pattern, modalias) {
			name := canonical(rest[strings.LastIndexByte(rest[:i], 0)+1 : i])
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		rest = after
	}
}
