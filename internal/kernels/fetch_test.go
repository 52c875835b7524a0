package kernels

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// debian is a host whose apt-get and apt-cache are scripts, with its package lists and its mirror in a directory;
// dpkg-deb and depmod are the real ones.
type debian struct {
	t          *testing.T
	dir, cache string
}

const aptScript = `#!/bin/sh
cd "$(dirname "$0")/.." || exit 9
echo "$(basename "$0") $*" >>log
case $2 in */own.conf) lists=own;; *) lists=host;; esac
case "$(basename "$0") $3 $4" in
"apt-cache show "*)
	[ -s $lists/$5 ] && exec cat $lists/$5
	echo "E: No packages found" >&2; exit 100;;
"apt-get -q update")
	[ -e offline ] && { echo "E: Failed to fetch http://mirror/InRelease" >&2; exit 100; }
	mkdir -p own; cp -r mirror/lists/. own; exit 0;;
"apt-get -q download")
	shift 4
	printf 'dlstatus:1:0.0000:Retrieving\ndlstatus:1:0.4000:Retrieving\nx\ndlstatus:1:50.0000:Retrieving: it\n' >&3
	for p; do
		[ -e "mirror/${p%=*}_${p#*=}.deb" ] || { echo "E: Failed to fetch $p" >&2; exit 100; }
		cp "mirror/${p%=*}_${p#*=}.deb" "$OLDPWD"
	done;;
*) exit 8;;
esac
`

func newDebian(t *testing.T) *debian {
	for _, tool := range []string{"dpkg-deb", "depmod"} {
		if _, err := findTool(tool); err != nil {
			t.Skip(err)
		}
	}
	d := &debian{t: t, dir: t.TempDir(), cache: t.TempDir()}
	for _, name := range []string{"apt-get", "apt-cache"} {
		if err := os.Chmod(write(t, []byte(aptScript), d.dir, "bin", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(d.dir, "bin")+":"+os.Getenv("PATH"))
	t.Setenv("RAMBOX_CACHE", d.cache)
	return d
}

// testRelease is the release of the kernel in these tests.
var testRelease = "6.1.0-1-cloud-" + debianArch(runtime.GOARCH)

// publish puts a version of the kernel on the mirror, and into the host's lists too if they are to know it.
// lib is where its modules are; the package is split as newer ones are when its parts are two.
func (d *debian) publish(version, lib string, parts []string, hostKnows bool) {
	d.t.Helper()
	meta := "linux-image-cloud-" + debianArch(runtime.GOARCH)
	entries := map[string]string{meta: "Package: " + meta + "\nVersion: " + version + "\nDepends: " + parts[0] + testRelease + " (= " + version + ")\n"}
	for i, part := range parts {
		name := part + testRelease
		root := filepath.Join(d.t.TempDir(), "deb")
		control := "Package: " + name + "\nVersion: " + version + "\nArchitecture: all\nMaintainer: a <a@b>\nDescription: c\n"
		if i+1 < len(parts) {
			control += "Depends: kmod, " + parts[i+1] + testRelease + "\n"
		}
		entries[name] = control + "Size: 1\n"
		write(d.t, []byte(control), root, "DEBIAN/control")
		write(d.t, nil, root, "usr/share/doc/x")
		if i == 0 {
			write(d.t, hostImage(testRelease), root, "boot/vmlinuz-"+testRelease)
			write(d.t, []byte("CONFIG_VERSION=\""+version+"\"\n"), root, "boot/config-"+testRelease)
		}
		if i == len(parts)-1 {
			write(d.t, nil, root, lib, testRelease, "modules.order")
		}
		file := filepath.Join(d.dir, "mirror", name+"_"+version+".deb")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			d.t.Fatal(err)
		}
		if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Znone", "-b", root, file).CombinedOutput(); err != nil {
			d.t.Fatalf("dpkg-deb: %v: %s", err, out)
		}
	}
	for name, text := range entries {
		write(d.t, []byte(text), d.dir, "mirror/lists", name)
		if hostKnows {
			write(d.t, []byte(text), d.dir, "host", name)
		}
	}
}

// fetch runs Fetch and checks that the kernel has all its parts, of that version, and that nothing is left over.
func (d *debian) fetch(version string) (progress string) {
	d.t.Helper()
	var out bytes.Buffer
	k, err := Fetch(d.t.Context(), "", "", &out)
	if err != nil {
		d.t.Fatalf("Fetch: %v\n%s", err, out.String())
	}
	dir := filepath.Join(d.cache, "kernels", testRelease)
	want := Kernel{
		Release: testRelease, Path: dir + "/boot/vmlinuz-" + testRelease, Modules: dir + "/lib/modules/" + testRelease,
		Config: dir + "/boot/config-" + testRelease, Arch: runtime.GOARCH, Origin: OriginCache,
	}
	if k != want {
		d.t.Errorf("Fetch = %+v, want %+v", k, want)
	}
	if c, err := ReadConfig(k.Config); err != nil || c["VERSION"] != version {
		d.t.Errorf("version in the cache %q, %v, want %q", c["VERSION"], err, version)
	}
	if _, err := os.Stat(k.Modules + "/modules.dep"); err != nil {
		d.t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Join(d.cache, "kernels")); len(entries) != 1 {
		d.t.Errorf("the cache has %v", entries)
	}
	return out.String()
}

func TestFetch(t *testing.T) {
	d := newDebian(t)
	d.publish("1", "lib/modules", []string{"linux-image-"}, true)
	got := d.fetch("1")
	if strings.Contains(got, "lists") {
		t.Errorf("Fetch downloads lists although the host's will do:\n%s", got)
	}
	if want := "%[1]s: 0.0 of 0.0 MB (0 %%)\ndownload %[1]s: 0.0 of 0.0 MB (50 %%)\nunpack\n"; !strings.Contains(got, fmt.Sprintf(want, "linux-image-"+testRelease)) {
		t.Errorf("Fetch does not tell how far the download is:\n%s", got)
	}
	if got := d.fetch("1"); strings.Contains(got, "unpack") || !strings.Contains(got, "already") {
		t.Errorf("Fetch does not know what it has:\n%s", got)
	}
	d.publish("2", "lib/modules", []string{"linux-image-"}, true)
	d.fetch("2")
}

func TestFetchSplitPackages(t *testing.T) {
	d := newDebian(t)
	d.publish("1", "usr/lib/modules", []string{"linux-image-", "linux-modules-"}, true)
	d.fetch("1")
}

func TestFetchEmptyLists(t *testing.T) {
	d := newDebian(t)
	d.publish("1", "lib/modules", []string{"linux-image-"}, false)
	if got := d.fetch("1"); !strings.Contains(got, "download package lists") {
		t.Errorf("Fetch without lists:\n%s", got)
	}
}

func TestFetchStaleLists(t *testing.T) {
	d := newDebian(t)
	d.publish("1", "lib/modules", []string{"linux-image-"}, true)
	if err := os.RemoveAll(filepath.Join(d.dir, "mirror")); err != nil {
		t.Fatal(err)
	}
	d.publish("2", "lib/modules", []string{"linux-image-"}, false)
	d.fetch("2")
}

func TestFetchFails(t *testing.T) {
	for _, tt := range []struct {
		name, flavour, arch string
		setup               func(d *debian)
		errHas              string
	}{
		{name: "no such package", flavour: "nonsense", errHas: "no package linux-image-nonsense-"},
		{name: "unknown architecture", arch: "mips", errHas: "architecture"},
		{
			name: "offline", errHas: "Failed to fetch http://mirror/InRelease; check the network",
			setup: func(d *debian) { write(d.t, nil, d.dir, "offline") },
		},
		{
			name: "not a kernel", flavour: "linux-image-firmware", errHas: "brings no kernel",
			setup: func(d *debian) {
				write(d.t, []byte("Package: linux-image-firmware\nVersion: 1\n"), d.dir, "mirror/lists/linux-image-firmware")
			},
		},
		{
			name: "no tools", errHas: "is not installed",
			setup: func(d *debian) {
				os.Remove(filepath.Join(d.dir, "bin/apt-get"))
				d.t.Setenv("PATH", filepath.Join(d.dir, "bin"))
			},
		},
		{
			name: "unwritable cache", errHas: "kernel cache",
			setup: func(d *debian) { d.t.Setenv("RAMBOX_CACHE", write(d.t, nil, d.dir, "file")) },
		},
		{
			name: "no image in the package", errHas: "no kernel that Rambox can read",
			setup: func(d *debian) { d.publish("1", "lib/modules", []string{"linux-base-"}, true); d.spoil() },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDebian(t)
			if tt.setup != nil {
				tt.setup(d)
			}
			_, err := Fetch(t.Context(), tt.flavour, tt.arch, &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), tt.errHas) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Fetch error = %v, want one line with %q", err, tt.errHas)
			}
			if entries, _ := os.ReadDir(filepath.Join(d.cache, "kernels")); len(entries) != 0 {
				t.Errorf("left in the cache: %v", entries)
			}
		})
	}
}

// spoil replaces the image in the mirror's package by text.
func (d *debian) spoil() {
	root := filepath.Join(d.t.TempDir(), "deb")
	debs, _ := filepath.Glob(filepath.Join(d.dir, "mirror/*.deb"))
	if out, err := exec.Command("dpkg-deb", "-R", debs[0], root).CombinedOutput(); err != nil {
		d.t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
	write(d.t, []byte("text"), root, "boot/vmlinuz-"+testRelease)
	if out, err := exec.Command("dpkg-deb", "-Znone", "-b", root, debs[0]).CombinedOutput(); err != nil {
		d.t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
}

func TestFetchCancelled(t *testing.T) {
	d := newDebian(t)
	write(t, []byte("#!/bin/sh\nexec sleep 60\n"), d.dir, "bin/apt-cache")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := Fetch(ctx, "", "", &bytes.Buffer{}); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("Fetch after %v: %v", time.Since(began), err)
	}
	if entries, _ := os.ReadDir(filepath.Join(d.cache, "kernels")); len(entries) != 0 {
		t.Errorf("left in the cache: %v", entries)
	}
}

func TestFetchSweeps(t *testing.T) {
	d := newDebian(t)
	d.publish("1", "lib/modules", []string{"linux-image-"}, true)
	old := filepath.Dir(write(t, nil, d.cache, "kernels", tmpPrefix+"1", "file"))
	past := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	d.fetch("1")
}
