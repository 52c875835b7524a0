package kernels

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bzImage is the part of one that identify reads.
func bzImage(version string, bits64 bool) []byte {
	b := make([]byte, 0x1000)
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x20e:], 0x700)
	if bits64 {
		b[0x236] = 1
	}
	copy(b[0x900:], version+"\x00")
	return b
}

// arm64Image is an Image with a banner at an offset.
func arm64Image(version string, at int) []byte {
	b := make([]byte, at+512)
	copy(b[0x38:], "ARM\x64")
	copy(b[0x100:], "Linux version %s\x00")
	copy(b[at:], "Linux version "+version+"\x00")
	return b
}

// zImage is the part of one that identify reads.
func zImage() []byte {
	b := make([]byte, 0x400)
	binary.LittleEndian.PutUint32(b[0x24:], 0x016f2818)
	return b
}

func TestIdentify(t *testing.T) {
	damaged := bzImage("6.1.0 ", true)
	damaged[0x20f] = 0xff
	for name, tt := range map[string]struct {
		image  []byte
		want   identity
		errHas string
	}{
		"bzImage":           {image: bzImage("6.1.0-56-cloud-amd64 (d@e) #1 SMP", true), want: identity{"6.1.0-56-cloud-amd64", "amd64"}},
		"bzImage, 32 bits":  {image: bzImage("6.12.1 x", false), want: identity{"6.12.1", "386"}},
		"Image":             {image: arm64Image("6.1.0-56-cloud-arm64 (x", 0x2000), want: identity{"6.1.0-56-cloud-arm64", "arm64"}},
		"Image, on a seam":  {image: arm64Image("6.1.0-arm64 (x", 1<<20-20), want: identity{"6.1.0-arm64", "arm64"}},
		"zImage":            {image: zImage(), want: identity{"", "arm"}},
		"no version":        {image: bzImage("", true), errHas: "without a version"},
		"bad offset":        {image: damaged, errHas: "without a version"},
		"release of a path": {image: bzImage("6/../../etc x", true), errHas: "without a version"},
		"Image, no banner":  {image: arm64Image("%s", 0x2000), errHas: "no version"},
		"short":             {image: bzImage("6.1.0 x", true)[:0x240], errHas: "not a Linux kernel"},
		"empty":             {errHas: "not a Linux kernel"},
		"text":              {image: bytes.Repeat([]byte("text\n"), 1000), errHas: "not a Linux kernel"},
		"gzip":              {image: []byte("\x1f\x8b\x08\x00"), errHas: "gunzip"},
		"zboot":             {image: []byte("MZ\x00\x00zimg"), errHas: "zboot"},
		"ELF, cut":          {image: []byte("\x7fELF\x02\x01\x01"), errHas: "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := identify(bytes.NewReader(tt.image))
			if got != tt.want || (err == nil) != (tt.errHas == "") || err != nil && !strings.Contains(err.Error(), tt.errHas) {
				t.Errorf("identify = %+v, %v, want %+v, error with %q", got, err, tt.want, tt.errHas)
			}
		})
	}
}

func TestIdentifyProgram(t *testing.T) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	// A test binary has the words "Linux version " in it, but no banner of a kernel with this architecture's machine.
	if id, err := identify(f); err == nil && id.arch != runtime.GOARCH {
		t.Errorf("identify(test binary) = %+v", id)
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add(bzImage("6.1.0 x", true))
	f.Add(arm64Image("6.1.0 x", 0x400))
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, image []byte) {
		id, err := identify(bytes.NewReader(image))
		if err == nil && (id.release == "" && id.arch != "arm" || id.arch == "" || strings.ContainsAny(id.release, "/ \x00\n")) {
			t.Errorf("identify = %+v", id)
		}
	})
}

func TestCompareReleases(t *testing.T) {
	sorted := []string{
		"", "5.10.0-9-amd64", "5.10.0-10-amd64", "6.1.0", "6.1.0-9-cloud-amd64", "6.1.0-56-amd64", "6.1.0-56-cloud-amd64",
		"6.12~rc1-amd64", "6.12-rc2", "6.12-rc10", "6.12", "6.12-amd64", "6.12.9+bpo-amd64", "6.12.10+bpo-amd64", "10.0",
	}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := CompareReleases(a, b); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("CompareReleases(%q, %q) = %d", a, b, got)
			}
		}
	}
}

func TestFlavour(t *testing.T) {
	for _, tt := range []struct{ release, arch, want string }{
		{"6.1.0-56-cloud-amd64", "amd64", "cloud"},
		{"6.1.0-56-amd64", "amd64", "generic"},
		{"6.1.0-56-rt-amd64", "amd64", "rt"},
		{"6.1.0-56-686", "386", "generic"},
		{"6.1.0-56-686-pae", "386", "pae"},
		{"6.1.0-56-armmp", "arm", "generic"},
		{"6.1.0-56-armmp-lpae", "arm", "armmp-lpae"},
		{"6.12.9+bpo-cloud-arm64", "arm64", "cloud"},
		{"6.5.0-15-generic", "amd64", "generic"},
		{"6.12.117-rambox", "amd64", "rambox"},
		{"6.12.117-rambox-run", "amd64", "run"},
		{"6.12.117", "amd64", "generic"},
	} {
		if got := (Kernel{Release: tt.release, Arch: tt.arch}).Flavour(); got != tt.want {
			t.Errorf("Flavour of %s = %q, want %q", tt.release, got, tt.want)
		}
	}
}

// write makes a file and its directories.
func write(t *testing.T, data []byte, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// hostImage is a kernel image for the host's architecture.
func hostImage(version string) []byte {
	if runtime.GOARCH == "amd64" {
		return bzImage(version+" x", true)
	}
	b := arm64Image(version+" x", 0x400)
	if runtime.GOARCH == "riscv64" {
		copy(b[0x38:], "RSC\x05")
	}
	return b
}

// place is a cache and a host's root with a few kernels in them.
func place(t *testing.T) (cache, root string) {
	cache, root = t.TempDir(), t.TempDir()
	for _, release := range []string{"6.1.0-9-cloud-x", "6.1.0-10-cloud-x", "6.1.0-11-rt"} {
		dir := filepath.Join(cache, "kernels", release)
		write(t, hostImage(release), dir, "boot", "vmlinuz-"+release)
		write(t, []byte("CONFIG_A=y\n"), dir, "boot", "config-"+release)
		write(t, nil, dir, "lib/modules", release, "modules.dep")
	}
	foreign := arm64Image("6.9.0-1-cloud-arm64 x", 0x400)
	if runtime.GOARCH == "arm64" {
		foreign = bzImage("6.9.0-1-cloud-amd64 x", true)
	}
	write(t, foreign, cache, "kernels/6.9/boot/vmlinuz-6.9")
	write(t, hostImage("7.0"), cache, "kernels/.fetch-1/boot/vmlinuz-7.0")
	write(t, []byte("junk"), cache, "kernels/7.1/boot/vmlinuz-7.1")
	write(t, hostImage("5.10.0-1-host"), root, "boot/vmlinuz-5.10.0-1-host")
	write(t, nil, root, "lib/modules/5.10.0-1-host/modules.dep")
	return cache, root
}

func TestList(t *testing.T) {
	cache, root := place(t)
	all, err := list(cache, root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range all {
		got = append(got, k.Origin+" "+k.Release)
	}
	want := []string{"cache 6.1.0-11-rt", "cache 6.1.0-10-cloud-x", "cache 6.1.0-9-cloud-x", "/boot 5.10.0-1-host"}
	got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "cache 6.9") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if all, err := list(filepath.Join(cache, "none"), filepath.Join(root, "none")); len(all) != 0 || err != nil {
		t.Errorf("list of nothing = %v, %v", all, err)
	}
}

func TestFind(t *testing.T) {
	cache, root := place(t)
	for spec, want := range map[string]string{
		"6.1.0-9-cloud-x":                    "6.1.0-9-cloud-x",
		"rt":                                 "6.1.0-11-rt",
		"rt-" + runtime.GOARCH:               "6.1.0-11-rt",
		"host":                               "5.10.0-1-host",
		root + "/boot/vmlinuz-5.10.0-1-host": "5.10.0-1-host",
	} {
		if k, err := find(spec, cache, root); err != nil || k.Release != want {
			t.Errorf("find(%q) = %+v, %v, want %s", spec, k, err, want)
		}
	}
	for _, spec := range []string{"6.1.0", "nonsense", "./nonsense", cache + "/kernels/7.1/boot/vmlinuz-7.1"} {
		if k, err := find(spec, cache, root); err == nil {
			t.Errorf("find(%q) = %+v, want an error", spec, k)
		}
	}
}

func TestFindDefault(t *testing.T) {
	cloud := Kernel{Release: "6.1.0-1-cloud-" + debianArch(runtime.GOARCH), Arch: runtime.GOARCH, Origin: OriginCache}
	boot := Kernel{Release: "5.10.0-1-a", Arch: runtime.GOARCH, Origin: OriginBoot}
	older := Kernel{Release: "5.9.0-1-a", Arch: runtime.GOARCH, Origin: OriginBoot}
	running := Kernel{Release: runningRelease(), Arch: runtime.GOARCH, Origin: OriginBoot}
	foreign := Kernel{Release: "6.9.0-1-cloud-x", Arch: "other", Origin: OriginCache}
	for _, tt := range []struct {
		all  []Kernel
		want string
	}{
		{[]Kernel{foreign, cloud, boot}, cloud.Release},
		{[]Kernel{foreign, boot, older}, boot.Release},
		{[]Kernel{boot, running, older}, running.Release},
		{[]Kernel{foreign}, ""},
	} {
		got, err := findDefault(tt.all, runtime.GOARCH)
		if got.Release != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("findDefault(%+v) = %+v, %v, want %s", tt.all, got, err, tt.want)
		}
		if err != nil && !strings.Contains(err.Error(), "rambox kernel fetch") {
			t.Errorf("the error does not say what to do: %v", err)
		}
	}
}

func TestLoadCompanions(t *testing.T) {
	root := t.TempDir()
	tree := filepath.Join(t.TempDir(), "b[1]")
	image := hostImage("6.12.0-own")
	built := write(t, image, tree, "arch/x86/boot/bzImage")
	config := write(t, []byte("#\nCONFIG_A=y\n"), tree, ".config")
	modules := filepath.Dir(write(t, nil, root, "usr/lib/modules/6.12.0-own/modules.dep"))
	k, err := load(built, OriginFile, root)
	want := Kernel{Release: "6.12.0-own", Path: built, Modules: modules, Config: config, Arch: runtime.GOARCH, Origin: OriginFile}
	if diff := cmp.Diff(want, k); diff != "" || err != nil {
		t.Errorf("load of a build tree's kernel: %v (-want +got):\n%s", err, diff)
	}
	alone := write(t, image, t.TempDir(), "a/b/c/d/kernel")
	write(t, []byte("CONFIG_A=y\n"), filepath.Dir(alone), "../../../.config")
	if k, err := load(alone, OriginFile, t.TempDir()); err != nil || k.Config != "" || k.Modules != "" {
		t.Errorf("load of a lone kernel = %+v, %v", k, err)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("RAMBOX_CACHE", "/c")
	if dir, err := CacheDir(); dir != "/c" || err != nil {
		t.Errorf("CacheDir() = %q, %v", dir, err)
	}
	t.Setenv("RAMBOX_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/x")
	if dir, err := CacheDir(); dir != "/x/rambox" || err != nil {
		t.Errorf("CacheDir() = %q, %v", dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if dir, err := CacheDir(); err == nil {
		t.Errorf("CacheDir() = %q, want an error", dir)
	}
}
