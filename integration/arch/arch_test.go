//go:build linux

// Package arch boots machines of other architectures than the host's, and
// others than a PC.
package arch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// result is what one call of rambox left behind.
type result struct {
	status         int
	stdout, stderr string
}

// limit is one that no healthy boot comes near.
const limit = 2 * time.Minute

func rambox(t testing.TB, stdin []byte, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, vmtest.Rambox(t), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%v: %v, %v\n%s", cmd, err, ctx.Err(), errs.String())
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// needKernel fetches the kernel and the busybox of an architecture, once.
func needKernel(t testing.TB, arch string) {
	t.Helper()
	if r := rambox(t, nil, "kernel", "fetch", "--if-missing", "--arch", arch); r.status != 0 {
		t.Fatalf("rambox kernel fetch --arch %s = %d\n%s", arch, r.status, r.stderr)
	}
}

// report builds testdata/report for an architecture.
func report(t testing.TB, arch string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "report")
	cmd := exec.Command("go", "build", "-o", out, "./testdata/report")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("GOARCH=%s %v: %v\n%s", arch, cmd, err, said)
	}
	return out
}

// TestRun runs a program on each architecture that Debian has a kernel for:
// status, streams, drivers by modalias, network, and an orderly end.
func TestRun(t *testing.T) {
	t.Parallel()
	cloud := vmtest.CloudKernel(t).Path
	bin := filepath.Dir(vmtest.Rambox(t))
	pci := []string{"virtio_pci ", "virtio_console ", "virtio_net ", "virtio_blk "}
	for _, tc := range []struct {
		name, arch string
		args       []string
		machine    string
		modules    []string
	}{
		{"arm64", "arm64", []string{"--arch", "arm64", "--modules", "qemu_fw_cfg"}, "aarch64", append(pci, "qemu_fw_cfg ")}, // of a device tree, not of PCI
		{"arm", "arm", []string{"--arch", "arm"}, "armv7l", pci},
		{"386 init on an amd64 kernel", "386", []string{"--kernel", cloud, "--init", filepath.Join(bin, "386/init")}, "x86_64", pci},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if len(tc.args) > 0 && tc.args[0] == "--arch" {
				needKernel(t, tc.arch)
			}
			dir := t.TempDir()
			disk, ended := filepath.Join(dir, "disk"), filepath.Join(dir, "result")
			vmtest.WriteFile(t, dir, "disk", 0o644, strings.Repeat("\x00", 1<<20))
			stdin := bytes.Repeat([]byte("all bytes: \x00\x01\x04\r\n\xff\n"), 10_000)
			args := append([]string{"run", "--net", "user", "--disk", disk, "--result", ended}, tc.args...)
			args = append(args, "--", report(t, tc.arch), "42", "an argument")
			got := rambox(t, stdin, args...)
			if got.status != 42 {
				t.Fatalf("rambox %q = %d, want 42\n%s", args, got.status, got.stderr)
			}
			if got.stdout != string(stdin) {
				t.Errorf("rambox %q: %d bytes of output, want the %d of the input", args, len(got.stdout), len(stdin))
			}
			for _, want := range append(tc.modules, "machine "+tc.machine+"\n", "IPV4ADDR='10.0.2.15'\n") {
				if !strings.Contains("\n"+got.stderr, "\n"+want) {
					t.Errorf("rambox %q: no line begins with %q in:\n%s", args, want, got.stderr)
				}
			}
			checkPowerDown(t, ended)
		})
	}
}

// checkPowerDown reads a result of a run that could write to a disk: the
// machine must have ended by itself.
func checkPowerDown(t *testing.T, file string) {
	t.Helper()
	var r qemu.Result
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(r.ConsoleTail, "reboot: Power down") {
		t.Errorf("the machine did not power off; its console:\n%s", r.ConsoleTail)
	}
}

// TestBusybox runs the architecture's own busybox, which came with its kernel.
func TestBusybox(t *testing.T) {
	t.Parallel()
	needKernel(t, "arm64")
	args := []string{"run", "--arch", "arm64", "--", "sh", "-c", "uname -m; echo error >&2; kill -TERM $$"}
	got := rambox(t, nil, args...)
	if got.status != 128+15 || got.stdout != "aarch64\n" || !strings.HasPrefix(got.stderr, "error\n") {
		t.Errorf("rambox %q = %d\n%s%s", args, got.status, got.stdout, got.stderr)
	}
}

// TestRefuses is what has to end in one line before anything boots.
func TestRefuses(t *testing.T) {
	needKernel(t, "arm64")
	cloud := vmtest.CloudKernel(t).Path
	foreign := report(t, "arm64")
	nothing := t.TempDir()
	for _, tc := range []struct {
		name  string
		cache string
		args  []string
		want  string
	}{
		{"program of another machine", "", []string{"run", "--kernel", cloud, "--", foreign}, "built for arm64, the image is for amd64; for a machine of its own architecture: --arch arm64"},
		{"program of this machine", "", []string{"run", "--arch", "arm64", "--", vmtest.Init(t)}, "built for amd64, the image is for arm64"},
		{"busybox of this machine", "", []string{"run", "--arch", "arm64", "--busybox", vmtest.Busybox, "--", "true"}, "built for amd64, the image is for arm64"},
		{"kernel of this machine", "", []string{"run", "--arch", "arm64", "--kernel", cloud, "--", foreign}, "is for amd64, not for arm64"},
		{"no kernel", nothing, []string{"run", "--arch", "arm64", "--", foreign}, "run: rambox kernel fetch --arch arm64"},
		{"no architecture", "", []string{"run", "--arch", "x86_64", "--", "true"}, "want amd64, 386, arm, arm64 or riscv64"},
		{"no busybox", nothing, []string{"build", "--arch", "arm64", "--kernel", "none", "-o", "/dev/null", "--payload", "true"}, "to have one: rambox kernel fetch --arch arm64"},
		{"machine of another architecture", "", []string{"run", "--arch", "arm64", "--machine", "microvm", "--", foreign}, `machine type "microvm" for arm64: want virt`},
		{"devices that a kernel does not find", "", []string{"run", "--machine", "microvm", "--kernel", cloud, "--net", "user", "--", "true"}, "rambox kernel build --profile micro"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.cache != "" {
				t.Setenv("RAMBOX_CACHE", tc.cache)
			}
			got := rambox(t, nil, tc.args...)
			if got.status == 0 || !strings.Contains(got.stderr, tc.want) || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("rambox %q = %d, want one line with %q:\n%s", tc.args, got.status, tc.want, got.stderr)
			}
		})
	}
}

// TestBuild looks at what is in an image for another architecture.
func TestBuild(t *testing.T) {
	t.Parallel()
	needKernel(t, "arm64")
	img := filepath.Join(t.TempDir(), "arm64.img")
	args := []string{"build", "--arch", "arm64", "-o", img, "--with", "http-root", "--payload", report(t, "arm64")}
	if got := rambox(t, nil, args...); got.status != 0 {
		t.Fatalf("rambox %q = %d\n%s", args, got.status, got.stderr)
	}
	k, err := kernels.FindFor("", "arm64")
	if err != nil {
		t.Fatal(err)
	}
	// The image has the payload, which would read the console; busybox shows that its programs are there.
	console := vmtest.Boot(t, vmtest.VM{
		Kernel: k, Initrd: img, Limit: limit,
		Append: `rambox.payload=/bin/sh -- -c "uname -m; /usr/local/bin/report 7 </dev/null; echo status $?; /lib/rambox/root/https; echo status $?"`,
	})
	vmtest.Contains(t, console, "machine aarch64", "status 7", "usage", "reboot: Power down")
}

// TestMicroVM boots a machine without PCI and ACPI, on kernels that find none
// of its devices: the console has to do, and it ends by a reset.
func TestMicroVM(t *testing.T) {
	t.Parallel()
	args := []string{"run", "--machine", "microvm", "--kernel", vmtest.RunKernel(t).Path, "--", "sh", "-c", "cat; exit 9"}
	got := rambox(t, []byte("input\n"), args...)
	if got.status != 9 || got.stdout != "input\n" {
		t.Errorf("rambox %q = %d, stdout %q, want 9 and the input\n%s", args, got.status, got.stdout, got.stderr)
	}
	g := vmtest.Start(t, vmtest.VM{
		Kernel: vmtest.RunKernel(t), Type: "microvm", Initrd: vmtest.Archive(t, vmtest.Tree(t)), Append: "rambox.payload=/bin/true",
	})
	if console := g.End(); !strings.Contains(console, "reboot: Restarting system") {
		t.Errorf("no reset; the console:\n%s", console)
	}
}

// TestShell sits at a terminal of an arm64 machine.
func TestShell(t *testing.T) {
	t.Parallel()
	needKernel(t, "arm64")
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, vmtest.Rambox(t), "run", "--arch", "arm64", "--shell")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	// What is typed before there is a shell waits for it.
	if _, err := terminal.WriteString("echo \"$(uname -m) on $(tty)\"; exit 5\r"); err != nil {
		t.Fatal(err)
	}
	shown, _ := io.ReadAll(terminal) // EIO when the last of the other ends is closed
	err = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 5 || !bytes.Contains(shown, []byte("aarch64 on /dev/pts/")) {
		t.Errorf("%v: %v, want status 5; the terminal showed:\n%s", cmd, err, shown)
	}
}

// TestUnits runs the unit tests of the guest's packages as programs of 32 bits,
// which the host's kernel takes as well.
func TestUnits(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "test", "rambox/pkg/...", "rambox/cmd/http-root")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=386")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("GOARCH=386 %v: %v\n%s", cmd, err, said)
	}
}
