//go:build linux

package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSetLoop is the way of kernels before 5.8.
func TestSetLoop(t *testing.T) {
	needLoop(t)
	for _, flags := range []int{os.O_RDONLY, os.O_RDWR} {
		device := setFreeLoop(t, megabyte(t), flags)
		info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		want := uint32(unix.LO_FLAGS_AUTOCLEAR)
		if flags == os.O_RDONLY {
			want |= unix.LO_FLAGS_READ_ONLY
		}
		if info.Flags != want {
			t.Errorf("opened with %#x the device has the flags %#x, want %#x", flags, info.Flags, want)
		}
		device.Close()
	}
}

// setFreeLoop finds a loop device that nobody uses.
func setFreeLoop(t *testing.T, file *os.File, flags int) *os.File {
	t.Helper()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	for range loopTries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			t.Fatal(err)
		}
		device, err := os.OpenFile(fmt.Sprint("/dev/loop", n), flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = setLoop(int(device.Fd()), int(file.Fd()))
		if err == nil {
			return device
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) {
			t.Fatal(err)
		}
	}
	t.Fatal("others take each loop device")
	return nil
}

// megabyte is a file to put a loop device in front of.
func megabyte(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err == nil {
		err = f.Truncate(1 << 20)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestAttachLoop(t *testing.T) {
	needLoop(t)
	for _, writable := range []bool{true, false} {
		device, err := AttachLoop(megabyte(t), writable)
		if err != nil {
			t.Fatal(err)
		}
		again, err := os.OpenFile(device.Name(), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = again.WriteAt(make([]byte, 4096), 0); writable != (err == nil) {
			t.Errorf("writable %v: write: %v", writable, err)
		}
		again.Close()
		device.Close()
	}
}

func needLoop(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may use loop devices")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("this host has no loop devices: %v", err)
	}
}
