package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"rambox/internal/qemu"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rambox": main})
}

// TestScripts runs rambox on what needs no machine: testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}

func TestParseDisk(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want qemu.Disk
		ok   bool
	}{
		{"/dev/null", qemu.Disk{Path: "/dev/null"}, true},
		{"/dev/null,ro", qemu.Disk{Path: "/dev/null", ReadOnly: true}, true},
		{"/dev/null,format=qcow2,ro", qemu.Disk{Path: "/dev/null", Format: "qcow2", ReadOnly: true}, true},
		{"/dev/null,rw", qemu.Disk{Path: "/dev/null"}, false},
		{"/no,,such", qemu.Disk{Path: "/no,such"}, false},
		{"", qemu.Disk{}, false},
	} {
		got, err := parseDisk(tc.in)
		if diff := cmp.Diff(tc.want, got); diff != "" || (err == nil) != tc.ok {
			t.Errorf("parseDisk(%q): %v (-want +got):\n%s", tc.in, err, diff)
		}
	}
}

func TestLastLines(t *testing.T) {
	if got := lastLines("a\r\nb\r\nc\r\n\r\n", 2); got != "b\nc" {
		t.Errorf("lastLines = %q", got)
	}
}

// TestEscapeKey feeds keys in every division into reads.
func TestEscapeKey(t *testing.T) {
	for _, tc := range []struct {
		keys, want string
		ended      bool
	}{
		{"plain", "plain", false},
		{"\x01\x01", "\x01", false},
		{"a\x01xb", "ab", true},
		{"\x01y\x01x", "\x01y", true},
		{"\x01\x01x", "\x01x", false},
	} {
		for cut := 0; cut <= len(tc.keys); cut++ {
			ended := false
			term := &terminal{end: func() { ended = true }}
			got := string(term.filter([]byte(tc.keys[:cut]))) + string(term.filter([]byte(tc.keys[cut:])))
			if got != tc.want || ended != tc.ended {
				t.Errorf("%q cut at %d: %q, %v, want %q, %v", tc.keys, cut, got, ended, tc.want, tc.ended)
			}
		}
	}
}
