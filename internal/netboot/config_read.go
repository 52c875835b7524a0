package netboot

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// ConfigError says what is wrong with a configuration, and where.
type ConfigError struct {
	File string
	Line int // 0: nowhere in particular
	Err  error
}

// Error is "serve.toml:12: …".
func (e *ConfigError) Error() string {
	switch {
	case e.File == "": // flags
		return e.Err.Error()
	case e.Line == 0:
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns what is wrong.
func (e *ConfigError) Unwrap() error { return e.Err }

// document is a TOML file that is being read. Of all complaints that of the
// first line counts.
type document struct {
	file  string
	lines map[string]int // of keys and tables, by their paths: "node[2].mac"
	bad   *ConfigError
}

// readDocument parses a file's text. The table is the whole of it.
func readDocument(file string, text []byte) (*document, *section, error) {
	values := map[string]any{}
	err := toml.Unmarshal(text, &values)
	if err == nil {
		d := &document{file: file}
		if d.lines, err = keyLines(text); err == nil {
			return d, &section{d: d, values: values}, nil
		}
	}
	e := &ConfigError{File: file, Err: errors.New(strings.TrimPrefix(err.Error(), "toml: "))}
	var where *toml.DecodeError
	if errors.As(err, &where) {
		e.Line, _ = where.Position()
	}
	return nil, nil, e
}

// keyLines finds the line of each key and table.
func keyLines(text []byte) (map[string]int, error) {
	lines, tables := map[string]int{}, map[string]int{}
	prefix := ""
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		var names []string
		line := 0
		for key := e.Key(); key.Next(); {
			names = append(names, string(key.Node().Data))
			if line == 0 {
				line = p.Shape(key.Node().Raw).Start.Line
			}
		}
		path := strings.Join(names, ".")
		switch e.Kind {
		case unstable.ArrayTable:
			prefix = fmt.Sprintf("%s[%d]", path, tables[path])
			tables[path]++
			path = prefix
		case unstable.Table:
			prefix = path
		case unstable.KeyValue:
			if prefix != "" {
				path = prefix + "." + path
			}
		default:
			continue
		}
		if _, ok := lines[path]; !ok {
			lines[path] = line
		}
	}
	return lines, p.Error()
}

// line is that of a key, or of what it is in.
func (d *document) line(path string) int {
	for {
		if n, ok := d.lines[path]; ok {
			return n
		}
		// Tables can be written in one line: node = [{mac = …}, {mac = …}].
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return 0
		}
		path = path[:i]
	}
}

func (d *document) complain(line int, format string, args ...any) {
	if d.bad == nil || line < d.bad.Line {
		d.bad = &ConfigError{File: d.file, Line: line, Err: fmt.Errorf(format, args...)}
	}
}

// lacks complains of what is not there, unless something that is there is wrong:
// it may be meant to be that.
func (d *document) lacks(line int, format string, args ...any) {
	if d.bad == nil {
		d.complain(line, format, args...)
	}
}

// section is a TOML table whose keys are taken out one by one: what is left at
// the end is a key that nobody knows.
type section struct {
	d      *document
	path   string // "node[2]"; "" is the whole document
	values map[string]any
}

func (t *section) line(key string) int {
	if t.path == "" {
		return t.d.line(key)
	}
	if key == "" {
		return t.d.line(t.path)
	}
	return t.d.line(t.path + "." + key)
}

// wrong complains of a key's value.
func (t *section) wrong(key string, format string, args ...any) {
	t.d.complain(t.line(key), "%s: %w", key, fmt.Errorf(format, args...))
}

func (t *section) take(key string) (any, bool) {
	v, ok := t.values[key]
	delete(t.values, key)
	return v, ok
}

// text returns a string; "" where there is none.
func (t *section) text(key string) string {
	v, ok := t.take(key)
	s, isText := v.(string)
	if ok && (!isText || s == "") {
		t.wrong(key, "want a text in quotes")
	}
	return s
}

// optional returns a string that may be empty; nil where there is none.
func (t *section) optional(key string) *string {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	s, isText := v.(string)
	if !isText {
		t.wrong(key, "want a text in quotes")
	}
	return &s
}

// texts returns a list of strings; one string is a list, too.
func (t *section) texts(key string) []string {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	var all []string
	for _, v := range list {
		s, isText := v.(string)
		if !isText || s == "" {
			t.wrong(key, "want a text in quotes, or a list of such")
			return nil
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		t.wrong(key, "is an empty list: leave it out")
	}
	return all
}

// word returns one of some words; the first where the key is not there.
func (t *section) word(key string, words ...string) string {
	s := t.text(key)
	switch {
	case s == "":
		return words[0]
	case !slices.Contains(words, s):
		t.wrong(key, "%q: want %s", s, strings.Join(words, " or "))
	}
	return s
}

func (t *section) flag(key string) bool {
	v, ok := t.take(key)
	b, isFlag := v.(bool)
	if ok && !isFlag {
		t.wrong(key, "want true or false")
	}
	return b
}

// number returns an integer between two; 0 where there is none.
func (t *section) number(key string, low, high int) int {
	v, ok := t.take(key)
	n, isNumber := v.(int64)
	if ok && (!isNumber || n < int64(low) || n > int64(high)) {
		t.wrong(key, "want a number from %s to %s", strconv.Itoa(low), strconv.Itoa(high))
		return 0
	}
	return int(n)
}

func (t *section) duration(key string) time.Duration {
	s := t.text(key)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		t.wrong(key, `%q: want a time, such as "90m" or "12h"`, s)
		return 0
	}
	return d
}

// table returns the table of a key, which is empty where there is none.
func (t *section) table(key string) *section {
	v, ok := t.take(key)
	values, isTable := v.(map[string]any)
	if ok && !isTable {
		t.wrong(key, "want a table: [%s]", key)
	}
	return &section{d: t.d, path: t.join(key), values: values}
}

// tables returns all tables [[key]].
func (t *section) tables(key string) []*section {
	v, ok := t.take(key)
	list, isList := v.([]any)
	if ok && !isList {
		t.wrong(key, "want tables: [[%s]]", key)
	}
	var all []*section
	for i, v := range list {
		values, isTable := v.(map[string]any)
		if !isTable {
			t.wrong(key, "want tables: [[%s]]", key)
			return nil
		}
		all = append(all, &section{d: t.d, path: fmt.Sprintf("%s[%d]", t.join(key), i), values: values})
	}
	return all
}

func (t *section) join(key string) string {
	if t.path == "" {
		return key
	}
	return t.path + "." + key
}

// end complains of the keys that nobody has taken.
func (t *section) end() {
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		where := ""
		if t.path != "" {
			name, _, _ := strings.Cut(t.path, "[")
			where = " of " + name
		}
		t.d.complain(t.line(key), "%s: is no key%s", key, where)
	}
}
