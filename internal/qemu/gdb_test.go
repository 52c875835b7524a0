//go:build linux

package qemu

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestGDBArgs(t *testing.T) {
	for gdb, want := range map[string]string{
		"":               "",
		"127.0.0.1:1234": "socket,id=gdb,server=on,wait=off,host=127.0.0.1,port=1234",
		"./a:b,c":        "socket,id=gdb,server=on,wait=off,path=./a:b,,c",
		gdbFD(7):         "socket,id=gdb,server=on,wait=off,fd=7",
	} {
		argv, err := Machine{Kernel: "k", GDB: gdb}.Args()
		if err != nil {
			t.Fatal(err)
		}
		stopped := slices.Contains(argv, "-S") && strings.Contains(strings.Join(argv, " "), "-chardev "+want+" -gdb chardev:gdb -S")
		if stopped != (gdb != "") {
			t.Errorf("GDB %q: %q", gdb, argv)
		}
	}
}

// TestListenGDBStale takes the place of a socket whose program is gone, and of no other file.
func TestListenGDBStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gdb.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenGDB(path); err == nil || !strings.Contains(err.Error(), "another program listens on "+path) {
		t.Errorf("while somebody listens: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	g, err := ListenGDB(path)
	if err != nil {
		t.Fatal(err)
	}
	if g.Addr != path {
		t.Errorf("Addr = %q, want %q", g.Addr, path)
	}
	g.Close()
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left")
	}
}

func TestAdvise(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"qemu-system-x86_64: other": "",
		"qemu-system-x86_64: -device virtio-blk-pci,drive=disk0: Failed to get \"write\" lock\nIs another process using the image [/a b]?\n": "disk /a b is in use by another QEMU: end that one, or give it to both with ,ro",
		"qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory\n":                                                  "the host has not enough memory for the guest's pc.ram: give it less with --memory",
	} {
		if got := advise(in); got != want {
			t.Errorf("advise(%q) = %q, want %q", in, got, want)
		}
	}
}
