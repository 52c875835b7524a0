package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rambox/internal/qemu"
)

// TestWriteTimings: a chart changes the exit status only when it could have
// been made, and never the program's own.
func TestWriteTimings(t *testing.T) {
	const report = `{"version":1,"release":"6.1","init":0.1,"now":0.2,"stages":[{"name":"payload","start":0.1,"end":0.2}]}`
	start := time.Now()
	came := func(report string) *qemu.Timings {
		return &qemu.Timings{PowerOn: start, Arrived: start.Add(time.Second), Gone: start.Add(2 * time.Second), Ports: true, Report: []byte(report)}
	}
	own := exitError(7)
	for _, tt := range []struct {
		name    string
		file    string
		timings *qemu.Timings
		err     error
		want    error
		content string
	}{
		{"not wanted", "", nil, own, own, ""},
		{"a picture", "boot.svg", came(report), nil, nil, "<svg "},
		{"numbers", "boot.json", came(report), own, own, `"release": "6.1"`},
		{"nothing came", "boot.svg", &qemu.Timings{PowerOn: start}, nil, nil, ""},
		{"nothing came, and the program failed", "boot.svg", &qemu.Timings{PowerOn: start}, own, own, ""},
		{"QEMU did not run", "boot.svg", nil, exitError(statusFailed), exitError(statusFailed), ""},
		{"a report that is none", "boot.svg", came("{}"), nil, exitError(statusFailed), ""},
		{"a report that is none, and the program failed", "boot.svg", came("{}"), own, own, ""},
		{"no place for it", "no/such/boot.svg", came(report), nil, exitError(statusFailed), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var x timingsOptions
			if tt.file != "" {
				x.timings = filepath.Join(dir, tt.file)
			}
			got := x.writeTimings("tcg", qemu.Result{Reason: qemu.ReasonExit, Timings: tt.timings}, tt.err)
			if !errors.Is(got, tt.want) {
				t.Errorf("writeTimings = %v, want %v", got, tt.want)
			}
			b, err := os.ReadFile(x.timings)
			if (err == nil) != (tt.content != "") || !strings.Contains(string(b), tt.content) {
				t.Errorf("the file has %.200q (%v), want %q in it", b, err, tt.content)
			}
		})
	}
}
