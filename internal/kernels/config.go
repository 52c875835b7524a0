package kernels

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Config is a kernel's configuration: symbols without "CONFIG_", and y, m, or a value without its quotes.
// The nil Config is of a kernel whose configuration is not known.
type Config map[string]string

// ReadConfig reads a configuration file; the path "" gives the nil Config.
func ReadConfig(path string) (Config, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read kernel configuration: %w", err)
	}
	defer f.Close()
	c, err := parseConfig(f)
	if err != nil {
		return nil, fmt.Errorf("read kernel configuration %s: %w", path, err)
	}
	return c, nil
}

// parseConfig reads "CONFIG_X=y" lines; "# CONFIG_X is not set" is what every symbol is that has no line.
func parseConfig(r io.Reader) (Config, error) {
	c := Config{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "=")
		symbol, named := strings.CutPrefix(name, "CONFIG_")
		if !ok || !named {
			continue
		}
		if text, err := strconv.Unquote(value); err == nil && strings.HasPrefix(value, `"`) {
			value = text
		}
		c[symbol] = value
	}
	return c, lines.Err()
}

// Value returns a symbol's value, "n" when it is not set; known is false when the configuration is not known.
func (c Config) Value(symbol string) (value string, known bool) {
	if c == nil {
		return "", false
	}
	if v, ok := c[symbol]; ok {
		return v, true
	}
	return "n", true
}

// Enabled reports whether a symbol is y or m; known is false when the configuration is not known.
func (c Config) Enabled(symbol string) (on, known bool) {
	v, known := c.Value(symbol)
	return v == "y" || v == "m", known
}

// State is Value for people and switches: y, m, n, a value, or "unknown".
func (c Config) State(symbol string) string {
	if v, known := c.Value(symbol); known {
		return v
	}
	return "unknown"
}

// isConfig reports whether path is a kernel configuration: its first bytes name a symbol.
func isConfig(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4<<10)
	n, _ := io.ReadFull(f, head)
	return strings.Contains(string(head[:n]), "\nCONFIG_") || strings.HasPrefix(string(head[:n]), "CONFIG_")
}
