//go:build linux

package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// testMachine is one that fakeQEMU runs.
var testMachine = Machine{Arch: "amd64", Kernel: "k"}

// fakeQEMU puts a shell script in QEMU's place: it has the descriptors that QEMU would have.
func fakeQEMU(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "qemu-system-x86_64"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func start(t *testing.T, m Machine, opts Options) *VM {
	t.Helper()
	vm, err := Start(t.Context(), m, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	return vm
}

func TestStartDescriptors(t *testing.T) {
	fakeQEMU(t, `
echo "args $*" >&3
cat /proc/self/fd/6 >&3
cat <&4 >&5
cat <&3 >&3`)
	initrd, err := MemFile("image")
	if err != nil {
		t.Fatal(err)
	}
	defer initrd.Close()
	io.WriteString(initrd, "the image\n")
	m := testMachine
	m.Ports = []string{"in", "out"}
	var console strings.Builder
	vm := start(t, m, Options{Initrd: initrd, Console: &console})
	in, ok1 := vm.Port("in")
	out, ok2 := vm.Port("out")
	if _, ok := vm.Port("none"); !ok1 || !ok2 || ok {
		t.Fatalf("ports: %v %v %v", ok1, ok2, ok)
	}
	io.WriteString(in, "through a port")
	in.CloseWrite()
	got := make([]byte, 14)
	if _, err := io.ReadFull(out, got); err != nil || string(got) != "through a port" {
		t.Errorf("port out says %q, %v", got, err)
	}
	vm.ConsoleInput([]byte("typed"))
	vm.console.CloseWrite()
	if exit := vm.Wait(); exit.Err() != nil {
		t.Errorf("exit %+v", exit)
	}
	if text := console.String(); !strings.Contains(text, "-initrd /proc/self/fd/6") || !strings.HasSuffix(text, "the image\ntyped") || text != vm.ConsoleTail() {
		t.Errorf("console %q, tail %q", text, vm.ConsoleTail())
	}
}

func TestStartFails(t *testing.T) {
	fakeQEMU(t, `echo "qemu: one" >&2; echo "qemu: two" >&2; exit 3`)
	exit := start(t, testMachine, Options{}).Wait()
	if err := exit.Err(); exit.Code != 3 || err == nil || err.Error() != "QEMU ended with status 3: qemu: one; qemu: two" {
		t.Errorf("exit %+v: %v", exit, err)
	}
	res, err := Run(t.Context(), Session{Machine: testMachine})
	if res.Status != StatusFailed || res.Reason != ReasonQEMU || err == nil {
		t.Errorf("Run = %+v, %v", res, err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Start(t.Context(), testMachine, Options{}); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "install") {
		t.Errorf("Start without QEMU: %v", err)
	}
	if _, err := Start(t.Context(), Machine{}, Options{}); err == nil || !strings.Contains(err.Error(), "no kernel") {
		t.Errorf("Start of nothing: %v", err)
	}
	res, err = Run(t.Context(), Session{Machine: testMachine})
	if res.Status != StatusFailed || res.Reason != ReasonQEMU || res.Message != err.Error() {
		t.Errorf("Run without QEMU = %+v, %v", res, err)
	}
}

func TestStartContext(t *testing.T) {
	fakeQEMU(t, "exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	vm, err := Start(ctx, testMachine, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	cancel()
	if exit := vm.Wait(); exit.Signal != syscall.SIGKILL || exit.Err() == nil {
		t.Errorf("after the context's end: %+v", exit)
	}
}

// TestStartGroup checks that a terminal's ctrl-c, which goes to our process group, does not reach QEMU.
func TestStartGroup(t *testing.T) {
	fakeQEMU(t, `cut -d " " -f 5 /proc/self/stat >&3; exec sleep 60`)
	r, w := io.Pipe()
	start(t, testMachine, Options{Console: w})
	var group int
	if _, err := fmt.Fscan(r, &group); err != nil || group == syscall.Getpgrp() {
		t.Errorf("QEMU's process group is %d, %v; ours is %d", group, err, syscall.Getpgrp())
	}
}

// TestStartDiesWithUs kills a process that has started QEMU, without a chance to tidy up, and expects QEMU to die as well.
func TestStartDiesWithUs(t *testing.T) {
	const role = "RAMBOX_TEST_PARENT"
	if os.Getenv(role) != "" {
		vm, err := Start(t.Context(), testMachine, Options{Console: os.Stdout})
		if err != nil {
			t.Fatal(err)
		}
		vm.Wait()
		return
	}
	fakeQEMU(t, `echo $$ >&3; exec sleep 60`)
	cmd := exec.Command(os.Args[0], "-test.run=^TestStartDiesWithUs$")
	cmd.Env = append(os.Environ(), role+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("open process %d: %v", pid, err)
	}
	defer unix.Close(fd)
	cmd.Process.Kill()
	cmd.Wait()
	ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
	if ready != 1 {
		t.Errorf("QEMU (process %d) lives on: %v", pid, err)
	}
}
