package kernels

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// another is an architecture that is not this machine's, and has cloud kernels.
func another() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

func TestFindFor(t *testing.T) {
	cache, root := place(t)
	write(t, bzImage("6.1.0-3-686 x", false), cache, "kernels/6.1.0-3-686/boot/vmlinuz-6.1.0-3-686")
	write(t, zImage(), cache, "kernels/6.1.0-4-armmp/boot/vmlinuz-6.1.0-4-armmp")
	foreign := "6.9.0-1-cloud-" + another()
	host := root + "/boot/vmlinuz-5.10.0-1-host"
	for _, tt := range []struct{ name, spec, arch, want, errHas string }{
		{name: "another's default", arch: another(), want: foreign},
		{name: "another's cloud kernel", spec: "cloud", arch: another(), want: foreign},
		{name: "another's, by release", spec: foreign, arch: another(), want: foreign},
		{name: "default without a cloud kernel", arch: "386", want: "6.1.0-3-686"},
		{name: "release in a name", arch: "arm", want: "6.1.0-4-armmp"},
		{name: "the host's", spec: "rt", arch: runtime.GOARCH, want: "6.1.0-11-rt"},
		{name: "the host's, by path", spec: host, arch: runtime.GOARCH, want: "5.10.0-1-host"},
		{name: "by path, another's", spec: host, arch: another(), errHas: "is for " + runtime.GOARCH + ", not for " + another()},
		{name: "another's default is not the host's cloud kernel", spec: "host", arch: another(), errHas: "fetch"},
		{name: "none of that architecture", arch: "riscv64", errHas: "no kernel for riscv64: none in the cache; run: rambox kernel fetch --arch riscv64"},
		{name: "not an architecture", arch: "x86_64", errHas: "want amd64, 386, arm, arm64 or riscv64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := findFor(tt.spec, tt.arch, cache, root)
			if k.Release != tt.want && tt.errHas == "" || (err == nil) != (tt.errHas == "") || err != nil && !strings.Contains(err.Error(), tt.errHas) {
				t.Errorf("FindFor(%q, %q) = %+v, %v, want %s, error with %q", tt.spec, tt.arch, k, err, tt.want, tt.errHas)
			}
		})
	}
}

// deb builds a package with files for the mirror, and enters it into its lists.
func (d *debian) deb(name, version string, files map[string][]byte) {
	d.t.Helper()
	root := filepath.Join(d.t.TempDir(), "deb")
	control := "Package: " + name + "\nVersion: " + version + "\nArchitecture: all\nMaintainer: a <a@b>\nDescription: c\n"
	write(d.t, []byte(control), root, "DEBIAN/control")
	for path, data := range files {
		write(d.t, data, root, path)
	}
	file := filepath.Join(d.dir, "mirror", name+"_"+version+".deb")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Znone", "-b", root, file).CombinedOutput(); err != nil {
		d.t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
	write(d.t, []byte(control+"Size: 1\n"), d.dir, "mirror/lists", name)
}

// TestFetchForeign fetches another architecture's kernel, whose package the host's lists cannot have, its busybox and its stub.
func TestFetchForeign(t *testing.T) {
	d := newDebian(t)
	release := "6.9.0-1-cloud-" + another()
	image := arm64Image(release+" x", 0x400)
	if another() == "amd64" {
		image = bzImage(release+" x", true)
	}
	d.deb("linux-image-"+release, "1", map[string][]byte{
		"boot/vmlinuz-" + release: image, "boot/config-" + release: []byte("CONFIG_A=y\n"),
		"lib/modules/" + release + "/modules.order": nil,
	})
	meta := "linux-image-cloud-" + another()
	write(t, []byte("Package: "+meta+"\nVersion: 1\nDepends: linux-image-"+release+" (= 1)\n"), d.dir, "mirror/lists", meta)
	fetch := func() (string, error) {
		var out bytes.Buffer
		k, err := Fetch(t.Context(), "", another(), &out)
		if err == nil && (k.Release != release || k.Arch != another()) {
			t.Errorf("Fetch = %+v, want %s for %s", k, release, another())
		}
		return out.String(), err
	}

	if _, err := fetch(); err == nil || !strings.Contains(err.Error(), "no package busybox-static") {
		t.Errorf("Fetch without a busybox on the mirror: %v", err)
	}
	d.deb("busybox-static", "0", map[string][]byte{"bin/busybox": nil, "usr/share/doc/busybox-static/copyright": nil})
	if _, err := fetch(); err == nil || !strings.Contains(err.Error(), "no package systemd-boot-efi") || HasStub(another()) {
		t.Errorf("Fetch without a stub on the mirror: %v", err)
	}
	boot := map[string][]byte{"usr/share/doc/systemd-boot-efi/copyright": nil}
	for _, name := range stubs[another()] {
		boot["usr/lib/systemd/boot/efi/"+name] = []byte(name)
	}
	d.deb("systemd-boot-efi", "1", boot)
	for _, tt := range []struct{ version, path string }{
		{"1", "bin/busybox"},
		{"2", "usr/bin/busybox"}, // as Debian 13 has it
	} {
		d.deb("busybox-static", tt.version, map[string][]byte{
			tt.path: []byte(tt.version), "usr/share/doc/busybox-static/copyright": nil,
		})
		progress, err := fetch()
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(progress, "download package lists"); n != 1 {
			t.Errorf("Fetch downloads the lists %d times:\n%s", n, progress)
		}
		path, ok := Busybox(another())
		if got, err := os.ReadFile(path); !ok || err != nil || string(got) != tt.version {
			t.Errorf("Busybox(%q) = %q, %v: %q, %v, want version %s", another(), path, ok, got, err, tt.version)
		}
	}
	if progress, err := fetch(); err != nil || strings.Contains(progress, "download busybox") || strings.Contains(progress, "download systemd") {
		t.Errorf("Fetch does not know which busybox and stub it has: %v\n%s", err, progress)
	}
	if dir, err := StubDir(another()); err != nil || !HasStub(another()) {
		t.Errorf("HasStub(%q) = false; StubDir = %q, %v", another(), dir, err)
	}
	if _, ok := Busybox(runtime.GOARCH); ok {
		t.Errorf("Busybox(%q) is there; the host's own is not the cache's matter", runtime.GOARCH)
	}
}
