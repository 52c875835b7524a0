package kernels

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Setting is what one line of a configuration fragment wants.
type Setting struct {
	Symbol string // without CONFIG_: "VIRTIO_BLK"
	Value  string // as in a .config: y, m, n, 14, 0x200000, "rambox" with its quotes
	File   string // the fragment, for messages: "block.config"
	Line   int    // from 1; 0 for a setting that stands in no file

	// Optional: only where the source lets the symbol be chosen. See ParseFragment.
	Optional bool
}

// Where says which line the setting is: "block.config:5".
func (s Setting) Where() string {
	if s.Line == 0 {
		return s.File
	}
	return s.File + ":" + strconv.Itoa(s.Line)
}

// text is the value as Config has it: without quotes.
func (s Setting) text() string {
	if text, err := strconv.Unquote(s.Value); err == nil {
		return text
	}
	return s.Value
}

// String is the setting as a line of a .config.
func (s Setting) String() string {
	if s.Value == "n" {
		return "# CONFIG_" + s.Symbol + " is not set"
	}
	return "CONFIG_" + s.Symbol + "=" + s.Value
}

// ParseFragment reads a configuration fragment: lines CONFIG_X=value and
// "# CONFIG_X is not set" (which is the same as =n), empty lines and comments.
// It is stricter than conf_read_simple in scripts/kconfig/confdata.c, which
// warns about any other line and goes on: here it is an error, and so is a
// symbol that is set twice.
//
// The comment "# optional", or "# optional: WHY", makes the setting in the next
// line one for those sources only that have the symbol and let it be chosen: an
// older or a newer kernel may not.
func ParseFragment(name string, data []byte) ([]Setting, error) {
	var settings []Setting
	seen := make(map[string]int)
	optional := 0 // the line that says so of the next
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		symbol, value, ok := parseSetting(line)
		if optional != 0 && !ok {
			break
		}
		switch {
		case isOptional(line):
			optional = n
			continue
		case !ok && (line == "" || line[0] == '#'):
			continue
		case !ok:
			return nil, fmt.Errorf("%s:%d: %q: want CONFIG_NAME=value, # CONFIG_NAME is not set, or a comment", name, n, line)
		case seen[symbol] != 0:
			return nil, fmt.Errorf("%s:%d: %s is already set in line %d", name, n, symbol, seen[symbol])
		}
		seen[symbol] = n
		settings = append(settings, Setting{Symbol: symbol, Value: value, File: name, Line: n, Optional: optional != 0})
		optional = 0
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read fragment %s: %w", name, err)
	}
	if optional != 0 {
		return nil, fmt.Errorf("%s:%d: optional: want a setting in the next line", name, optional)
	}
	return settings, nil
}

// isOptional reports whether a line is the comment that makes the next line optional.
func isOptional(line string) bool {
	rest, ok := strings.CutPrefix(line, "# optional")
	return ok && (rest == "" || rest[0] == ':')
}

// parseSetting splits one line of a .config.
func parseSetting(line string) (symbol, value string, ok bool) {
	if rest, found := strings.CutPrefix(line, "# CONFIG_"); found {
		symbol, ok = strings.CutSuffix(rest, " is not set")
		return symbol, "n", ok && isSymbol(symbol)
	}
	rest, found := strings.CutPrefix(line, "CONFIG_")
	if !found {
		return "", "", false
	}
	symbol, value, ok = strings.Cut(rest, "=")
	return symbol, value, ok && isSymbol(symbol) && isValue(value)
}

func isSymbol(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// isValue accepts y, m, n, a decimal or hexadecimal number, a quoted string.
func isValue(v string) bool {
	switch {
	case v == "y" || v == "m" || v == "n":
		return true
	case strings.HasPrefix(v, `"`):
		_, err := strconv.Unquote(v)
		return err == nil
	}
	_, err := strconv.ParseInt(v, 0, 64)
	return err == nil && !strings.ContainsAny(v, "_oObB")
}

// merge puts fragments together; a symbol that several set has the last value.
// The result is in the order of the symbols' names.
func merge(fragments ...[]Setting) []Setting {
	last := make(map[string]Setting)
	for _, settings := range fragments {
		for _, s := range settings {
			last[s.Symbol] = s
		}
	}
	merged := make([]Setting, 0, len(last))
	for _, symbol := range slices.Sorted(maps.Keys(last)) {
		merged = append(merged, last[symbol])
	}
	return merged
}

// formatSettings is the text of a .config that holds the settings.
func formatSettings(settings []Setting) []byte {
	var b bytes.Buffer
	for _, s := range settings {
		fmt.Fprintln(&b, s)
	}
	return b.Bytes()
}
