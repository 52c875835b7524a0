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
func ParseFragment(name string, data []byte) ([]Setting, error) {
	var settings []Setting
	seen := make(map[string]int)
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		symbol, value, ok := parseSetting(line)
		switch {
		case !ok && (line == "" || line[0] == '#'):
			continue
		case !ok:
			return nil, fmt.Errorf("%s:%d: %q: want CONFIG_NAME=value, # CONFIG_NAME is not set, or a comment", name, n, line)
		case seen[symbol] != 0:
			return nil, fmt.Errorf("%s:%d: %s is already set in line %d", name, n, symbol, seen[symbol])
		}
		seen[symbol] = n
		settings = append(settings, Setting{Symbol: symbol, Value: value, File: name, Line: n})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read fragment %s: %w", name, err)
	}
	return settings, nil
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
