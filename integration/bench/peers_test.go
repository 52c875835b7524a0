//go:build linux

package bench

import (
	"fmt"
	"path/filepath"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// peerPackages has dracut's network, too, which is then in all of its images, and
// what that needs.
const peerPackages = debianPackages + ",dracut-network,procps"

// initramfsJob is where initramfs-tools is configured for a job, and dracutJob is
// the module that makes dracut do one.
const (
	initramfsJob = "etc/initramfs-job"
	dracutJob    = "usr/lib/dracut/modules.d/99job"
)

// Programs start as soon as the peer can start one for the job: where nothing is
// needed, in the first place that is meant for it (initramfs-tools(7),
// dracut.modules(7)).
const (
	initramfsHook = `#!/bin/sh
[ "$1" = prereqs ] && exit
cp /app "$DESTDIR/app"
`
	initramfsApp = `#!/bin/sh
[ "$1" = prereqs ] && exit
/app
poweroff -f
`
	initramfsNet = `#!/bin/sh
[ "$1" = prereqs ] && exit
. /scripts/functions
configure_networking
/app
poweroff -f
`
	dracutSetup = `#!/bin/bash
install() {
	inst_simple /app
	inst_multiple -o poweroff
	%s
}
`
	dracutApp = "#!/bin/sh\n/app\npoweroff -f\n"

	// dracut wants a root before it does anything else; this is how the modules
	// for roots that are no devices say that theirs will do.
	dracutRoot = "#!/bin/sh\nroot=none rootok=1\n"
)

// addJobs configures the peers in a Debian for the jobs that need it.
func addJobs(b *testing.B, root string) {
	b.Helper()
	vmtest.Copy(b, vmtest.Program(b, payload), root, "app")
	for _, job := range []struct {
		number, modules, place, script string
	}{
		{"1", "", "init-top", initramfsApp},
		{"2", "virtio_pci\nvirtio_blk\n", "", ""},
		{"3", "virtio_pci\nvirtio_net\n", "init-premount", initramfsNet},
	} {
		dir := filepath.Join(root, initramfsJob+job.number)
		vmtest.Command(b, "cp", "-a", filepath.Join(root, "etc/initramfs-tools"), dir)
		vmtest.WriteFile(b, dir, "conf.d/modules", 0o644, "MODULES=list\n")
		vmtest.WriteFile(b, dir, "modules", 0o644, job.modules)
		if job.script != "" {
			vmtest.WriteFile(b, dir, "hooks/app", 0o755, initramfsHook)
			vmtest.WriteFile(b, dir, "scripts/"+job.place+"/app", 0o755, job.script)
		}
	}
	for number, hooks := range map[string]string{
		"1": `inst_hook cmdline 50 "$moddir/app.sh"`,
		"3": `inst_hook cmdline 50 "$moddir/root.sh"; inst_hook initqueue/online 50 "$moddir/app.sh"`,
	} {
		dir := filepath.Join(root, dracutJob+number)
		vmtest.WriteFile(b, dir, "module-setup.sh", 0o755, fmt.Sprintf(dracutSetup, hooks))
		vmtest.WriteFile(b, dir, "app.sh", 0o755, dracutApp)
		vmtest.WriteFile(b, dir, "root.sh", 0o755, dracutRoot)
	}
}

// peerJob is how a peer is told to do a job: the command that makes the image,
// with a verb for its name, and the kernel's parameters.
type peerJob struct{ job, peer, command, line string }

// peerJobs gives each peer the least that it needs: the modules by name, no check
// of the disk. tiny-initramfs mounts a root and does nothing else. Of dracut only
// the parts without systemd are taken, which are quicker.
var peerJobs = [...]peerJob{
	{"job1", "initramfs-tools", "mkinitramfs -d /" + initramfsJob + "1 -o /mnt/%s", ""},
	{"job1", "dracut", dracut + `--no-kernel -m "dash base job1" /mnt/%s`, ""},
	{"job2", "tiny-initramfs", "mktirfs -o /mnt/%s --auto-modules=no --include-modules=virtio_pci,virtio_blk", rootLine},
	{"job2", "initramfs-tools", "mkinitramfs -d /" + initramfsJob + "2 -o /mnt/%s", rootLine + " fastboot"},
	{"job2", "dracut", dracut + `-m "dash base kernel-modules rootfs-block" --drivers "virtio_pci virtio_blk" --filesystems ext4 /mnt/%s`, rootLine + " rd.skipfsck"},
	{"job3", "initramfs-tools", "mkinitramfs -d /" + initramfsJob + "3 -o /mnt/%s", "ip=dhcp"},
	{"job3", "dracut", dracut + `-m "dash base network network-legacy job3" --drivers "virtio_pci virtio_net" /mnt/%s`, "ip=dhcp rd.neednet=1"},
}

// dracut is the command without what Debian's packages add to every image.
const dracut = `dracut --quiet --force --no-hostonly --omit "systemd ifcfg" `

// BenchmarkPeers has Debian's makers of initramfs images do jobs 1 to 3.
func BenchmarkPeers(b *testing.B) {
	k := vmtest.CloudKernel(b)
	root := debianRoot(b, k, peerPackages)
	addJobs(b, root)
	printVersions(b, root, "initramfs-tools", "dracut-core", "tiny-initramfs-core")
	debian := debianDisk(b, root)
	target := payloadDisk(b)
	for _, p := range peerJobs {
		b.Run(p.job+"/"+p.peer, func(b *testing.B) {
			vm := vmtest.VM{Kernel: k, Initrd: peerImage(b, k, debian, p.command), Append: p.line}
			switch p.job {
			case "job2":
				vm.Disks = []qemu.Disk{target}
			case "job3": // both wait, dracut two seconds for an answer to ARP
				vm.Extra = card
				toPayload(b, patient(vm))
				return
			}
			toPayload(b, exact(vm))
		})
	}
}

// peerImage makes an image in a Debian.
func peerImage(b *testing.B, k kernels.Kernel, debian, command string) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "image")
	command = fmt.Sprintf(command, filepath.Base(file)) + " " + k.Release
	buildInDebian(b, debian, filepath.Dir(file), command)
	return file
}
