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
