//go:build linux

package qemu

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestChooseAccel(t *testing.T) {
	foreign := foreignArch()
	for _, tt := range []struct {
		want   string
		m      Machine
		accel  string
		whyHas string
		fails  bool
	}{
		{want: "kvm", accel: "kvm", whyHas: "asked for"},
		{want: "tcg", accel: "tcg", whyHas: "asked for"},
		{want: "auto", m: Machine{Arch: foreign}, accel: "tcg", whyHas: "the guest " + foreign},
		{want: "hvf", fails: true},
	} {
		accel, why, err := ChooseAccel(t.Context(), tt.want, tt.m, "")
		if accel != tt.accel || !strings.Contains(why, tt.whyHas) || (err != nil) != tt.fails {
			t.Errorf("ChooseAccel(%q, %+v) = %q, %q, %v", tt.want, tt.m, accel, why, err)
		}
	}
}

func TestOpenKVM(t *testing.T) {
	dir := t.TempDir()
	if err := openKVM(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "there is no ") {
		t.Errorf("without the device: %v", err)
	}
	file := filepath.Join(dir, "kvm")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := openKVM(file); err != nil {
		t.Errorf("with the device: %v", err)
	}
	if os.Getuid() == 0 {
		return // root may open everything
	}
	os.Chmod(file, 0)
	if err := openKVM(file); err == nil || !strings.Contains(err.Error(), "group kvm") {
		t.Errorf("without permission: %v", err)
	}
}

// probeMachine is one of the fake QEMU's; its kernel is a file, which the memory's key wants.
func probeMachine(t *testing.T) Machine {
	if runtime.GOARCH != "amd64" {
		t.Skip("the fake QEMU is an amd64 one")
	}
	kernel := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(kernel, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return Machine{Arch: "amd64", Kernel: kernel}
}

func TestProbe(t *testing.T) {
	for _, tt := range []struct{ name, script, errHas string }{
		{"works", `echo "[ 1.0] reboot: Restarting system" >&3`, ""},
		{"triple fault", `echo "[ 0.1] Linux version" >&3`, "before it reached user space"},
		{"QEMU fails", `echo "failed to set MSR 0x10a" >&2; kill -ABRT $$`, "MSR 0x10a"},
		{"silent", `echo "[ 0.1] Linux version" >&3; exec sleep 60`, "silent for 1.5s"},
		{"talks for ever", `while echo again >&3; do sleep 1; done`, "did not finish"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fakeQEMU(t, tt.script)
			began := time.Now()
			err := ProbeKVM(t.Context(), probeMachine(t))
			if (err == nil) != (tt.errHas == "") || err != nil && !strings.Contains(err.Error(), tt.errHas) {
				t.Errorf("ProbeKVM = %v, want an error with %q", err, tt.errHas)
			}
			if took := time.Since(began); took > probeLimit+5*time.Second {
				t.Errorf("ProbeKVM took %v", took)
			}
		})
	}
}

func TestProbeCancelled(t *testing.T) {
	fakeQEMU(t, "exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ProbeKVM(ctx, probeMachine(t)); err == nil {
		t.Error("ProbeKVM without time gives no error")
	}
}

// TestRememberedProbe counts how often a machine is really tried.
func TestRememberedProbe(t *testing.T) {
	m := probeMachine(t)
	count := filepath.Join(t.TempDir(), "count")
	runs := func() int {
		data, _ := os.ReadFile(count)
		return len(data)
	}
	works := "printf x >>" + count + "\necho 'reboot: Restarting system' >&3"
	fakeQEMU(t, works)
	dir := filepath.Join(t.TempDir(), "cache")
	ask := func(what string, m Machine, dir string, fails bool, wantRuns int) {
		t.Helper()
		if err := rememberedProbe(t.Context(), m, dir); (err != nil) != fails {
			t.Errorf("%s: %v", what, err)
		}
		if n := runs(); n != wantRuns {
			t.Errorf("%s: tried %d times, want %d", what, n, wantRuns)
		}
	}
	file := filepath.Join(dir, "kvm.json")
	ask("first", m, dir, false, 1)
	ask("second", m, dir, false, 1)
	ask("another machine type", Machine{Arch: "amd64", Type: "pc", Kernel: m.Kernel}, dir, false, 2)
	ask("without a memory", m, "", false, 3)
	os.WriteFile(m.Kernel, []byte("changed"), 0o644)
	ask("another kernel", m, dir, false, 4)
	os.WriteFile(file, []byte(`{"boot":"x`), 0o644)
	ask("corrupted memory", m, dir, false, 5)
	os.WriteFile(file, []byte(`{"boot":"another","answers":{}}`), 0o644)
	ask("another boot", m, dir, false, 6)
	ask("unwritable memory", m, "/proc/none", false, 7)
	fakeQEMU(t, "printf x >>"+count+"\nexit 1")
	ask("another QEMU, which fails", m, dir, true, 8)
	ask("the failure is remembered", m, dir, true, 8)
	data, _ := os.ReadFile(file)
	old := strings.ReplaceAll(string(data), time.Now().UTC().Format("2006-"), "2001-")
	os.WriteFile(file, []byte(strings.ReplaceAll(old, time.Now().Format("2006-"), "2001-")), 0o644)
	ask("but not for ever", m, dir, true, 9)
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("the memory's directory has %v", entries)
	}
}
