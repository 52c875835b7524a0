package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/spf13/pflag"
)

// projectFile has a project's values for the flags of rambox run, by the names of
// the flags.
const projectFile = "rambox.toml"

// readProjectFile sets the flags that the command line does not, from the
// nearest rambox.toml above the working directory and in the same repository.
func readProjectFile(flags *pflag.FlagSet) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	name, err := findProjectFile(dir)
	if err != nil || name == "" {
		return err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	settings, err := parseProject(text)
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		return fmt.Errorf("%s:%d: %w", name, line, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, s := range settings {
		if err := s.apply(flags, filepath.Dir(name)); err != nil {
			return fmt.Errorf("%s:%d: %w", name, s.line, err)
		}
	}
	return nil
}

// findProjectFile looks in dir and above it. A repository's root is the last
// place; "" is nowhere.
func findProjectFile(dir string) (string, error) {
	for {
		name := filepath.Join(dir, projectFile)
		_, err := os.Stat(name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil || dir == filepath.Dir(dir) {
			return "", nil
		}
		dir = filepath.Dir(dir)
	}
}

// setting is a key of the file and its value.
type setting struct {
	name  string
	value any // as go-toml has it: string, int64, float64, bool, []any, …
	line  int
}

// parseProject reads the file, which has no tables, in its own order.
func parseProject(text []byte) ([]setting, error) {
	values := map[string]any{}
	if err := toml.Unmarshal(text, &values); err != nil {
		return nil, err
	}
	var list []setting
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind == unstable.Comment {
			continue
		}
		key := e.Key()
		if !key.Next() {
			continue
		}
		name, line := string(key.Node().Data), p.Shape(key.Node().Raw).Start.Line
		if !slices.ContainsFunc(list, func(s setting) bool { return s.name == name }) {
			list = append(list, setting{name, values[name], line})
		}
	}
	return list, p.Error()
}

// notInProject are flags that make no sense for a whole project.
var notInProject = [...]string{"help"}

// apply sets the flag unless the command line has. Paths are relative to the
// file's directory.
func (s setting) apply(flags *pflag.FlagSet, dir string) error {
	f := flags.Lookup(s.name)
	if f == nil || slices.Contains(notInProject[:], s.name) {
		return fmt.Errorf("%s is no flag of rambox run", s.name)
	}
	if f.Changed {
		return nil
	}
	values, isList := s.value.([]any)
	if !isList {
		values = []any{s.value}
	}
	if _, many := f.Value.(pflag.SliceValue); isList && !many {
		return fmt.Errorf("%s: want one value, not a list", s.name)
	}
	for _, v := range values {
		text, err := flagText(f, v)
		if err == nil {
			err = flags.Set(s.name, relativeTo(dir, s.name, text))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// flagText is a value as one would type it.
func flagText(f *pflag.Flag, v any) (string, error) {
	kind := f.Value.Type()
	switch v := v.(type) {
	case string:
		if kind != "bool" && kind != "int" {
			return v, nil
		}
	case bool:
		if kind == "bool" {
			return fmt.Sprint(v), nil
		}
	case int64:
		if kind != "bool" && kind != "duration" {
			return fmt.Sprint(v), nil
		}
	}
	want := map[string]string{"bool": "true or false", "int": "a number", "duration": `a string, such as "30s"`}[kind]
	if want == "" {
		want = "a string"
	}
	return "", fmt.Errorf("want %s", want)
}

// relativeTo makes a path in a flag's value one from dir. The kernel has names
// that are no paths.
func relativeTo(dir, flag, value string) string {
	switch flag {
	case "kernel":
		if !strings.Contains(value, "/") {
			return value
		}
	case "initrd", "init", "busybox", "disk", "share", "add", "result", "record":
	default:
		return value
	}
	if value == "" || filepath.IsAbs(value) {
		return value
	}
	if flag == "add" && !strings.Contains(value, ":/") {
		value += ":/" + filepath.ToSlash(filepath.Clean(value)) // where it would go
	}
	switch flag {
	case "share":
		dir = doubled(dir)
	case "disk":
		dir = strings.ReplaceAll(dir, ",", ",,")
	}
	return dir + "/" + value
}
