//go:build linux

package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of the proof that KVM works, and how long a failed one is believed: the host may only have been busy.
const (
	probeSilence = 1500 * time.Millisecond
	probeLimit   = 5 * time.Second
	failureValid = time.Hour
)

// ChooseAccel resolves the accelerator that was asked for: "kvm" and "tcg" are taken at their word (only that KVM can be opened is looked into), "auto" (or "") is
// kvm where it boots m's kernel, else tcg. why says in one line what an automatic choice rests on.
// The answer of the proof is remembered in a file in dir; dir may be "", missing or read-only.
func ChooseAccel(ctx context.Context, want string, m Machine, dir string) (accel, why string, err error) {
	switch want {
	case "tcg":
		return want, "asked for", nil
	case "kvm":
		if err := openKVM("/dev/kvm"); err != nil {
			return "", "", fmt.Errorf("accelerator kvm: %w; --accel auto does without where it must", err)
		}
		return want, "asked for", nil
	case "", "auto":
	default:
		return "", "", fmt.Errorf("accelerator %q: want auto, kvm or tcg", want)
	}
	m.Accel = ""
	m = m.withDefaults()
	if !m.native() {
		return "tcg", fmt.Sprintf("the host is %s, the guest %s", runtime.GOARCH, m.Arch), nil
	}
	if err := openKVM("/dev/kvm"); err != nil {
		return "tcg", err.Error(), nil
	}
	err = rememberedProbe(ctx, m, dir)
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	if err != nil {
		return "tcg", "KVM does not work here: " + err.Error(), nil
	}
	return "kvm", "KVM boots this kernel", nil
}

// openKVM reports why KVM cannot be used at all.
func openKVM(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no %s", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to open %s: become a member of its group (usermod -aG kvm $USER, and log in again)", path)
	case err != nil:
		return err
	}
	return f.Close()
}

// answer is a proof's outcome as the file kvm.json keeps it.
type answer struct {
	Failure string    `json:"failure"` // "" when KVM works
	Time    time.Time `json:"time"`
}

// answers are valid for one boot of the host.
type answers struct {
	Boot  string            `json:"boot"`
	ByKey map[string]answer `json:"answers"`
}

// rememberedProbe is ProbeKVM with a memory. Nothing that is wrong with the memory is an error.
func rememberedProbe(ctx context.Context, m Machine, dir string) error {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	key, err := probeKey(m)
	if err != nil || dir == "" || len(boot) == 0 {
		return ProbeKVM(ctx, m)
	}
	file := filepath.Join(dir, "kvm.json")
	known := readAnswers(file, strings.TrimSpace(string(boot)))
	if a, ok := known.ByKey[key]; ok && (a.Failure == "" || time.Since(a.Time) < failureValid) {
		if a.Failure != "" {
			return errors.New(a.Failure)
		}
		return nil
	}
	err = ProbeKVM(ctx, m)
	if ctx.Err() == nil {
		a := answer{Time: time.Now()}
		if err != nil {
			a.Failure = err.Error()
		}
		known.ByKey[key] = a
		_ = writeAnswers(file, known) // asked again next time
	}
	return err
}

func readAnswers(file, boot string) answers {
	var known answers
	data, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(data, &known) != nil || known.Boot != boot || known.ByKey == nil {
		return answers{Boot: boot, ByKey: map[string]answer{}}
	}
	return known
}

// writeAnswers replaces the file in one step.
func writeAnswers(file string, known answers) error {
	data, err := json.MarshalIndent(known, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "kvm-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// probeKey names what the answer depends on: QEMU's binary, the kernel's file, the machine type and the CPU model.
func probeKey(m Machine) (string, error) {
	m.Accel, m.CPU = "kvm", ""
	m = m.withDefaults()
	path, err := m.qemuPath()
	if err != nil {
		return "", err
	}
	key := m.Type + " " + m.CPU
	for _, p := range []string{path, m.Kernel} {
		info, err := os.Stat(p)
		if err != nil {
			return "", err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return "", fmt.Errorf("identify %s", p)
		}
		key += fmt.Sprintf(" %s:%x:%x:%x:%x", p, unix.Major(st.Dev)<<20|unix.Minor(st.Dev), st.Ino, info.Size(), info.ModTime().UnixNano())
	}
	return key, nil
}
