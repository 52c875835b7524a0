//go:build linux

package kmod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"
)

// The tests of this file run as PID 1 of a virtual machine whose kernel has modules, with /proc, /sys and /dev mounted. The
// image holds the closure of virtio_pci, virtio_blk, virtio_net, loop, vfat and btrfs below /lib/modules/<release>, with
// its index; the machine has a virtio disk.

// TestMain mounts what is not mounted yet and powers the machine off, when it is PID 1.
func TestMain(m *testing.M) {
	if os.Getpid() != 1 {
		os.Exit(m.Run())
	}
	for target, kind := range map[string]string{"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs", "/tmp": "tmpfs"} {
		os.MkdirAll(target, 0o755)
		if err := unix.Mount(kind, target, kind, 0, ""); err != nil && err != unix.EBUSY {
			fmt.Printf("mount %s: %v\n", target, err)
		}
	}
	m.Run()
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// inVM skips the test unless it runs as PID 1, and returns the module directory and its index.
func inVM(t *testing.T) (dir string, x *Index) {
	t.Helper()
	if os.Getpid() != 1 {
		t.Skip("runs as PID 1 in a VM: integration/kmod")
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	dir = "/lib/modules/" + unix.ByteSliceToString(name.Release[:])
	x, err := ReadIndex(DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return dir, x
}

func vmContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func wantLive(t *testing.T, module string) {
	t.Helper()
	state, err := os.ReadFile("/sys/module/" + module + "/initstate")
	if string(state) != "live\n" {
		t.Errorf("module %s: state %q, %v, want live", module, state, err)
	}
}

// TestVMErrors comes first: it needs modules that are not loaded yet.
func TestVMErrors(t *testing.T) {
	dir, x := inVM(t)
	vfat, ok := x.Module("vfat")
	if !ok {
		t.Fatal("the image has no vfat")
	}
	good, err := os.ReadFile(filepath.Join(dir, vfat.Path))
	if err != nil {
		t.Fatal(err)
	}
	bad := t.TempDir()
	writeTree(t, bad, map[string]string{
		"vfat.ko":      string(good),
		"short.ko":     string(good[:len(good)/3]),
		"packed.ko.xz": string(good),
	})
	l := NewLoader(depIndex(t, "vfat.ko:\nshort.ko:\npacked.ko.xz:\nneedy.ko: short.ko\n", ""), bad, Options{})
	tests := []struct {
		name string
		is   error
		text string
	}{
		{"vfat", unix.ENOENT, "a symbol that it needs is missing"}, // fat is not listed as a dependency
		{"short", unix.ENOEXEC, "built for another kernel, or damaged"},
		{"needy", unix.ENOEXEC, "load needy: load short ("},
	}
	if l.compression() == "" {
		tests = append(tests, struct {
			name string
			is   error
			text string
		}{"packed", errors.ErrUnsupported, "does not unpack modules in xz"})
	}
	for _, tt := range tests {
		if err := l.Load(vmContext(t), tt.name); !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("Load(%s): %v, want %v and %q in it", tt.name, err, tt.is, tt.text)
		}
	}
}

func TestVMParams(t *testing.T) {
	dir, x := inVM(t)
	config, err := ReadConfig(fstest.MapFS{"a.conf": file("options loop max_loop=2 max_part=5\n")})
	if err != nil {
		t.Fatal(err)
	}
	l := NewLoader(x, dir, Options{Config: config, Params: map[string]string{"loop": "max_loop=3"}})
	if err := l.Load(vmContext(t), "loop"); err != nil {
		t.Fatal(err)
	}
	for param, want := range map[string]string{"max_loop": "3\n", "max_part": "7\n"} { // 5 rounds up to 2ⁿ-1
		if got, err := os.ReadFile("/sys/module/loop/parameters/" + param); string(got) != want {
			t.Errorf("loop.%s = %q, %v, want %q", param, got, err, want)
		}
	}
	again := NewLoader(x, dir, Options{})
	if err := again.Load(vmContext(t), "loop"); err != nil || len(again.Loaded()) != 0 {
		t.Errorf("Load of a module that is loaded: %v, %d loaded, want neither", err, len(again.Loaded()))
	}
}

// TestVMColdplug checks that devices of devices are found: virtio_pci makes the virtio device that virtio_blk drives.
func TestVMColdplug(t *testing.T) {
	dir, x := inVM(t)
	l := NewLoader(x, dir, Options{})
	start := time.Now()
	if err := l.Coldplug(vmContext(t)); err != nil {
		t.Error(err)
	}
	total := time.Since(start)
	kernel := time.Duration(0)
	for _, m := range l.Loaded() {
		wantLive(t, m.Name)
		if m.Bytes <= 0 || m.End.Before(m.Start) {
			t.Errorf("Loaded has %+v", m)
		}
		t.Logf("%s: %d bytes, %v", m.Name, m.Bytes, m.End.Sub(m.Start))
		kernel += m.End.Sub(m.Start)
	}
	t.Logf("%d modules in %v, the kernel's share %v", len(l.Loaded()), total, kernel)
	if !slices.ContainsFunc(l.Loaded(), func(m Loaded) bool { return m.Name == "virtio_blk" }) {
		t.Errorf("Coldplug loaded %v, want virtio_blk", l.Loaded())
	}
	if _, err := os.Stat("/dev/vda"); err != nil {
		t.Errorf("after Coldplug: %v", err)
	}
	if err := l.Coldplug(vmContext(t)); err != nil {
		t.Errorf("second Coldplug: %v", err)
	}
	unmatched, err := l.Unmatched()
	if err != nil {
		t.Error(err)
	}
	for _, m := range unmatched {
		if strings.HasPrefix(m, "virtio:d00000002") || len(x.Match(m)) > 0 {
			t.Errorf("Unmatched() has %s", m)
		}
	}
}

// TestVMParallel loads modules that share dependencies from several goroutines, in a machine with several CPUs on several.
func TestVMParallel(t *testing.T) {
	dir, x := inVM(t)
	l := NewLoader(x, dir, Options{})
	ctx := vmContext(t)
	var wg sync.WaitGroup
	for _, name := range []string{"btrfs", "fs-btrfs", "virtio_net", "fs-vfat", "btrfs", "vfat"} {
		wg.Go(func() {
			if err := l.Load(ctx, name); err != nil {
				t.Errorf("Load(%s): %v", name, err)
			}
		})
	}
	wg.Wait()
	for _, name := range []string{"btrfs", "libcrc32c", "virtio_net", "net_failover", "vfat", "fat"} {
		wantLive(t, name)
	}
	seen := make(map[string]bool)
	for _, m := range l.Loaded() {
		if seen[m.Name] {
			t.Errorf("%s was loaded twice", m.Name)
		}
		seen[m.Name] = true
	}
}
