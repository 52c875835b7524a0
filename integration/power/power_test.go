//go:build linux

// Package power ends machines in every way that they can be asked to end.
package power

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// waiting is a payload that never ends by itself, but cleanly when asked.
const waiting = "#!/bin/sh\ntrap 'echo payload was asked to end; exit 3' TERM\necho wait''ing\nwhile :; do sleep 1; done\n"

// TestRequests asks PID 1 from inside the guest.
func TestRequests(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	for _, name := range []string{"poweroff", "reboot", "halt"} {
		vmtest.Copy(t, vmtest.Init(t), dir, "sbin/"+name)
	}
	vmtest.WriteFile(t, dir, "app", 0o755, strings.Replace(waiting, "while", "($1)& while", 1))
	initrd := vmtest.Archive(t, dir)
	cloud, run := vmtest.CloudKernel(t), vmtest.RunKernel(t)
	for _, tc := range []struct {
		name, ask, end string
		kernel         kernels.Kernel
	}{
		{"SIGTERM", "kill -TERM 1", "reboot: Restarting system", cloud},
		{"SIGINT", "kill -INT 1", "reboot: Restarting system", run},
		{"SIGUSR1", "kill -USR1 1", "reboot: System halted", run},
		{"SIGUSR2", "kill -USR2 1", "reboot: Power down", cloud},
		{"SIGPWR", "kill -PWR 1", "reboot: Power down", run},
		{"poweroff", "/sbin/poweroff", "reboot: Power down", run},
		{"reboot", "/sbin/reboot", "reboot: Restarting system", cloud},
		{"halt", "/sbin/halt", "reboot: System halted", run},
		{"poweroff -f", "/sbin/poweroff -f", "reboot: Power down", run},
		{"busybox poweroff", "busybox poweroff", "reboot: Power down", cloud},
		{"busybox reboot", "busybox reboot", "reboot: Restarting system", run},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := vmtest.Start(t, vmtest.VM{Kernel: tc.kernel, Initrd: initrd, Append: `rambox.payload=/app -- "` + tc.ask + `"`})
			g.Expect("waiting")
			if !strings.HasSuffix(tc.name, "-f") {
				g.Expect("payload was asked to end")
			}
			g.Expect(tc.end)
			if tc.end == "reboot: System halted" {
				g.Kill()
				return
			}
			g.End()
		})
	}
}

// TestOtherSignalsDoNotKillInit sends PID 1 what would end another program.
func TestOtherSignalsDoNotKillInit(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	vmtest.WriteFile(t, dir, "app", 0o755, `#!/bin/sh
trap 'echo got HUP' HUP
for s in ALRM PIPE ABRT TRAP BUS FPE SEGV ILL SYS STKFLT PROF VTALRM XCPU XFSZ IO TSTP TTIN TTOU QUIT HUP RTMIN RTMAX; do
	[ $s = QUIT ] && trap '' QUIT
	kill -$s 1
	sleep 0.02
done
echo all sent
`)
	out := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.RunKernel(t), Initrd: vmtest.Archive(t, dir), Append: "rambox.payload=/app"})
	vmtest.Contains(t, out, "got HUP", "all sent", "rambox: payload /app: exit 0", "Power down")
	vmtest.Lacks(t, out, "Kernel panic")
}

// TestCtrlAltDel presses the keys on the machine's keyboard.
func TestCtrlAltDel(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	vmtest.WriteFile(t, dir, "app", 0o755, waiting)
	monitor := filepath.Join(t.TempDir(), "monitor")
	g := vmtest.Start(t, vmtest.VM{Kernel: vmtest.CloudKernel(t), Initrd: vmtest.Archive(t, dir), Append: "rambox.payload=/app",
		Extra: []string{"-monitor", "unix:" + monitor + ",server=on,wait=off"}})
	g.Expect("waiting")
	conn, err := net.Dial("unix", monitor)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("sendkey ctrl-alt-delete\n")); err != nil {
		t.Fatal(err)
	}
	g.Expect("payload was asked to end")
	g.Expect("reboot: Restarting system")
	g.End()
}

// TestStubbornPrograms ends a payload and a daemon that ignore SIGTERM, and
// one that is stopped.
func TestStubbornPrograms(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	vmtest.WriteFile(t, dir, "app", 0o755, "#!/bin/sh\ntrap '' TERM\n(busybox setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done')&\nsleep 1000 & kill -STOP $!\nkill -USR2 1\nwhile :; do sleep 1; done\n")
	out := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.RunKernel(t), Initrd: vmtest.Archive(t, dir), Append: "rambox.payload=/app"})
	vmtest.Contains(t, out, "rambox: payload /app: signal 9", "Power down")
	vmtest.Lacks(t, out, "did not end after SIGKILL")
}

// TestWithoutPowerOff boots a machine that the kernel cannot switch off.
func TestWithoutPowerOff(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, line, end string }{
		{"halts", "", "reboot: System halted"},
		{"resets", "rambox.nopower=reboot", "reboot: Restarting system"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := vmtest.Start(t, vmtest.VM{Kernel: vmtest.CloudKernel(t), Initrd: vmtest.Archive(t, vmtest.Tree(t)), Append: "acpi=off rambox.payload=/bin/true " + tc.line})
			g.Expect("this kernel cannot power the machine off")
			g.Expect(tc.end)
			g.Kill()
		})
	}
}

// TestDisksAreCleanAfterwards: what a payload has written and mounted is on the
// disk, and its file system was unmounted.
func TestDisksAreCleanAfterwards(t *testing.T) {
	t.Parallel()
	cloud, run := vmtest.CloudKernel(t), vmtest.RunKernel(t)
	for _, tc := range []struct {
		name   string
		kernel kernels.Kernel
		script string
	}{
		{"unmounted", run, "mount -t ext4 /dev/vda /mnt && echo precious > /mnt/file"},
		{"in use", cloud, "mount -t ext4 /dev/vda /mnt && echo precious > /mnt/file && mount -t tmpfs none /mnt/lost+found && cd /mnt && kill -USR2 1; sleep 1000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			disk := vmtest.Ext4(t, t.TempDir(), "16")
			dir := vmtest.Tree(t)
			vmtest.AddModules(t, dir, tc.kernel, "virtio_pci", "virtio_blk")
			vmtest.WriteFile(t, dir, "app", 0o755, "#!/bin/sh\nbusybox mkdir /mnt\n"+tc.script+"\n")
			out := vmtest.Boot(t, vmtest.VM{Kernel: tc.kernel, Initrd: vmtest.Archive(t, dir), Disks: []qemu.Disk{{Path: disk}}, Append: "rambox.payload=/app"})
			vmtest.Contains(t, out, "reboot: Power down")
			if got := vmtest.Command(t, "debugfs", "-R", "cat file", disk); !strings.Contains(got, "precious") {
				t.Errorf("the disk has %q", got)
			}
			if got := vmtest.Command(t, "dumpe2fs", "-h", disk); strings.Contains(got, "needs_recovery") || !strings.Contains(got, "Filesystem state:         clean") {
				t.Errorf("the file system was not unmounted:\n%s", got)
			}
		})
	}
}
