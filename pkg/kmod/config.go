package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Config is what modprobe.d files say, as in modprobe.d(5). Its zero value says nothing.
type Config struct {
	aliases   []configAlias
	softdeps  []configSoftDep
	options   []moduleOptions
	blacklist []string // canonical names
}

type configAlias struct{ pattern, module string }

type configSoftDep struct{ module, list string }

type moduleOptions struct{ module, params string }

// ReadConfig reads the files *.conf of these directories, as a rule /run/modprobe.d, /etc/modprobe.d and
// /lib/modprobe.d. Files are read in the order of their names; of several with one name the earliest directory's counts.
// A directory that does not exist is empty; a nil one too.
//
// Lines of alias, blacklist, options and softdep are followed. "install MODULE /bin/true" or /bin/false is a blacklist
// line. PID 1 runs no other commands of install and remove lines: those, and lines that cannot be read, are left out and
// named in the error. The configuration is usable in spite of an error.
func ReadConfig(dirs ...fs.FS) (*Config, error) {
	dirs = slices.DeleteFunc(slices.Clone(dirs), func(dir fs.FS) bool { return dir == nil })
	var names []string
	var errs []error
	for _, dir := range dirs {
		entries, err := fs.ReadDir(dir, ".")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("read module configuration: %w", err))
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".conf") && !strings.HasPrefix(e.Name(), ".") {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	c := new(Config)
	for _, name := range slices.Compact(names) {
		text, err := readFirst(dirs, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("read module configuration: %w", err))
		}
		errs = append(errs, c.parse(name, text)...)
	}
	return c, errors.Join(errs...)
}

// readFirst reads a file from the first of the directories that has it.
func readFirst(dirs []fs.FS, name string) (string, error) {
	for _, dir := range dirs {
		data, err := fs.ReadFile(dir, name)
		if !errors.Is(err, fs.ErrNotExist) {
			return string(data), err
		}
	}
	return "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// parse adds the lines of one file. A backslash at a line's end joins it with the next.
func (c *Config) parse(file, text string) (errs []error) {
	number := 0
	for text != "" {
		first := number + 1
		var line string
		for more := true; more && text != ""; {
			var part string
			part, text, _ = strings.Cut(text, "\n")
			part, more = strings.CutSuffix(part, "\\")
			line += part
			number++
		}
		if err := c.parseLine(line); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", file, first, err))
		}
	}
	return errs
}

func (c *Config) parseLine(line string) error {
	word, rest := cutWord(line)
	if word == "" || word[0] == '#' {
		return nil
	}
	name, rest := cutWord(rest)
	switch word {
	case "alias", "options", "softdep", "install", "remove":
		if name == "" || rest == "" {
			return fmt.Errorf("%s: too few words in %q", word, line)
		}
	case "blacklist":
		if name == "" {
			return fmt.Errorf("%s: no module in %q", word, line)
		}
	}
	switch word {
	case "alias":
		module, _ := cutWord(rest)
		c.aliases = append(c.aliases, configAlias{name, canonical(module)})
	case "options":
		c.options = append(c.options, moduleOptions{canonical(name), rest})
	case "softdep":
		c.softdeps = append(c.softdeps, configSoftDep{name, rest})
	case "blacklist":
		c.blacklist = append(c.blacklist, canonical(name))
	case "install":
		if base := path.Base(rest); base != "true" && base != "false" {
			return fmt.Errorf("install %s: commands are not run here, only true and false are understood: %q", name, rest)
		}
		c.blacklist = append(c.blacklist, canonical(name))
	case "remove":
		return fmt.Errorf("remove %s: commands are not run here: %q", name, rest)
	case "weakdep": // for image builders; nothing to load
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	return nil
}

// cutWord returns the first word of s and the rest, without the blanks around both.
func cutWord(s string) (word, rest string) {
	s = strings.Trim(s, " \t\r")
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

// aliasesOf returns the modules of the alias lines that match name.
func (c *Config) aliasesOf(name string) (modules []string) {
	for _, a := range c.aliases {
		if match(a.pattern, name) && !slices.Contains(modules, a.module) {
			modules = append(modules, a.module)
		}
	}
	return modules
}

// paramsOf returns the options of the module with this canonical name, in order, separated by blanks.
func (c *Config) paramsOf(module string) string {
	params := ""
	for _, o := range c.options {
		if o.module == module {
			params = joinParams(params, o.params)
		}
	}
	return params
}

func joinParams(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}
