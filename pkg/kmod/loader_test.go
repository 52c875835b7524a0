//go:build linux

package kmod

import (
	"context"
	"errors"
	"io/fs"
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

// These tests run anywhere: the module files do not exist, so that an attempt to load one is seen as its error, and the
// kernel is never asked. That modules do load is tested in a VM, in loader_vm_test.go.

func testLoader(t *testing.T, opts Options) *Loader {
	return NewLoader(testIndex(t), t.TempDir(), opts)
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestLoadErrors(t *testing.T) {
	config, err := ReadConfig(fstest.MapFS{"a.conf": file("blacklist autofs4\ninstall raid6_pq /bin/false\n")})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		is   error
		text string
	}{
		{"nothing", ErrNotFound, "load nothing: no such module"},
		{"virtio-blk", ErrBlacklisted, "load virtio-blk: blacklisted"},
		{"autofs4", ErrBlacklisted, ""},
		{"fs-autofs", ErrBlacklisted, "load fs-autofs: blacklisted"},
		{"virtio_ring", fs.ErrNotExist, "virtio_ring.ko: no such file"},
		{"virtio", fs.ErrNotExist, "load virtio: load virtio_ring: open"},
		{"gone:x", ErrNotFound, "modules.dep does not list it"},
		{"uas", errors.ErrUnsupported, "have them unpacked when the image is built"},
		{"xor", fs.ErrNotExist, ""},
		{"ext4", nil, ""},
		{"fs-ext4", nil, ""},
		{"fs-debugfs", nil, ""},
	}
	for _, workers := range []int{1, 2} {
		l := testLoader(t, Options{Blacklist: []string{"virtio-blk"}, Config: config, Workers: workers, Sys: t.TempDir()})
		for _, tt := range tests {
			err := l.Load(testContext(t), tt.name)
			if !errors.Is(err, tt.is) || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Load(%q) with %d workers: %v, want %v and %q in it", tt.name, workers, err, tt.is, tt.text)
			}
		}
		if got := l.Loaded(); len(got) != 0 {
			t.Errorf("Loaded() = %v, want none", got)
		}
	}
}

func TestLoadAlias(t *testing.T) {
	l := testLoader(t, Options{Blacklist: []string{"virtio_blk", "usb_storage"}})
	tests := []struct {
		modalias string
		matched  bool
		text     string // of the error; "" is no error
	}{
		{"pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00", true, "load virtio_pci"},
		{"virtio:d00000002v00001AF4", true, ""}, // blacklisted
		{"virtio:d00000099v00001AF4", false, ""},
		{"fs-ext4", false, ""}, // no device waits for what is built in
	}
	for _, tt := range tests {
		matched, err := l.LoadAlias(testContext(t), tt.modalias)
		if matched != tt.matched || (err != nil) != (tt.text != "") || err != nil && !strings.Contains(err.Error(), tt.text) {
			t.Errorf("LoadAlias(%q) = %v, %v, want %v, %q", tt.modalias, matched, err, tt.matched, tt.text)
		}
	}
}

func TestLoadSoftDependencyFails(t *testing.T) {
	// libcrc32c's own file is missing, and so is that of its soft dependency: only the first is an error.
	err := testLoader(t, Options{}).Load(testContext(t), "libcrc32c")
	if err == nil || strings.Contains(err.Error(), "crc32c-intel") {
		t.Errorf("Load(libcrc32c): %v, want an error of libcrc32c alone", err)
	}
}

// TestLoadOnce has many callers ask for the same modules: each is tried once, and all get that result.
func TestLoadOnce(t *testing.T) {
	for _, workers := range []int{1, 2} {
		l := testLoader(t, Options{Workers: workers})
		ctx := testContext(t)
		var mu sync.Mutex
		var texts []string
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				err := l.Load(ctx, []string{"virtio_pci", "virtio_blk", "virtio"}[i%3])
				mu.Lock()
				defer mu.Unlock()
				texts = append(texts, err.Error())
			})
		}
		wg.Wait()
		slices.Sort(texts)
		if got := slices.Compact(texts); len(got) != 3 {
			t.Errorf("32 calls for 3 modules gave %d different errors: %q", len(got), got)
		}
		if len(l.attempts) != 6 {
			t.Errorf("%d modules were tried, want 6", len(l.attempts))
		}
	}
}

func TestLoadContext(t *testing.T) {
	for _, workers := range []int{1, 2} {
		l := testLoader(t, Options{Workers: workers})
		ctx, cancel := context.WithCancel(testContext(t))
		cancel()
		if err := l.Load(ctx, "virtio_blk"); !errors.Is(err, context.Canceled) {
			t.Errorf("Load with a cancelled context: %v, want context.Canceled", err)
		}
		if err := l.Load(testContext(t), "virtio_blk"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load after a cancelled one: %v, want a real attempt", err)
		}
	}
}

func TestFlags(t *testing.T) {
	tests := []struct {
		kernel, file string
		want         int
		err          error
	}{
		{"", "a/b.ko", 0, nil},
		{"xz", "b.ko", 0, nil},
		{"xz", "b.ko.xz", unix.MODULE_INIT_COMPRESSED_FILE, nil},
		{"zstd", "b.ko.zst", unix.MODULE_INIT_COMPRESSED_FILE, nil},
		{"gzip", "b.ko.gz", unix.MODULE_INIT_COMPRESSED_FILE, nil},
		{"gzip", "b.ko.xz", 0, errors.ErrUnsupported},
		{"", "b.ko.zst", 0, errors.ErrUnsupported},
	}
	for _, tt := range tests {
		sys := t.TempDir()
		if tt.kernel != "" {
			writeTree(t, sys, map[string]string{"module/compression": tt.kernel + "\n"})
		}
		got, err := testLoader(t, Options{Sys: sys}).flags(tt.file)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("flags(%q), kernel unpacks %q: %d, %v, want %d, %v", tt.file, tt.kernel, got, err, tt.want, tt.err)
		}
	}
}

// writeTree writes files below dir; a name that ends in '@' becomes a symbolic link to the text.
func writeTree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if link, ok := strings.CutSuffix(path, "@"); ok {
			err = os.Symlink(text, link)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// testSys is a sysfs with a virtio disk and some other devices.
func testSys(t *testing.T) string {
	sys := t.TempDir()
	writeTree(t, sys, map[string]string{
		"devices/pci0000:00/0000:00:01.0/modalias":         "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00\n",
		"devices/pci0000:00/0000:00:01.0/uevent":           "DRIVER=virtio-pci\nPCI_ID=1AF4:1001\n",
		"devices/pci0000:00/0000:00:02.0/modalias":         "pci:v00001234d00001111sv00001AF4sd00001100bc03sc00i00\n",
		"devices/pci0000:00/0000:00:02.0/uevent":           "PCI_ID=1234:1111\n",
		"devices/pci0000:00/0000:00:03.0/modalias":         "pci:v00001234d00001111sv00001AF4sd00001100bc03sc00i00\n",
		"devices/pci0000:00/0000:00:03.0/uevent":           "PCI_ID=1234:1111\n",
		"devices/pci0000:00/0000:00:04.0/modalias":         "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01\n",
		"devices/pci0000:00/0000:00:04.0/uevent":           "DRIVER=ahci\n",
		"devices/pci0000:00/0000:00:01.0/virtio0/modalias": "virtio:d00000002v00001AF4\n",
		"devices/pci0000:00/0000:00:01.0/virtio0/uevent":   "MODALIAS=virtio:d00000002v00001AF4\n",
		"devices/platform/snd-dummy/uevent":                "MODALIAS=platform:snd-dummy\n", // no modalias attribute
		"devices/platform/serial/uevent":                   "OF_NAME=serial\n",
		"devices/virtual/dmi/id/modalias":                  "dmi:bvnACME:svnACME:pnRocket2:pvr1:\n",
		"devices/system/memory/memory0/uevent":             "",
		"bus/pci/devices/0000:00:01.0@":                    "../../../devices/pci0000:00/0000:00:01.0",
		"bus/pci/devices/0000:00:02.0@":                    "../../../devices/pci0000:00/0000:00:02.0",
		"bus/pci/devices/0000:00:03.0@":                    "../../../devices/pci0000:00/0000:00:03.0",
		"bus/pci/devices/0000:00:04.0@":                    "../../../devices/pci0000:00/0000:00:04.0",
		"bus/virtio/devices/virtio0@":                      "../../../devices/pci0000:00/0000:00:01.0/virtio0",
		"bus/platform/devices/snd-dummy@":                  "../../../devices/platform/snd-dummy",
		"bus/platform/devices/serial@":                     "../../../devices/platform/serial",
		"bus/memory/devices/memory0@":                      "../../../devices/system/memory/memory0",
		"class/dmi/id@":                                    "../../devices/virtual/dmi/id",
	})
	return sys
}

func TestColdplug(t *testing.T) {
	l := testLoader(t, Options{Sys: testSys(t), Workers: 1, Blacklist: []string{"vfio"}})
	err := l.Coldplug(testContext(t))
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("Coldplug: %v, want the errors of the modules", err)
	}
	var got []string
	for _, err := range joined.Unwrap() {
		text, _, _ := strings.Cut(err.Error(), " /")
		text, _, _ = strings.Cut(text, " (")
		got = append(got, text)
	}
	want := []string{"load virtio_pci: load virtio_ring: open", "load virtio_blk: load virtio_ring: open", "load snd_dummy"}
	if !slices.Equal(got, want) {
		t.Errorf("Coldplug gave the errors %q, want %q", got, want)
	}
	if _, tried := l.attempts["vfio"]; tried {
		t.Error("Coldplug tried vfio, which is blacklisted")
	}
}

func TestColdplugNoSysfs(t *testing.T) {
	if err := testLoader(t, Options{Sys: t.TempDir()}).Coldplug(testContext(t)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Coldplug without sysfs: %v, want fs.ErrNotExist", err)
	}
}

func TestUnmatched(t *testing.T) {
	got, err := testLoader(t, Options{Sys: testSys(t)}).Unmatched()
	want := []string{"pci:v00001234d00001111sv00001AF4sd00001100bc03sc00i00"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Unmatched() = %q, %v, want %q", got, err, want)
	}
}

func TestDeviceDirs(t *testing.T) {
	tests := []struct{ aliases, want string }{
		{"alias pci:v* a\nalias virtio:d1v* b\nalias pci:v2* c\n", "bus/pci/devices bus/virtio/devices"},
		{"alias fs-ext4 a\nalias char-major-10-* b\nalias crypto-x c\n", ""},
		{"alias dmi*:svnA:* a\nalias input:b* b\n", "class/dmi class/input"},
		{"alias mdio:0* a\nalias ieee1394:ven* b\nalias newbus:x* c\n", "bus/mdio_bus/devices bus/firewire/devices bus/newbus/devices"},
		{"alias acpi*:X:* a\n", "bus/acpi/devices bus/platform/devices bus/i2c/devices bus/spi/devices bus/serial/devices"},
	}
	for _, tt := range tests {
		x, err := ReadIndex(fstest.MapFS{"modules.dep": {}, "modules.alias": file(tt.aliases)})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, dir := range strings.Fields(tt.want) {
			want = append(want, "/sys/"+dir)
		}
		if got := NewLoader(x, "", Options{}).deviceDirs(); !slices.Equal(got, want) {
			t.Errorf("deviceDirs of %q = %q, want %q", tt.aliases, got, want)
		}
	}
}

func TestDirFS(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"a/full": strings.Repeat("x", 100_000), "a/empty": ""})
	if err := fstest.TestFS(DirFS(dir), "a/full", "a/empty"); err != nil {
		t.Error(err)
	}
	if _, err := fs.ReadFile(DirFS(dir), "../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("ReadFile(../x): %v, want fs.ErrInvalid", err)
	}
	if got, err := fs.ReadFile(DirFS("/proc"), "self/stat"); err != nil || len(got) == 0 {
		t.Errorf("ReadFile of a file in proc, whose size is 0: %q, %v", got, err)
	}
}
