//go:build linux

package cluster

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// machine is one without a disk, whose card's firmware boots it.
type machine struct {
	t       *testing.T
	net     *vmtest.Namespace
	number  int // of its tap device, and the end of its MAC address
	process *exec.Cmd
	console *os.File
	off     func()
}

// newMachine plugs a machine in. It is switched off when the test ends.
func newMachine(t *testing.T, n *vmtest.Namespace, number int) *machine {
	t.Helper()
	m := &machine{t: t, net: n, number: number}
	n.Tap(m.tap(), link)
	console, err := os.CreateTemp(t.TempDir(), "console")
	if err != nil {
		t.Fatal(err)
	}
	m.console = console
	t.Cleanup(func() {
		m.powerOff()
		if t.Failed() {
			t.Logf("machine %d: to reproduce: %s\nconsole:\n%s", number, qemu.ShellWords(m.words()...), m.tail())
		}
		console.Close()
	})
	return m
}

func (m *machine) tap() string { return fmt.Sprintf("tap%d", m.number) }

func (m *machine) words() []string {
	return m.net.Words("qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", "tcg", "-m", "256M", "-serial", "stdio", "-boot", "n",
		"-device", "virtio-rng-pci", "-netdev", "tap,id=n0,script=no,downscript=no,ifname="+m.tap(),
		"-device", fmt.Sprintf("virtio-net-pci,netdev=n0,mac=52:54:00:00:00:%d", m.number))
}

// powerOn starts it from nothing.
func (m *machine) powerOn() {
	m.t.Helper()
	words := m.words()
	m.process = exec.Command(words[0], words[1:]...)
	m.process.Stdout, m.process.Stderr = m.console, m.console
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	process := m.process
	m.off = sync.OnceFunc(func() {
		process.Process.Kill()
		process.Wait()
	})
}

// powerOff pulls the plug: SIGKILL.
func (m *machine) powerOff() {
	if m.off != nil {
		m.off()
	}
}

// tail is the end of what it has said since it was plugged in.
func (m *machine) tail() string {
	text, err := os.ReadFile(m.console.Name())
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(text, []byte("\n"))
	return strings.ReplaceAll(string(bytes.Join(lines[max(0, len(lines)-80):], []byte("\n"))), "\r", "")
}
