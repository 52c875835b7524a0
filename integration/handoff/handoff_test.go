//go:build linux

// Package handoff boots what a person makes by hand, find | cpio with our init
// in it and nothing else of ours, through every way that a boot can go.
package handoff

import (
	"os"
	"path/filepath"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// both runs a test on a kernel whose drivers are modules and on one that has
// none.
func both(t *testing.T, test func(t *testing.T, k kernels.Kernel)) {
	t.Run("cloud", func(t *testing.T) { test(t, vmtest.CloudKernel(t)) })
	t.Run("nomodules", func(t *testing.T) { test(t, vmtest.RunKernel(t)) })
}

// nextInit is a program for /sbin/init that says what it got and ends the
// machine.
const nextInit = `#!/bin/sh
echo "next init: pid $$, $# arguments: $*"
echo "environment: COLOUR=$COLOUR TERM=$TERM HOME=$HOME"
[ -d /proc/1 ] && echo "proc is mounted"
[ -e /dev/null ] && echo "dev is mounted"
[ -d /sys/class ] && echo "sys is mounted"
echo "root entries:" $(ls /)
exec /bin/busybox reboot -f
`

func TestPayload(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		dir := vmtest.Tree(t)
		vmtest.WriteFile(t, dir, "app", 0o755, "#!/bin/sh\n"+`echo "payload: $# arguments: $1|$2|$3"; echo "colour $COLOUR, path $PATH"; tty; exit 7`)
		out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir),
			Append: `COLOUR=red rambox.payload=/app -- one "two words" quiet`})
		vmtest.Contains(t, out, "payload: 3 arguments: one|two words|quiet", "colour red, path /usr/local/sbin:", "/dev/ttyS0",
			"rambox: payload /app: exit 7", "Power down")
	})
}

func TestPayloadEnds(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	for _, tc := range []struct{ name, script, onexit, want, end string }{
		{"exit 0", "true", "poweroff", "exit 0", "reboot: Power down"},
		{"exit 255, reboot", "exit 255", "reboot", "exit 255", "reboot: Restarting system"},
		{"killed", "kill -SEGV $$", "poweroff", "signal 11", "reboot: Power down"},
		{"not found", "", "poweroff", "notfound exec /app: no such file or directory (no such program)", "reboot: Power down"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := vmtest.Tree(t)
			if tc.script != "" {
				vmtest.WriteFile(t, dir, "app", 0o755, "#!/bin/sh\n"+tc.script)
			}
			out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir), Append: "rambox.payload=/app rambox.onexit=" + tc.onexit})
			vmtest.Contains(t, out, "rambox: payload /app: "+tc.want, tc.end)
		})
	}
}

func TestShell(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		dir := vmtest.Tree(t)
		vmtest.WriteFile(t, dir, "etc/profile", 0o644, "export PS1='rescue# '; FROM_PROFILE=yes\n")
		vmtest.WriteFile(t, dir, "root/.keep", 0o644, "")
		g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir), Append: "shell root=/dev/nonsense rambox.payload=/nonsense"})
		g.Expect("rescue# ")
		// Answers are written so that the echo of the question is none.
		g.Send("echo pid-is-not-$$ pro''file-$FROM_PROFILE; tty; pwd; ls -l /proc/1/exe | grep -c /init; echo path-$PATH\n")
		g.Expect("profile-yes")
		g.Expect("/dev/ttyS0")
		g.Expect("/root")
		g.Expect("path-/usr/local/sbin")
		g.Expect("rescue# ")
		// The shell has signals off while it edits a line and starts a program; the program has not.
		g.Send("sh -c \"echo star''ted; exec sleep 1000\"\n")
		g.Expect("started")
		g.Send("\x03") // job control: ctrl-c ends the program, not the shell
		g.Expect("rescue# ")
		g.Send("exit\n")
		vmtest.Contains(t, g.End(), "Power down")
	})
}

func TestRamboxWithInit(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		dir := vmtest.Tree(t)
		vmtest.WriteFile(t, dir, "sbin/init", 0o755, nextInit)
		out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir), Append: "rambox COLOUR=blue 3 -- last"})
		vmtest.Contains(t, out, "next init: pid 1, 2 arguments: 3 last", "COLOUR=blue TERM=linux HOME=/", "proc is mounted", "dev is mounted", "sys is mounted")
	})
}

func TestRamboxWithOtherInit(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	vmtest.WriteFile(t, dir, "linuxrc", 0o755, nextInit)
	out := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.RunKernel(t), Initrd: vmtest.Archive(t, dir), Append: "rambox init=/linuxrc"})
	vmtest.Contains(t, out, "next init: pid 1, 0 arguments:")
}

func TestRamboxWithoutInit(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		dir := vmtest.Tree(t)
		g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir), Append: "rambox rambox.rescue=shell"})
		g.Expect("this machine did not boot")
		g.Expect("exec /sbin/init: no such file or directory (no such program)")
		g.Expect("A shell follows")
		// The boot is tried again after the shell, and can succeed then.
		g.Expect("# ")
		g.Send("mkdir -p /sbin; printf '#!/bin/sh\\necho second try: $$\\nexec busybox poweroff -f\\n' > /sbin/init; busybox chmod 755 /sbin/init; exit\n")
		g.Expect("second try: 1")
		vmtest.Contains(t, g.End(), "Power down")
	})
}

// disk makes an ext4 root; files are path → content, all executable.
func disk(t *testing.T, files map[string]string) qemu.Disk {
	t.Helper()
	dir := t.TempDir()
	vmtest.AddBusybox(t, dir)
	for _, d := range [...]string{"dev", "proc", "sys", "run", "tmp", "mnt"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		vmtest.WriteFile(t, dir, name, 0o755, content)
	}
	return qemu.Disk{Path: vmtest.Ext4(t, dir, "32")}
}

// diskTree is an image that can reach a virtio disk.
func diskTree(t *testing.T, k kernels.Kernel) string {
	t.Helper()
	dir := vmtest.Tree(t)
	vmtest.AddModules(t, dir, k, "virtio_pci", "virtio_blk")
	return dir
}

func TestRoot(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		d := disk(t, map[string]string{"sbin/init": nextInit})
		out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, diskTree(t, k)), Disks: []qemu.Disk{d},
			Append: "root=/dev/vda ro COLOUR=green single -- 3"})
		vmtest.Contains(t, out, "switching to /dev/vda, exec /sbin/init", "next init: pid 1, 2 arguments: single 3",
			"COLOUR=green TERM=linux HOME=/", "proc is mounted", "dev is mounted", "sys is mounted",
			"root entries: bin dev lost+found mnt proc run sbin sys tmp")
	})
}

func TestRootByFirstOfTheUsualInits(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	d := disk(t, map[string]string{"etc/init": nextInit})
	out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, diskTree(t, k)), Disks: []qemu.Disk{d}, Append: "root=/dev/vda rootfstype=ext4 rw"})
	vmtest.Contains(t, out, "exec /etc/init", "next init: pid 1")
}

// TestFreesTheInitramfs lets the next init look for the memory that a large
// file in the initramfs took.
func TestFreesTheInitramfs(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	dir := diskTree(t, k)
	vmtest.WriteFile(t, dir, "ballast", 0o644, string(make([]byte, 64<<20)))
	d := disk(t, map[string]string{"sbin/init": "#!/bin/sh\nbusybox awk '/^MemFree/ {print ($2 > 100000) ? \"memory is free\" : \"memory is gone\", $2}' /proc/meminfo\nexec busybox reboot -f\n"})
	out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir), Disks: []qemu.Disk{d}, Append: "root=/dev/vda"})
	vmtest.Contains(t, out, "memory is free")
}

func TestRootFailures(t *testing.T) {
	t.Parallel()
	good := map[string]string{"sbin/init": nextInit}
	cloud, run := vmtest.CloudKernel(t), vmtest.RunKernel(t)
	for _, tc := range []struct {
		name    string
		kernels []kernels.Kernel // both, unless drivers have no part in it
		files   map[string]string
		line    string
		want    []string
	}{
		{"missing device", []kernels.Kernel{cloud, run}, good, "root=/dev/vdb rootwait=1", []string{"root device /dev/vdb did not appear within 1s", "/dev/vda"}},
		{"not a block device", []kernels.Kernel{run}, good, "root=/dev/null", []string{"root device /dev/null is not a block device"}},
		{"wrong file system", []kernels.Kernel{cloud, run}, good, "root=/dev/vda rootfstype=xfs", []string{"the kernel has no xfs, nor has the image its module"}},
		{"bad option", []kernels.Kernel{cloud, run}, good, "root=/dev/vda rootfstype=ext4 rootflags=nonsense", []string{"mount /newroot", "invalid argument"}},
		{"no init", []kernels.Kernel{run}, nil, "root=/dev/vda init=/sbin/init", []string{"no init on /dev/vda: /sbin/init: no such file or directory"}},
		{"init is a directory", []kernels.Kernel{run}, map[string]string{"sbin/init/x": ""}, "root=/dev/vda init=/sbin/init", []string{"/sbin/init: not an executable file"}},
		{"init without its interpreter", []kernels.Kernel{run}, map[string]string{"sbin/init": "#!/bin/absent\n"}, "root=/dev/vda init=/sbin/init", []string{"/sbin/init: its interpreter: /bin/absent: no such file or directory"}},
		{"init is no program", []kernels.Kernel{cloud, run}, map[string]string{"sbin/init": "plain text, too short or not, is not a program, even with its x bit set"}, "root=/dev/vda init=/sbin/init", []string{"neither an ELF program of this machine nor a script"}},
	} {
		for _, k := range tc.kernels {
			t.Run(tc.name+", "+k.Flavour(), func(t *testing.T) {
				t.Parallel()
				d := disk(t, tc.files)
				g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, diskTree(t, k)), Disks: []qemu.Disk{d}, Append: tc.line + " rambox.rescue=shell"})
				g.Expect("this machine did not boot")
				for _, w := range tc.want {
					g.Expect(w)
				}
				g.Expect("A shell follows")
				g.Expect("# ")
				// The initramfs is whole: its tools work, and nothing of the root is left mounted.
				g.Send("mount | grep -c newroot; echo still-he''re\n")
				g.Expect("0")
				g.Expect("still-here")
				g.Send("/init-is-not-needed; busybox poweroff -f\n")
				vmtest.Contains(t, g.End(), "Power down")
			})
		}
	}
}

func TestRescuePolicies(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	for _, tc := range []struct{ name, line, end string }{
		{"poweroff", "rambox.rescue=poweroff", "reboot: Power down"},
		{"reboot", "rambox.rescue=reboot", "reboot: Restarting system"},
		{"panic=1", "panic=1", "reboot: Restarting system"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, vmtest.Tree(t)), Append: "quiet rambox init=/absent " + tc.line})
			// quiet hides the log, never the report.
			vmtest.Contains(t, out, "this machine did not boot", "exec /absent", tc.end)
			vmtest.Lacks(t, out, "A shell follows", "Kernel panic")
		})
	}
}

// TestNoShellInTheImage has nothing to rescue with.
func TestNoShellInTheImage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vmtest.Copy(t, vmtest.Init(t), dir, "init")
	out := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.RunKernel(t), Initrd: vmtest.Archive(t, dir), NoPanic: true})
	vmtest.Contains(t, out, "the image has no shell and nothing else to run", "The machine will poweroff now", "Power down")
}

func TestLockedImageGivesNoShell(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	vmtest.WriteFile(t, dir, "etc/rambox/locked", 0o644, "")
	for _, line := range []string{"shell", "rambox.rescue=shell rambox init=/absent", "rambox.payload=/bin/sh"} {
		t.Run(line, func(t *testing.T) {
			out := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.RunKernel(t), Initrd: vmtest.Archive(t, dir), Append: line})
			vmtest.Contains(t, out, "this machine did not boot", "reboot: ")
			vmtest.Lacks(t, out, "A shell follows", "# ")
		})
	}
}

// TestAsRdinit runs our init under another name, chosen by rdinit=.
func TestAsRdinit(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	vmtest.Copy(t, vmtest.Init(t), dir, "opt/rambox-init")
	vmtest.WriteFile(t, dir, "init", 0o755, "#!/bin/sh\necho wrong init\n")
	out := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.RunKernel(t), Initrd: vmtest.Archive(t, dir),
		Append: "rdinit=/opt/rambox-init rambox.payload=/bin/echo -- chosen by rdinit"})
	vmtest.Contains(t, out, "chosen by rdinit", "Power down")
	vmtest.Lacks(t, out, "wrong init")
}
