package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// testIndex reads testdata/modules, which is a small tree in the manner of depmod.
func testIndex(t testing.TB) *Index {
	t.Helper()
	x, err := ReadIndex(os.DirFS("testdata/modules"))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// depIndex is an index of just a modules.dep and a modules.softdep.
func depIndex(t testing.TB, dep, softdep string) *Index {
	t.Helper()
	x, err := ReadIndex(fstest.MapFS{
		"modules.dep":     {Data: []byte(dep)},
		"modules.softdep": {Data: []byte(softdep)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestReadIndexMissing(t *testing.T) {
	if _, err := ReadIndex(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadIndex of nothing: %v, want fs.ErrNotExist", err)
	}
	if _, err := ReadIndex(fstest.MapFS{"modules.dep": {}}); err != nil {
		t.Errorf("ReadIndex of a modules.dep alone: %v", err)
	}
	if _, err := ReadIndex(fstest.MapFS{"modules.dep": {}, "modules.alias": {Mode: fs.ModeDir}}); err == nil {
		t.Error("ReadIndex with a directory for modules.alias: no error")
	}
}

func TestModule(t *testing.T) {
	x := testIndex(t)
	tests := []struct {
		name string
		want Module
		ok   bool
	}{
		{"crc32c-intel", Module{Name: "crc32c_intel", Path: "kernel/arch/x86/crypto/crc32c-intel.ko"}, true},
		{"virtio_pci", Module{
			Name: "virtio_pci",
			Path: "kernel/drivers/virtio/virtio_pci.ko",
			Deps: []string{"virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev"},
		}, true},
		{"uas", Module{
			Name: "uas",
			Path: "kernel/drivers/usb/storage/uas.ko.xz",
			Deps: []string{"usb_storage"},
		}, true},
		{"btrfs", Module{
			Name: "btrfs",
			Path: "kernel/fs/btrfs/btrfs.ko",
			Deps: []string{"libcrc32c", "raid6_pq", "xor"},
			Pre:  []string{"blake2b-256", "sha256", "xxhash64"},
		}, true},
		{"vfio", Module{
			Name: "vfio",
			Path: "kernel/drivers/vfio/vfio.ko",
			Post: []string{"vfio_iommu_type1", "vfio_iommu_spapr_tce"},
		}, true},
		{"spi-bcm2835aux", Module{Name: "spi_bcm2835aux", Path: "kernel/drivers/spi/spi-bcm2835aux.ko"}, true},
		{"ext4", Module{}, false},
		{"fs-btrfs", Module{}, false},
		{"", Module{}, false},
	}
	for _, tt := range tests {
		got, ok := x.Module(tt.name)
		if ok != tt.ok || !cmp.Equal(got, tt.want) {
			t.Errorf("Module(%q) = %+v, %v, want %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestNames(t *testing.T) {
	names := testIndex(t).Names()
	if len(names) != 20 || names[0] != "crc32c_intel" || names[19] != "snd_dummy" {
		t.Errorf("Names() = %q, want the 20 modules from crc32c_intel to snd_dummy", names)
	}
	for _, name := range names {
		if _, ok := testIndex(t).Module(name); !ok {
			t.Errorf("Module(%q) is not found, but Names() has it", name)
		}
	}
}

func TestBuiltin(t *testing.T) {
	x := testIndex(t)
	for name, want := range map[string]bool{"ext4": true, "clk-dummy": true, "clk_dummy": true, "btrfs": false, "fs-ext4": false, "": false} {
		if got := x.Builtin(name); got != want {
			t.Errorf("Builtin(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestIndexMatch(t *testing.T) {
	x := testIndex(t)
	tests := []struct {
		modalias string
		want     []string
	}{
		{"pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00", []string{"virtio_pci"}},
		{"pci:v00001AF5d00001001sv00001AF4sd00000002bc01sc00i00", nil},
		{"virtio:d00000002v00001AF4", []string{"virtio_blk"}},
		{"virtio:d00000021v00001AF4", nil},
		{"usb:v13FDp3940d0112dc00dsc00dp00ic08isc06ip50in00", []string{"uas", "usb_storage"}},
		{"usb:v13FDp3940d0312dc00dsc00dp00ic08isc06ip50in00", []string{"usb_storage"}},
		{"usb:v0000p0000d0000dc00dsc00dp00ic03isc00ip00in00", nil},
		{"acpi:PNP0C99:PNP0C02:", []string{"vfio"}},
		{"acpi:PNP0C02:PNP0C99:", []string{"vfio"}},
		{"dmi:bvnACME:svnACME:pnRocket2:pvr1:", []string{"vfio"}},
		{"of:NspiT(null)Cbrcm,bcm2835-aux-spi", []string{"spi_bcm2835aux"}},
		{"of:NspiT(null)Cbrcm,bcm2835-aux-spiCother", []string{"spi_bcm2835aux"}},
		{"of:NspiT(null)Cbrcm,bcm2835-aux-spi2", nil},
		{"cpu:type:x86,ven0000fam0006mod009E:feature:,0000,0094,00A0", []string{"crc32c_intel"}},
		{"platform:snd-dummy", []string{"snd_dummy"}},
		{"platform:snd_dummy", []string{"snd_dummy"}},
		{"devname:btrfs-control", []string{"btrfs"}},
		{"fs-btrfs", []string{"btrfs"}},
		{"crypto-crc32c", []string{"crc32c_intel"}},
		{"crypto_crc32c_intel", []string{"crc32c_intel"}},
		{"fs-ext4", []string{"ext4"}},
		{"crypto-sha256", []string{"sha256_generic"}},
		{"virtio_blk", nil},
		{"", nil},
	}
	for _, tt := range tests {
		if got := x.Match(tt.modalias); !slices.Equal(got, tt.want) {
			t.Errorf("Match(%q) = %q, want %q", tt.modalias, got, tt.want)
		}
	}
}

func names(modules []Module) (names []string) {
	for _, m := range modules {
		names = append(names, m.Name)
	}
	return names
}

func TestClosure(t *testing.T) {
	x := testIndex(t)
	tests := []struct {
		names string
		want  string
	}{
		{"", ""},
		{"virtio_blk", "virtio_ring virtio virtio_blk"},
		{"virtio-blk virtio_pci", "virtio_ring virtio virtio_blk virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci"},
		{"fs-btrfs", "crc32c_intel libcrc32c raid6_pq xor blake2b_generic xxhash_generic btrfs"},
		{"vfio", "vfio vfio_iommu_type1"},
		{"vfio_iommu_type1", "vfio vfio_iommu_type1"},
		{"spi_bcm2835aux", "spi_bcm2835aux"},
		{"ext4 fs-ext4 sha256 fs-debugfs", ""}, // modules.builtin does not list debugfs
		{"usb:v13FDp3940d0112dc00dsc00dp00ic08isc06ip50in00", "usb_storage uas"},
		{"gone:1", ""},
	}
	for _, tt := range tests {
		got, err := x.Closure(strings.Fields(tt.names)...)
		if err != nil || !slices.Equal(names(got), strings.Fields(tt.want)) {
			t.Errorf("Closure(%s) = %q, %v, want %s", tt.names, names(got), err, tt.want)
		}
	}
	if _, err := x.Closure("virtio_blk", "no-such"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "no-such") {
		t.Errorf("Closure(no-such): %v, want ErrNotFound with the name", err)
	}
}

func TestClosureOddFiles(t *testing.T) {
	tests := []struct {
		name, dep, softdep, want string
	}{
		{"direct dependencies only", "a.ko: b.ko\nb.ko: c.ko\nc.ko:\n", "", "c b a"},
		{"dependency without a line", "a.ko: x/b-b.ko.gz\n", "", "b_b a"},
		{"no newline at the end", "a.ko: b.ko\nb.ko:", "", "b a"},
		{"cycle", "a.ko: b.ko\nb.ko: a.ko\n", "", "b a"},
		{"needs itself", "a.ko: a.ko\n", "", "a"},
		{"soft cycle", "a.ko:\nb.ko:\n", "softdep a pre: b\nsoftdep b pre: a\n", "b a"},
		{"soft before hard", "a.ko: b.ko\nb.ko:\nc.ko:\nd.ko:\n", "softdep b pre: c post: d\n", "c b d a"},
		{"several lines add up", "a.ko:\nb.ko:\nc.ko:\n", "softdep a pre: b\nsoftdep a pre: c\n", "b c a"},
		{"first of two lines", "x/a.ko:\ny/a.ko: b.ko\n", "", "a"},
	}
	for _, tt := range tests {
		got, err := depIndex(t, tt.dep, tt.softdep).Closure("a")
		if err != nil || !slices.Equal(names(got), strings.Fields(tt.want)) {
			t.Errorf("%s: Closure(a) = %q, %v, want %s", tt.name, names(got), err, tt.want)
		}
	}
}

func TestClosureDeep(t *testing.T) {
	var dep strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&dep, "m%d.ko: m%d.ko\n", i, i+1)
	}
	got, err := depIndex(t, dep.String(), "").Closure("m0")
	if err != nil || len(got) != maxDepth+1 {
		t.Errorf("Closure of a chain: %d modules, %v, want %d", len(got), err, maxDepth+1)
	}
}

func TestWithConfig(t *testing.T) {
	config, err := ReadConfig(fstest.MapFS{"a.conf": {Data: []byte("alias my-disk virtio_blk\nalias fs-ext4 btrfs\nsoftdep virtio_blk post: vfio\n")}})
	if err != nil {
		t.Fatal(err)
	}
	x := testIndex(t).WithConfig(config)
	got, err := x.Closure("my_disk")
	if want := []string{"virtio_ring", "virtio", "virtio_blk", "vfio", "vfio_iommu_type1"}; err != nil || !slices.Equal(names(got), want) {
		t.Errorf("Closure(my_disk) = %q, %v, want %q", names(got), err, want)
	}
	if got := x.Match("fs-ext4"); !slices.Equal(got, []string{"btrfs"}) {
		t.Errorf("Match(fs-ext4) = %q, want the configuration's btrfs", got)
	}
	if got := x.WithConfig(nil).Match("fs-ext4"); !slices.Equal(got, []string{"ext4"}) {
		t.Errorf("Match(fs-ext4) = %q without a configuration, want ext4", got)
	}
}

func TestSubset(t *testing.T) {
	x := testIndex(t)
	rename := func(path string) string { return strings.TrimSuffix(path, ".xz") }
	got, err := x.Subset(rename, "virtio_blk", "uas", "vfio")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"modules.dep": `kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/usb/storage/usb-storage.ko:
kernel/drivers/usb/storage/uas.ko: kernel/drivers/usb/storage/usb-storage.ko
kernel/drivers/vfio/vfio.ko:
kernel/drivers/vfio/vfio_iommu_type1.ko: kernel/drivers/vfio/vfio.ko
`,
		"modules.alias": `alias virtio:d00000002v* virtio_blk
alias usb:v13FDp3940d0[0-2]*dc*dsc*dp*ic*isc*ip*in* uas
alias usb:v13FDp3940d0[0-2]*dc*dsc*dp*ic*isc*ip*in* usb_storage
alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage
alias acpi*:PNP0C99:* vfio
alias dmi*:svnACME:pnRocket*: vfio
`,
		"modules.softdep": "softdep vfio post: vfio_iommu_type1 vfio_iommu_spapr_tce\n",
		"modules.builtin": x.builtin.text,
		"modules.builtin.modinfo": "ext4.alias=fs-ext4\x00ext4.alias=ext3\x00" +
			"sha256_generic.alias=crypto-sha256\x00sha256_generic.alias=sha256\x00debugfs.alias=fs-debugfs\x00",
	}
	files := fstest.MapFS{}
	for name, text := range want {
		if diff := cmp.Diff(text, string(got[name])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		files[name] = &fstest.MapFile{Data: got[name]}
	}
	if len(got) != len(want) {
		t.Errorf("Subset gives %d files, want %d", len(got), len(want))
	}

	again, err := ReadIndex(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"virtio_blk", "uas", "vfio", "fs-ext4"} {
		all, err1 := x.Closure(name)
		subset, err2 := again.Closure(name)
		if err1 != nil || err2 != nil || !slices.Equal(names(all), names(subset)) {
			t.Errorf("Closure(%s) = %q, %v in the subset, want %q, %v", name, names(subset), err2, names(all), err1)
		}
	}
	if _, err := x.Subset(nil, "nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Subset(nothing): %v, want ErrNotFound", err)
	}
}

func FuzzReadIndex(f *testing.F) {
	read := func(name string) []byte {
		data, err := os.ReadFile("testdata/modules/" + name)
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	f.Add(read("modules.dep"), read("modules.alias"), read("modules.softdep"), read("modules.builtin.modinfo"), "btrfs")
	f.Add([]byte("a.ko: b.ko\nb.ko: a.ko"), []byte("alias a* b\nalias [ a"), []byte("softdep a pre: a b post: b"), []byte("a.alias=b"), "a")
	f.Fuzz(func(t *testing.T, dep, alias, softdep, modinfo []byte, name string) {
		x, err := ReadIndex(fstest.MapFS{
			"modules.dep":             {Data: dep},
			"modules.alias":           {Data: alias},
			"modules.softdep":         {Data: softdep},
			"modules.builtin":         {Data: dep},
			"modules.builtin.modinfo": {Data: modinfo},
		})
		if err != nil {
			t.Fatal(err)
		}
		x.Builtin(name)
		if got, want := x.alias.matches(name), matchAllLines(string(alias), name); !slices.Equal(got, want) {
			t.Errorf("Match(%q) = %q, want %q", name, got, want)
		}
		for _, m := range append(x.Names(), name) {
			modules, err := x.Closure(m)
			if err == nil {
				checkOnce(t, modules)
			}
			x.Module(m)
		}
		if _, err := x.Subset(nil, x.Names()...); err != nil {
			t.Errorf("Subset of all: %v", err)
		}
	})
}

// matchAllLines is Index.Match without the table.
func matchAllLines(aliases, modalias string) (names []string) {
	for line := range strings.Lines(aliases) {
		line, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "alias ")
		pattern, name, _ := strings.Cut(line, " ")
		if name = canonical(name); ok && name != "" && match(pattern, modalias) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func checkOnce(t *testing.T, modules []Module) {
	t.Helper()
	seen := make(map[string]bool)
	for _, m := range modules {
		if seen[m.Name] || m.Name == "" {
			t.Errorf("closure %q has %q twice, or nameless", names(modules), m.Name)
		}
		seen[m.Name] = true
	}
}
