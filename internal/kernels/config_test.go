package kernels

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sampleConfig = `#
# Automatically generated file; DO NOT EDIT.
#
CONFIG_A=y
CONFIG_B=m
# CONFIG_C is not set
CONFIG_TEXT="a \"b\" \\"
CONFIG_EMPTY=""
CONFIG_HEX=0x200000
NOT_CONFIG=y
CONFIG_ODD="
`

func TestConfig(t *testing.T) {
	c, err := parseConfig(strings.NewReader(sampleConfig))
	want := Config{"A": "y", "B": "m", "TEXT": `a "b" \`, "EMPTY": "", "HEX": "0x200000", "ODD": `"`}
	if diff := cmp.Diff(want, c); diff != "" || err != nil {
		t.Fatalf("parseConfig: %v (-want +got):\n%s", err, diff)
	}
	for _, tt := range []struct {
		c         Config
		symbol    string
		state     string
		on, known bool
	}{
		{c, "A", "y", true, true},
		{c, "B", "m", true, true},
		{c, "C", "n", false, true},
		{c, "TEXT", `a "b" \`, false, true},
		{c, "NEVER", "n", false, true},
		{nil, "A", "unknown", false, false},
	} {
		on, known := tt.c.Enabled(tt.symbol)
		if state := tt.c.State(tt.symbol); state != tt.state || on != tt.on || known != tt.known {
			t.Errorf("%s: State %q, Enabled %v, %v, want %q, %v, %v", tt.symbol, state, on, known, tt.state, tt.on, tt.known)
		}
	}
}

func TestReadConfig(t *testing.T) {
	if c, err := ReadConfig(""); c != nil || err != nil {
		t.Errorf("ReadConfig of no file = %v, %v", c, err)
	}
	if c, err := ReadConfig(write(t, []byte("CONFIG_A=y\n"), t.TempDir(), "config")); c["A"] != "y" || err != nil {
		t.Errorf("ReadConfig = %v, %v", c, err)
	}
	if _, err := ReadConfig(t.TempDir() + "/none"); err == nil {
		t.Error("ReadConfig of a missing file gives no error")
	}
	if _, err := ReadConfig(write(t, []byte("CONFIG_A="+strings.Repeat("x", 1<<20)), t.TempDir(), "config")); err == nil {
		t.Error("ReadConfig of an endless line gives no error")
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(sampleConfig)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig(strings.NewReader(text))
		if err == nil && c == nil {
			t.Errorf("parseConfig(%q) gives the unknown configuration", text)
		}
	})
}
