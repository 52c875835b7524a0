//go:build linux

// Package debian boots real Debian systems, on the file systems and the
// partition tables that people have, with our init in the place of the
// distribution's initramfs.
package debian

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

const (
	memory = 512 << 20 // bytes of a machine
	limit  = 4 * time.Minute

	// rescue has systemd start a shell without the rest of the system: after
	// that, what comes is the same on all file systems.
	rescue = "systemd.unit=rescue.target"
)

// newMachine builds the image as a user does: root is what --cmdline says, so
// the choice of modules is that of rambox build.
func newMachine(t *testing.T, k kernels.Kernel, d qemu.Disk, root string, flags ...string) vmtest.VM {
	t.Helper()
	image := filepath.Join(t.TempDir(), "initramfs")
	build := []string{"build", "--quiet", "-o", image, "--kernel", k.Path, "--cmdline", root}
	vmtest.Command(t, vmtest.Rambox(t), append(build, flags...)...)
	return vmtest.VM{Kernel: k, Initrd: image, Disks: []qemu.Disk{d}, Memory: memory, Limit: limit}
}

// login reaches the login prompt and a shell.
func login(g *vmtest.Guest) {
	g.Expect(hostname + " login: ")
	g.Send("root\n")
	g.Expect("root@" + hostname + ":~# ")
}

// maintenance reaches the shell of sulogin(8).
func maintenance(g *vmtest.Guest) {
	g.Expect("(or press Control-D to continue): ")
	// It throws away what has been typed before it reads, and nothing shows
	// when that is.
	tick := time.NewTicker(time.Second)
	done := make(chan struct{})
	defer close(done)
	defer tick.Stop()
	go func() {
		for {
			select {
			case <-tick.C:
				g.VM().ConsoleInput([]byte("\n"))
			case <-done:
				return
			}
		}
	}()
	g.Expect("root@" + hostname + ":~# ")
}

// ask runs facts in a shell on the console.
func ask(t *testing.T, g *vmtest.Guest) map[string]string {
	t.Helper()
	g.Send("/usr/local/sbin/facts\n") // not in sulogin's PATH
	out := g.Expect("end of facts")
	t.Log(out)
	got := map[string]string{}
	for line := range strings.Lines(out) {
		// Before the first one is what the shell tells the terminal.
		if _, fact, ok := strings.Cut(line, "fact "); ok {
			name, value, _ := strings.Cut(fact, ":")
			got[name] = strings.TrimSpace(value)
		}
	}
	return got
}

// end shuts the system down from a shell on the console.
func end(t *testing.T, g *vmtest.Guest) {
	t.Helper()
	g.Send("systemctl poweroff\n")
	vmtest.Contains(t, g.End(), "reboot: Power down")
}

// check compares facts; want is what they have to be.
func check(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
	for name, word := range map[string]string{"run": "nosuid,nodev", "environment": "TERM=linux"} {
		if !strings.Contains(got[name], word) {
			t.Errorf("%s is %q, want %q in it", name, got[name], word)
		}
	}
}

// TestDebian boots what most people have to the login prompt, and the other
// roots to a shell.
func TestDebian(t *testing.T) {
	t.Parallel()
	cloud := vmtest.CloudKernel(t)
	root := newRoot(t, systemd)
	for _, tc := range []struct {
		name   string
		kernel kernels.Kernel
		fs     string
		table  string
		root   string // in the image
		line   string // on the kernel's own line
		argv   string
		device string // of the mount
	}{
		{"ext4 by UUID", cloud, "ext4", "", "root=UUID=" + fsUUID, "3 COLOUR=blue", "/sbin/init 3", "/dev/vda"},
		{"xfs by LABEL", cloud, "xfs", "", "root=LABEL=" + fsLabel + " rootfstype=xfs", rescue + " rootflags=noatime quiet", "/sbin/init", "/dev/vda"},
		{"btrfs on GPT by PARTUUID", cloud, "btrfs", gpt, "root=PARTUUID=" + partUUID, rescue + " rw", "/sbin/init", "/dev/vda2"},
		{"ext4, which is a module, on MBR by PARTUUID", vmtest.GenericKernel(t), "ext4", mbr, "root=PARTUUID=" + diskID + "-06", rescue + " ro", "/sbin/init", "/dev/vda6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t, tc.kernel, disk(t, fileSystem(t, root, tc.fs), tc.table), tc.root)
			t.Parallel() // the root's fstab is that of each in turn
			g := vmtest.Start(t, line(m, tc.line))
			shell, state := login, "running"
			if strings.HasPrefix(tc.line, rescue) {
				shell, state = maintenance, "maintenance"
			}
			shell(g)
			got := ask(t, g)
			check(t, got, map[string]string{"state": state, "failed": "", "argv": tc.argv, "hostname": hostname,
				"tty": "/dev/ttyS0", "old-root": "", "leftovers": "/run/initramfs", "writable": "yes"})
			if !strings.HasPrefix(got["mount"], tc.device+" / "+tc.fs+" rw,") {
				t.Errorf("the root is %q, want %s on %s, which can be written to", got["mount"], tc.fs, tc.device)
			}
			// The root comes read-only, so that Debian can check it.
			if tc.fs == "ext4" && !strings.Contains(got["fsck"], ": clean,") {
				t.Errorf("fsck says %q, want the root to be clean", got["fsck"])
			}
			if !strings.HasSuffix(got["line"], tc.line) {
				t.Errorf("/proc/cmdline is %q, want %q at its end", got["line"], tc.line)
			}
			end(t, g)
		})
	}
}
