//go:build linux

// Package vmtest boots virtual machines in tests. It holds what the
// integration tests share: the parts that an image is made of, the kernels, a
// guest whose console a test reads and types on, and the far end of its network
// cable.
//
// Everything here fails the test, with the console's tail and the QEMU command
// line that reproduces it, rather than return an error. Nothing skips: a part
// that is missing is a failure that says what to install.
package vmtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
)

// bootLimit is how long a guest may take from power-on to its end, unless a
// test says otherwise: much more than it takes on a quiet machine.
const bootLimit = 2 * time.Minute

// VM is a machine to boot.
type VM struct {
	Kernel  kernels.Kernel // the zero value: the firmware boots what is in Disks or Extra
	Type    string         // QEMU's machine type; "" is the default
	Initrd  string         // path of an image
	Append  string         // kernel parameters after those for the console
	Disks   []qemu.Disk
	Memory  int64         // bytes; 0 is 256 MiB
	Ports   []string      // virtio-serial ports
	Limit   time.Duration // power-on to end; 0 is 2 minutes
	Extra   []string      // further arguments of QEMU
	NoPanic bool          // leave panic=-1 out
}

// Guest is a running machine.
type Guest struct {
	t       testing.TB
	vm      *qemu.VM
	machine qemu.Machine
	console console
	read    int // how far Expect has come
}

// Start boots vm. The machine is gone when the test ends.
func Start(t testing.TB, vm VM) *Guest {
	t.Helper()
	m := qemu.Machine{
		Arch: vm.Kernel.Arch, Type: vm.Type, Kernel: vm.Kernel.Path, Initrd: vm.Initrd, Disks: vm.Disks,
		Memory: vm.Memory, Ports: vm.Ports, Extra: vm.Extra,
	}
	if vm.Type == "" {
		m.Kernel = vm.Kernel.Direct().Path // a sixth of our kernel's boot less
	}
	words := m.BootArgs()
	if vm.NoPanic {
		words = slices.DeleteFunc(words, func(w string) bool { return w == "panic=-1" })
	}
	m.Cmdline = strings.Join(append(words, vm.Append), " ")
	if vm.Kernel.Path == "" {
		m.Medium, m.Cmdline = true, ""
	}
	limit := vm.Limit
	if limit == 0 {
		limit = bootLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	g := &Guest{t: t, machine: m}
	g.console.cond.L = &g.console.mu
	started, err := qemu.Start(ctx, m, qemu.Options{Console: &g.console})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	g.vm = started
	go func() {
		g.vm.Wait()
		g.console.close()
	}()
	t.Cleanup(func() {
		g.vm.Close()
		cancel()
	})
	return g
}

// Boot runs vm to its end and returns all of its console.
func Boot(t testing.TB, vm VM) string {
	t.Helper()
	return Start(t, vm).End()
}

// Expect waits until the console shows text, after what an earlier Expect has
// matched, and returns what came before it. What the kernel says in the middle
// of the text does not matter.
func (g *Guest) Expect(text string) string {
	g.t.Helper()
	before, ok := g.console.find(&g.read, text)
	if !ok {
		g.fail("the guest has ended, or its time was up; the console never showed %q", text)
	}
	return before
}

// Send types text on the console.
func (g *Guest) Send(text string) {
	g.t.Helper()
	if _, err := g.vm.ConsoleInput([]byte(text)); err != nil {
		g.fail("type %q: %v", text, err)
	}
}

// End waits for the machine to end by itself and returns all of its console.
func (g *Guest) End() string {
	g.t.Helper()
	exit := g.vm.Wait()
	if exit.Signal != 0 {
		g.fail("the guest did not end in time: %v", exit.Err())
	}
	if err := exit.Err(); err != nil {
		g.fail("%v", err)
	}
	return g.console.String()
}

// Shown is all that the console has shown so far.
func (g *Guest) Shown() string { return g.console.String() }

// VM is the machine underneath, for its ports.
func (g *Guest) VM() *qemu.VM { return g.vm }

// Kill cuts the power.
func (g *Guest) Kill() { g.vm.Kill() }

func (g *Guest) fail(format string, a ...any) {
	g.t.Helper()
	line, err := g.machine.ShellLine()
	if err != nil {
		line = err.Error()
	}
	g.t.Errorf(format, a...)
	g.t.Fatalf("to reproduce: %s\nconsole:\n%s", line, tail(g.console.String(), 80))
}

// Contains fails the test unless the console has every text, also if the kernel
// has said something in the middle of it.
func Contains(t testing.TB, console string, texts ...string) {
	t.Helper()
	programs := Programs(console)
	for _, text := range texts {
		if !strings.Contains(console, text) && !strings.Contains(programs, text) {
			t.Errorf("the console does not show %q:\n%s", text, tail(console, 60))
		}
	}
}

// Lacks fails the test if the console has one of the texts.
func Lacks(t testing.TB, console string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(console, text) {
			t.Errorf("the console shows %q:\n%s", text, tail(console, 60))
		}
	}
}

func tail(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Command runs a program of the host and returns its output.
func Command(t testing.TB, name string, args ...string) string {
	t.Helper()
	return run(t, exec.Command(name, args...))
}

func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	// The tools that make file systems and indexes are in sbin, which is not
	// in everybody's PATH.
	if cmd.Err != nil {
		if p, err := exec.LookPath("/usr/sbin/" + filepath.Base(cmd.Args[0])); err == nil {
			cmd.Path, cmd.Err = p, nil
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v (make deps installs what the tests need)\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// WriteFile writes a file below dir, with its directories.
func WriteFile(t testing.TB, dir, name string, mode os.FileMode, content string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		t.Fatal(err)
	}
}
