//go:build linux

package netboot_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// bootLimit is how long a machine may take from power-on to what a test waits for:
// some times what it takes without KVM.
const bootLimit = 4 * time.Minute

const (
	nodeMAC  = "52:54:00:12:34:56"
	nodeUUID = "01234567-89ab-cdef-0123-456789abcdef"
)

// talker is a program that runs, and the lines that it writes.
type talker struct {
	t       testing.TB
	cmd     *exec.Cmd
	input   io.Writer
	lines   chan string // closed at the program's end
	patient time.Duration
	shown   []string // lines that have been read
}

// talk starts a program, which ends with the test. Its standard output and error
// are read, to however many lines nobody waits for.
func talk(t testing.TB, patient time.Duration, env []string, words ...string) *talker {
	t.Helper()
	const most = 100_000
	p := &talker{t: t, cmd: exec.Command(words[0], words[1:]...), lines: make(chan string, most), patient: patient}
	p.cmd.Env = append(os.Environ(), env...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if p.input, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer r.Close()
		defer close(p.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			p.lines <- strings.TrimRight(s.Text(), "\r")
		}
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			for line := range p.lines {
				p.shown = append(p.shown, line)
			}
			t.Logf("%s\n%s", qemu.ShellWords(words...), strings.Join(p.shown, "\n"))
		}
	})
	return p
}

// until returns the lines up to one that has a text in it. The text "" is the
// program's end.
func (p *talker) until(text string) []string {
	p.t.Helper()
	from := len(p.shown)
	limit := time.After(p.patient)
	for {
		select {
		case line, ok := <-p.lines:
			switch {
			case ok:
				p.shown = append(p.shown, line)
				if text != "" && strings.Contains(line, text) {
					return p.shown[from:]
				}
				continue
			case text == "":
				return p.shown[from:]
			}
			p.t.Fatalf("%s has ended, and has not said %q: all that it said is below", p.cmd, text)
		case <-limit:
			p.t.Fatalf("%s has not said %q within %s: all that it said is below", p.cmd, text, p.patient)
		}
	}
}

// say types a line.
func (p *talker) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.input, line+"\n"); err != nil {
		p.t.Fatalf("type %q: %v", line, err)
	}
}

// kill ends it at once: a machine's power is cut.
func (p *talker) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// powerOn starts a machine with a card, as args describe it, on a new device tap0 of
// a host's bridge.
func powerOn(t testing.TB, n *vmtest.Namespace, args ...string) *talker {
	t.Helper()
	return talk(t, bootLimit, nil, n.Words(append([]string{
		"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "tcg", "-serial", "stdio",
		"-uuid", nodeUUID, "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
	}, args...)...)...)
}

// build makes an image by "rambox build".
func build(t testing.TB, k kernels.Kernel, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image")
	vmtest.Command(t, vmtest.Rambox(t), append([]string{"build", "-q", "-o", out, "--kernel", k.Path}, args...)...)
	return out
}

// script writes an executable shell script.
func script(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	vmtest.WriteFile(t, dir, "payload", 0o755, "#!/bin/sh\n"+text)
	return filepath.Join(dir, "payload")
}
