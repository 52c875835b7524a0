//go:build linux && small

// Package small holds what our own small kernels promise: how large they are, with
// how little memory they run a program, how soon, and that the machine without PCI
// and ACPI, for which they are made, does all that another does.
package small

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// result is what one call of rambox left behind.
type result struct {
	args           []string
	status         int
	stdout, stderr string
}

// rambox runs the tool with a limit that no healthy run comes near.
func rambox(t testing.TB, stdin []byte, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, vmtest.Rambox(t), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%v: %v, %v\n%s", cmd, err, ctx.Err(), errs.String())
	}
	return result{args, cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// want fails the test unless the run ended with a status and printed a text.
func (r result) want(t testing.TB, status int, stdout string) {
	t.Helper()
	if r.status != status || r.stdout != stdout {
		t.Errorf("rambox %q = %d, stdout %q, want %d and %q\n%s", r.args, r.status, r.stdout, status, stdout, r.stderr)
	}
}

// kernel builds a kernel, unless it is there.
func kernel(t testing.TB, profile, arch string) kernels.Kernel {
	t.Helper()
	k, err := kernels.Build(t.Context(), kernels.BuildOptions{Profile: profile, Arch: arch, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		profile string
		most    float64 // MiB
	}{{"tiny", 1.0}, {"micro", 1.6}} {
		k := kernel(t, tc.profile, "amd64")
		info, err := os.Stat(k.Path)
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(info.Size()) / (1 << 20); got > tc.most {
			t.Errorf("%s has %.2f MiB, want at most %.1f", k.Path, got, tc.most)
		}
	}
}

// TestMemory boots with just as much memory as is promised.
func TestMemory(t *testing.T) {
	for _, tc := range vmtest.LittleRuns(t) {
		t.Run(tc.Name, func(t *testing.T) {
			k := vmtest.CloudKernel(t)
			if tc.Profile != "" {
				k = kernel(t, tc.Profile, tc.Arch)
			}
			args := []string{"run", "--kernel", k.Release, "--arch", tc.Arch, "--memory", strconv.Itoa(tc.Promise) + "M"}
			got := rambox(t, nil, append(args, tc.Args...)...)
			if !regexp.MustCompile(tc.Stdout).MatchString(got.stdout) {
				t.Errorf("rambox %q = %d, stdout %q, want %q\n%s", got.args, got.status, got.stdout, tc.Stdout, got.stderr)
			}
		})
	}
}

// TestPowerOn counts the instructions from power-on to the program.
func TestPowerOn(t *testing.T) {
	k := kernel(t, "tiny", "amd64").Direct()
	if !strings.HasPrefix(filepath.Base(k.Path), "vmlinux-") {
		t.Errorf("no vmlinux is beside %s", k.Path)
	}
	for _, tc := range []struct {
		machine string
		most    float64 // ms
	}{{"microvm", 30}, {"pc", 60}} {
		ms := vmtest.PowerOn(t, k, tc.machine)
		t.Logf("%s: %.2f ms", tc.machine, ms)
		if ms > tc.most {
			t.Errorf("%s: %.2f ms of instructions to the program, want at most %.0f", tc.machine, ms, tc.most)
		}
	}
}
