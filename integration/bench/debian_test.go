//go:build linux

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// debianPackages is a Debian with all makers of initramfs images that it has.
// Only one package can make the system's image; of the others it is the one
// with their tools.
const debianPackages = "systemd-sysv,udev,dbus,initramfs-tools,busybox,zstd,dracut-core,tiny-initramfs-core"

const (
	debianUUID = "0f5e8a1c-6c1b-4d43-9a51-3d2b7e90c4f6"
	debianHost = "debian-root"

	// depDir has initramfs-tools's settings for MODULES=dep.
	depDir = "etc/initramfs-dep"
)

// debianRoot copies that Debian, with the modules of k and what Debian's
// installer writes.
func debianRoot(b *testing.B, k kernels.Kernel, packages string) string {
	b.Helper()
	root := filepath.Join(b.TempDir(), "root")
	vmtest.Command(b, "cp", "-a", vmtest.DebianRoot(b, packages), root)
	mkdir(b, root, "usr/lib/modules")
	vmtest.Command(b, "cp", "-a", k.Modules, filepath.Join(root, "usr/lib/modules"))
	vmtest.Copy(b, k.Config, root, "boot/config-"+k.Release)
	vmtest.WriteFile(b, root, "etc/hostname", 0o644, debianHost+"\n")
	vmtest.WriteFile(b, root, "etc/fstab", 0o644, "UUID="+debianUUID+" / ext4 errors=remount-ro 0 1\n")

	// dep looks for the root's driver in the machine that it runs on, which is
	// not the one that boots; so initramfs.conf(5) has it named.
	dep := filepath.Join(root, depDir)
	vmtest.Command(b, "cp", "-a", filepath.Join(root, "etc/initramfs-tools"), dep)
	vmtest.WriteFile(b, dep, "conf.d/modules", 0o644, "MODULES=dep\n")
	vmtest.WriteFile(b, dep, "modules", 0o644, "virtio_pci\nvirtio_blk\n")
	return root
}

// debianDisk is a disk with that Debian.
func debianDisk(b *testing.B, root string) string {
	b.Helper()
	disk := filepath.Join(b.TempDir(), "disk")
	vmtest.Command(b, "mke2fs", "-q", "-t", "ext4", "-U", debianUUID, "-d", root, disk, "768M")
	return disk
}

// inDebian runs a command in the Debian on a disk, as somebody does who repairs
// a system that does not boot; /mnt is the directory for what it makes. It says
// last how long the command took.
const inDebian = `
mount -o loop "$1" "$2"
mount -t proc proc "$2/proc"
mount -t sysfs -o ro sysfs "$2/sys"
mount --bind /dev "$2/dev"
mount --bind "$3" "$2/mnt"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
chroot "$2" sh -ec 'begin=$(date +%s%N); '"$4"'; echo "took $(($(date +%s%N) - begin)) ns"'
umount -R "$2"
`

var took = regexp.MustCompile(`took (\d+) ns\n$`)

// buildInDebian returns what the command took, in seconds.
func buildInDebian(b *testing.B, disk, dir, command string) float64 {
	b.Helper()
	// What is mounted goes away with the namespace in any case.
	out := vmtest.Command(b, "unshare", "--mount", "sh", "-ec", inDebian, "sh", disk, b.TempDir(), dir, command)
	m := took.FindStringSubmatch(out)
	if m == nil {
		b.Fatalf("%s: no time in its output:\n%s", command, out)
	}
	if said := strings.TrimSuffix(out, m[0]); said != "" {
		b.Log(said)
	}
	ns, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return ns / 1e9
}

// BenchmarkDebian boots a Debian from a disk, to the first line of its systemd,
// with our image and with those that Debian's own programs make.
func BenchmarkDebian(b *testing.B) {
	k := vmtest.CloudKernel(b)
	root := debianRoot(b, k, debianPackages)
	disk := debianDisk(b, root)
	ours := []string{"build", "--quiet", "--kernel", k.Path, "--cmdline", "root=UUID=" + debianUUID}
	// The drivers and the file system that MODULES=dep and tiny-initramfs are
	// given; otherwise the image has those of any disk and of any root. That
	// costs time, because to free a page of it takes 1700 instructions.
	dep := []string{"--modules", "virtio_pci,virtio_blk", "--cmdline", "root=UUID=" + debianUUID + " rootfstype=ext4"}
	for _, our := range []struct {
		name  string
		flags []string
	}{
		{"rambox", nil},
		{"rambox-unsigned", []string{"--unsigned-modules"}},
		{"rambox-dep", dep},
		{"rambox-dep-without-shell", append(dep, "--no-busybox")}, // tiny-initramfs has none
	} {
		measureDebian(b, our.name, k, disk, func(b *testing.B, file string) float64 {
			start := time.Now()
			vmtest.Command(b, vmtest.Rambox(b), slices.Concat(ours, our.flags, []string{"--output", file})...)
			return time.Since(start).Seconds()
		})
	}
	printVersions(b, root, "initramfs-tools", "dracut-core", "tiny-initramfs-core", "systemd")
	for _, peer := range []struct{ name, command string }{
		{"initramfs-tools-most", "mkinitramfs -o /mnt/%s " + k.Release},
		{"initramfs-tools-dep", "mkinitramfs -d /" + depDir + " -o /mnt/%s " + k.Release},
		{"dracut", "dracut --quiet --force /mnt/%s " + k.Release},
		// It has no way to find the driver of a machine other than its own.
		{"tiny-initramfs", "mktirfs -o /mnt/%s --auto-modules=no --include-modules=virtio_pci,virtio_blk " + k.Release},
	} {
		measureDebian(b, peer.name, k, disk, func(b *testing.B, file string) float64 {
			return buildInDebian(b, disk, filepath.Dir(file), fmt.Sprintf(peer.command, filepath.Base(file)))
		})
	}
}

// systemdStart marks the begin of init, and that of a systemd: of the last one,
// where the image has its own.
var systemdStart = regexp.MustCompile(`(?m)^\[ *(\d+\.\d+)\] (?:Run /init as init process|systemd\[1\]: systemd \S+ running in system mode)`)

// measureDebian builds an image three times and boots the disk with it. build
// returns the seconds that it took.
func measureDebian(b *testing.B, name string, k kernels.Kernel, disk string, build func(b *testing.B, file string) float64) {
	b.Run(name, func(b *testing.B) {
		for b.Loop() {
			file := filepath.Join(b.TempDir(), "image")
			times := []float64{build(b, file), build(b, file), build(b, file)}
			slices.Sort(times)
			b.ReportMetric(times[1], "s-build-median")
			st, err := os.Stat(file)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(st.Size())/(1<<20), "MiB")

			// Some check the disk, which has to be writable for that; each
			// gets it as it was.
			vm := exact(vmtest.VM{Kernel: k, Initrd: file, Disks: []qemu.Disk{{Path: disk}}, Memory: 512 << 20,
				Append: "root=UUID=" + debianUUID + " ro", Extra: []string{"-snapshot"}})
			g := vmtest.Start(b, vm)
			g.Expect("systemd[1]: Hostname set to <" + debianHost + ">")
			g.Kill()
			marks := systemdStart.FindAllStringSubmatch(strings.ReplaceAll(g.Shown(), "\r", ""), -1)
			if len(marks) < 2 {
				b.Fatalf("no marks on the console:\n%s", g.Shown())
			}
			start, end := seconds(b, marks[0][1]), seconds(b, marks[len(marks)-1][1])
			b.ReportMetric((end-start)*1000, "ms-of-instructions")
			b.ReportMetric(end*1000, "ms-from-power-on")
		}
		b.ReportMetric(0, "ns/op")
	})
}
