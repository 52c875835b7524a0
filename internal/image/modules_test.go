package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rambox/internal/kernels"
	"rambox/pkg/cmdline"
)

// moduleBytes makes the smallest ELF file that passes for a module: nothing
// but a .modinfo section.
func moduleBytes(modinfo ...string) []byte {
	const names = "\x00.modinfo\x00.shstrtab\x00"
	info := strings.Join(modinfo, "\x00") + "\x00"
	var out bytes.Buffer
	le := binary.LittleEndian
	out.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	table := uint64(64 + len(info) + len(names))
	for _, field := range []any{
		uint16(1), uint16(62), uint32(1), uint64(0), uint64(0), table, uint32(0),
		uint16(64), uint16(0), uint16(0), uint16(64), uint16(3), uint16(2),
	} {
		binary.Write(&out, le, field)
	}
	out.WriteString(info + names)
	section := func(name, kind uint32, offset, size uint64) {
		for _, field := range []any{name, kind, uint64(0), uint64(0), offset, size, uint32(0), uint32(0), uint64(1), uint64(0)} {
			binary.Write(&out, le, field)
		}
	}
	section(0, 0, 0, 0)
	section(1, 1, 64, uint64(len(info)))
	section(10, 3, uint64(64+len(info)), uint64(len(names)))
	return out.Bytes()
}

// signed appends a signature of n bytes.
func signed(module []byte, n int) []byte {
	trailer := []byte{0, 0, 2, 0, 0, 0, 0, 0}
	trailer = binary.BigEndian.AppendUint32(trailer, uint32(n))
	return slices.Concat(module, bytes.Repeat([]byte{0x30}, n), trailer, []byte("~Module signature appended~\n"))
}

// moduleDir makes a directory of modules with its index, as depmod would.
func moduleDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "6.1.0-test")
	files := map[string][]byte{
		"modules.dep": []byte("kernel/virtio.ko:\n" +
			"kernel/virtio_pci.ko: kernel/virtio.ko\n" +
			"kernel/virtio_blk.ko.zst: kernel/virtio.ko\n" +
			"kernel/fs/xfs.ko.xz: kernel/lib/libcrc32c.ko.gz\n" +
			"kernel/lib/libcrc32c.ko.gz:\n" +
			"kernel/lib/crc32c_generic.ko:\n" +
			"kernel/net/e100.ko:\n"),
		"modules.alias": []byte("alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n" +
			"alias virtio:d00000002v* virtio_blk\nalias fs-xfs xfs\nalias crc32c crc32c_generic\nalias pci:v00008086d00001029sv*sd*bc*sc*i* e100\n"),
		"modules.softdep":              []byte("softdep libcrc32c pre: crc32c\n"),
		"modules.builtin":              []byte("kernel/fs/ext4/ext4.ko\n"),
		"modules.builtin.modinfo":      []byte("ext4.alias=fs-ext4\x00ext4.license=GPL\x00"),
		"kernel/virtio.ko":             signed(moduleBytes("license=GPL"), 300),
		"kernel/virtio_pci.ko":         signed(moduleBytes("license=GPL"), 300),
		"kernel/virtio_blk.ko":         signed(moduleBytes("license=GPL"), 300),
		"kernel/fs/xfs.ko":             moduleBytes("license=GPL"),
		"kernel/lib/libcrc32c.ko":      moduleBytes("license=GPL"),
		"kernel/lib/crc32c_generic.ko": moduleBytes("license=GPL"),
		"kernel/net/e100.ko":           moduleBytes("license=GPL", "firmware=e100/a.bin", "firmware=e100/b.bin", "firmware=brcm/*.bin", "firmware=none.bin"),
	}
	for name, data := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command(t, dir, nil, "zstd", "-q", "--rm", "kernel/virtio_blk.ko")
	command(t, dir, nil, "xz", "kernel/fs/xfs.ko")
	command(t, dir, nil, "gzip", "kernel/lib/libcrc32c.ko")
	return dir
}

func moduleNames(r Report) string {
	var list []string
	for _, m := range r.Modules {
		list = append(list, m.Name)
	}
	return strings.Join(list, " ")
}

func TestModuleSelection(t *testing.T) {
	dir := moduleDir(t)
	sys := fstest.MapFS{
		"devices/pci0/modalias":       {Data: []byte("pci:v00008086d00001029sv00000000sd00000000bc02sc00i00\n")},
		"devices/pci0/sub/modalias":   {Data: []byte("virtio:d00000002v00001AF4\n")},
		"devices/platform/x/modalias": {Data: []byte("platform:unknown\n")},
	}
	for _, test := range []struct {
		name string
		spec Spec
		want string
		err  string
	}{
		{"nothing asked for", Spec{}, "", ""},
		{"by name", Spec{Modules: []string{"virtio-blk"}}, "virtio virtio_blk", ""},
		{"by alias, with softdep", Spec{Modules: []string{"fs-xfs"}}, "crc32c_generic libcrc32c xfs", ""},
		{"built in", Spec{Modules: []string{"ext4", "fs-ext4"}}, "", ""},
		{"qemu", Spec{Modules: []string{"qemu"}}, "virtio virtio_pci virtio_blk", ""},
		{"all", Spec{Modules: []string{"all"}}, "virtio virtio_pci virtio_blk crc32c_generic libcrc32c xfs e100", ""},
		{"host", Spec{Modules: []string{"host"}, Sys: sys}, "e100 virtio virtio_blk", ""},
		{"none", Spec{Modules: []string{"none"}, Cmdline: "root=/dev/vda rootfstype=xfs"}, "", ""},
		{"none and more", Spec{Modules: []string{"none", "xfs"}}, "", "none goes with no other name"},
		{"unknown", Spec{Modules: []string{"virtio_blq"}}, "", "module virtio_blq: no such module; did you mean virtio_blk, virtio_pci"},
		{"unknown and unlike", Spec{Modules: []string{"zzzzzzzzzzzzzz"}}, "", "module zzzzzzzzzzzzzz: no such module"},
		{"part of a name", Spec{Modules: []string{"crc32c_"}}, "", "did you mean crc32c_generic"},
		{"optional and unknown", Spec{OptionalModules: []string{"virtio_blq", "e100"}}, "e100", ""},
		{"the root's file system", Spec{Cmdline: "root=/dev/vda rootfstype=xfs"}, "crc32c_generic libcrc32c xfs", ""},
		{"the kernel's line wins", Spec{Cmdline: "root=/dev/vda rootfstype=xfs", KernelLine: "rootfstype=ext4"}, "", ""},
		{"any file system", Spec{KernelLine: "root=UUID=1"}, "crc32c_generic libcrc32c xfs", ""},
		{"modules_load", Spec{KernelLine: "modules_load=e100,virtio"}, "e100 virtio", ""},
		{"modules_load of nothing", Spec{KernelLine: "modules_load=e1"}, "", "no such module"},
		{"modules-load.d", Spec{Add: []Add{AddFile("etc/modules-load.d/x.conf", 0o644, []byte("# x\n\ne100\n"))}}, "e100", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.spec.Kernel.ModulesDir = dir
			tree, report, err := Assemble(test.spec)
			if !matches(err, test.err) {
				t.Fatalf("Assemble: %v, want %q", err, test.err)
			}
			if got := moduleNames(report); got != test.want {
				t.Errorf("modules %q, want %q", got, test.want)
			}
			for _, m := range report.Modules {
				if e, ok := tree.Lookup(m.Path); !ok || e.Size != m.Size || filepath.Ext(m.Path) != ".ko" {
					t.Errorf("%+v: %v in the tree", m, e)
				}
			}
		})
	}
}

func TestModuleFiles(t *testing.T) {
	dir := moduleDir(t)
	for _, unsigned := range []bool{false, true} {
		spec := Spec{Kernel: KernelInfo{ModulesDir: dir}, Modules: []string{"virtio_blk", "xfs"}, UnsignedModules: unsigned}
		tree, report, err := Assemble(spec)
		if err != nil {
			t.Fatal(err)
		}
		plain := moduleBytes("license=GPL")
		want, cut := string(signed(plain, 300)), 0
		if unsigned {
			want, cut = string(plain), 2
		}
		for _, name := range []string{"virtio.ko", "virtio_blk.ko"} {
			if got := text(t, tree, "lib/modules/6.1.0-test/kernel/"+name); got != want {
				t.Errorf("unsigned %t: %s has %d bytes, want %d", unsigned, name, len(got), len(want))
			}
		}
		if got := text(t, tree, "lib/modules/6.1.0-test/kernel/fs/xfs.ko"); got != string(plain) {
			t.Errorf("xfs.ko has %d bytes, want %d", len(got), len(plain))
		}
		if report.Unsigned != cut {
			t.Errorf("%d signatures cut off, want %d", report.Unsigned, cut)
		}
		for _, m := range report.Modules {
			if want := strings.HasPrefix(m.Name, "virtio") && !unsigned; m.Signed != want {
				t.Errorf("%s: signed %t, want %t", m.Name, m.Signed, want)
			}
		}
		wantDep := "kernel/virtio.ko:\nkernel/virtio_blk.ko: kernel/virtio.ko\nkernel/lib/crc32c_generic.ko:\nkernel/lib/libcrc32c.ko:\nkernel/fs/xfs.ko: kernel/lib/libcrc32c.ko\n"
		if diff := cmp.Diff(wantDep, text(t, tree, "lib/modules/6.1.0-test/modules.dep")); diff != "" {
			t.Error(diff)
		}
	}
	_, _, err := Assemble(Spec{
		Kernel:          KernelInfo{ModulesDir: dir, Config: kernels.Config{"BLK_DEV_INITRD": "y", "RD_ZSTD": "y", "MODULE_SIG": "y"}},
		KernelLine:      "module.sig_enforce",
		UnsignedModules: true,
	})
	if !matches(err, "the kernel refuses them (module.sig_enforce)") {
		t.Errorf("unsigned where signatures are enforced: %v", err)
	}
}

func TestKernelWithoutModules(t *testing.T) {
	for _, set := range []string{"qemu", "all", "host", "none"} {
		if _, _, err := Assemble(Spec{Modules: []string{set}, Cmdline: "root=/dev/vda modules_load=x"}); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
	if _, _, err := Assemble(Spec{Modules: []string{"qemu", "xfs"}}); !matches(err, "the kernel has no modules") {
		t.Errorf("a name: %v", err)
	}
	dir := t.TempDir()
	if _, _, err := Assemble(Spec{Kernel: KernelInfo{ModulesDir: dir}}); !matches(err, "depmod -b BASE RELEASE") {
		t.Errorf("no index: %v", err)
	}
}

func TestSignatureStart(t *testing.T) {
	module := moduleBytes("license=GPL")
	whole := signed(module, 10)
	other := bytes.Clone(whole)
	other[len(module)+10+2] = 1 // id_type: not PKCS#7
	for _, test := range []struct {
		name string
		data []byte
		want int
		err  string
	}{
		{"unsigned", module, len(module), ""},
		{"signed", whole, len(module), ""},
		{"too short", []byte("~Module"), 7, ""},
		{"a cut trailer", whole[:len(whole)-1], len(whole) - 1, ""},
		{"too long a signature", signed(nil, 5)[3:], 0, "not one that the kernel takes"},
		{"another type", other, 0, "type 1"},
	} {
		got, err := signatureStart(bytes.NewReader(test.data), int64(len(test.data)))
		if !matches(err, test.err) || got != int64(test.want) {
			t.Errorf("%s: %d, %v; want %d, %q", test.name, got, err, test.want, test.err)
		}
	}
}

// FuzzModule reads any bytes as a module.
func FuzzModule(f *testing.F) {
	f.Add(moduleBytes("firmware=x"))
	f.Add(signed(moduleBytes("firmware=x"), 20))
	f.Fuzz(func(t *testing.T, data []byte) {
		end, err := signatureStart(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		if end < 0 || end > int64(len(data)) {
			t.Fatalf("signature at %d of %d", end, len(data))
		}
		firmwareNames(bytes.NewReader(data[:end]))
		if changes, err := unloaded(bytes.NewReader(data[:end])); err == nil {
			r, err := lighter{bytesContent(data), end, changes}.Open()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
	})
}

func TestFirmware(t *testing.T) {
	host := t.TempDir()
	for name, data := range map[string]string{
		"e100/a.bin": "plain", "e100/b.bin": "packed", "updates/e100/a.bin": "newer", "brcm/1.bin": "one", "brcm/2.bin": "two", "brcm/2.txt": "text",
	} {
		file := filepath.Join(host, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command(t, host, nil, "zstd", "-q", "--rm", "e100/b.bin")
	command(t, host, nil, "xz", "brcm/2.bin")
	tree, report, err := Assemble(Spec{Kernel: KernelInfo{ModulesDir: moduleDir(t)}, Modules: []string{"e100"}, Firmware: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"e100/a.bin": "newer", "e100/b.bin": "packed", "brcm/1.bin": "one", "brcm/2.bin": "two"}
	for name, data := range want {
		if got := text(t, tree, "lib/firmware/"+name); got != data {
			t.Errorf("%s holds %q, want %q", name, got, data)
		}
	}
	if len(report.Firmware) != len(want) {
		t.Errorf("firmware %q, want %d files", report.Firmware, len(want))
	}
	if diff := cmp.Diff([]string{"none.bin (e100)"}, report.FirmwareMissing); diff != "" {
		t.Error(diff)
	}
}

func TestFirmwareOutside(t *testing.T) {
	found, err := findFirmware([]string{"/"}, "../etc/passwd")
	if len(found) != 0 || err != nil {
		t.Errorf("findFirmware(../etc/passwd) = %v, %v", found, err)
	}
}

func TestDevices(t *testing.T) {
	for _, test := range []struct {
		devices Devices
		want    string
	}{
		{Devices{}, "virtio_pci"},
		{Devices{MMIO: true, Ports: true}, "virtio_mmio virtio_console"},
		{Devices{Disks: true, Net: true, Random: true}, "virtio_pci virtio_blk virtio_net af_packet virtio_rng"},
		{Devices{Plan9: true, FS: true}, "virtio_pci 9p 9pnet_virtio virtiofs"},
		{Devices{SCSI: true, Vsock: true}, "virtio_pci virtio_scsi sd_mod sr_mod vmw_vsock_virtio_transport"},
	} {
		if got := strings.Join(test.devices.Modules(), " "); got != test.want {
			t.Errorf("%+v: %q, want %q", test.devices, got, test.want)
		}
	}
}

func TestLineModules(t *testing.T) {
	for line, want := range map[string]string{
		"quiet":                             "[] []",
		"root=virtiofs:x":                   "[] [fs-virtiofs]",
		"root=9p:x":                         "[] [fs-9p 9pnet_virtio]",
		"root=/dev/nfs nfsroot=x":           "[] [nfs nfsv3 nfsv4 af_packet]",
		"root=nfs4:host:/x":                 "[] [nfs nfsv3 nfsv4 af_packet]",
		"root=/dev/vda rootfstype=a,auto,b": "[] [fs-a fs-b]",
		"root=/dev/vda rootfstype=vfat":     "[] [nls_cp437 nls_ascii nls_iso8859_1 nls_utf8 fs-vfat]",
		"root=LABEL=x rootfstype=auto":      "[] [fs-ext4 fs-xfs fs-btrfs fs-f2fs fs-squashfs fs-erofs]",
		"rambox.overlay root=9p:x":          "[] [fs-overlay fs-9p 9pnet_virtio]",
		"modules_load=a,b rd.driver.pre=c":  "[a b c] []",
		"ip=dhcp":                           "[] [af_packet]",
		"vlan=eth0.5:eth0 ip=eth0.5:dhcp":   "[] [af_packet 8021q]",
	} {
		explicit, optional := lineModules(cmdline.Parse(line))
		if got := fmt.Sprintf("%v %v", explicit, optional); got != want {
			t.Errorf("lineModules(%q) = %s, want %s", line, got, want)
		}
	}
}

func TestHostAliases(t *testing.T) {
	got, err := hostAliases(fstest.MapFS{
		"devices/b/modalias": {Data: []byte("b:1\n")}, "devices/a/modalias": {Data: []byte("a:1\n")},
		"devices/c/modalias": {Data: []byte("a:1\n")}, "devices/d/modalias": {}, "devices/e/driver": {Mode: fs.ModeSymlink},
	})
	if want := "[a:1 b:1]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("hostAliases = %v, %v; want %s", got, err, want)
	}
	if _, err := hostAliases(fstest.MapFS{}); err == nil {
		t.Error("no sysfs gives no error")
	}
}

func TestModulesOfTheUser(t *testing.T) {
	tree := NewTree(time.Time{})
	for _, a := range []Add{
		AddFile("usr/lib/modules-load.d/a.conf", 0o644, []byte("one\n; two\n")),
		AddLink("etc/modules-load.d/gone.conf", "/nowhere"),
		AddFile("etc/modules-load.d/readme", 0o644, []byte("three\n")),
	} {
		if err := tree.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if got := tree.modulesLoad(); fmt.Sprint(got) != "[one]" {
		t.Errorf("modulesLoad = %v, want [one]", got)
	}
}
