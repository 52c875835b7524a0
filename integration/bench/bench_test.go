//go:build linux

// Package bench measures what the design has budgets for, beside the simplest
// thing that does the same job, on the same kernel and in one run. In-guest
// times are instructions: under -icount shift=0,sleep=off one nanosecond of the
// guest's clock is one instruction, so a figure repeats to the microsecond.
package bench

import (
	"os"
	"os/exec"
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

// payload marks in the kernel's log the moment at which it runs, and stays for
// a moment where it is PID 1.
const payload = `
#include <fcntl.h>
#include <unistd.h>
int main(void) {
	int fd = open("/dev/kmsg", O_WRONLY);
	write(fd, "<4>PAYLOAD\n", 11);
	if (getpid() == 1) { sleep(1); }
	return 0;
}`

// cInit is the least that an init can do for job 1.
const cInit = `
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
	mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
	mount("proc", "/proc", "proc", 0, 0);
	mount("sysfs", "/sys", "sysfs", 0, 0);
	if (fork() == 0) { execl("/app", "/app", (char *)0); _exit(127); }
	wait(0);
	reboot(RB_POWER_OFF);
	return 0;
}`

const busyboxInit = `#!/bin/sh
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
/app
busybox poweroff -f
`

const busyboxRoot = `#!/bin/sh
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
MODULES
mount -t ext4 -o ro /dev/vda /newroot
mount --move /dev /newroot/dev
mount --move /proc /newroot/proc
mount --move /sys /newroot/sys
exec busybox switch_root /newroot /sbin/init
`

var stamp = regexp.MustCompile(`(?m)^\[ *(\d+\.\d+)\] (?:(Run \S+ as init process|BEGIN)|(PAYLOAD))`)

// elapsed returns the milliseconds of the guest's clock between "Run /init", or
// a later BEGIN, and the payload.
func elapsed(b *testing.B, console string) float64 {
	b.Helper()
	var start, end float64
	for _, m := range stamp.FindAllStringSubmatch(strings.ReplaceAll(console, "\r", ""), -1) {
		at := seconds(b, m[1])
		if m[2] != "" {
			start = at
		} else if end == 0 {
			end = at
		}
	}
	if start == 0 || end == 0 {
		b.Fatalf("no marks on the console:\n%s", console)
	}
	return (end - start) * 1000
}

// seconds reads a time stamp of the kernel.
func seconds(b *testing.B, stamp string) float64 {
	b.Helper()
	at, err := strconv.ParseFloat(stamp, 64)
	if err != nil {
		b.Fatal(err)
	}
	return at
}

// exact has the guest's clock count instructions. qemu64 has no mitigations
// that would be measured along; on the machine type pc the kernel interprets
// ACPI code for 80 ms at the first interrupt. idle=poll and ioeventfd=off keep
// the clock from jumping while the guest waits for the host.
func exact(vm vmtest.VM) vmtest.VM {
	vm.Extra = append(vm.Extra, "-machine", "q35", "-cpu", "qemu64", "-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm",
		"-global", "virtio-blk-pci.ioeventfd=off")
	vm.Append = "printk.time=1 idle=poll " + vm.Append
	vm.Limit = 3 * time.Minute
	return vm
}

func measure(b *testing.B, name string, vm vmtest.VM) {
	b.Run(name, func(b *testing.B) {
		vm := exact(vm)
		for b.Loop() {
			g := vmtest.Start(b, vm)
			g.Expect("PAYLOAD")
			g.Expect("\n")
			b.ReportMetric(elapsed(b, g.Shown()), "ms-of-instructions")
			g.Kill()
		}
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkJob1 runs a static payload.
func BenchmarkJob1(b *testing.B) {
	k := vmtest.CloudKernel(b)
	app := vmtest.Program(b, payload)
	image := func(init func(dir string)) string {
		dir := b.TempDir()
		vmtest.Copy(b, app, dir, "app")
		for _, d := range []string{"dev", "proc", "sys"} {
			mkdir(b, dir, d)
		}
		init(dir)
		return vmtest.Archive(b, dir)
	}
	measure(b, "rambox", vmtest.VM{Kernel: k, Append: "rambox.payload=/app", Initrd: image(func(dir string) {
		vmtest.Copy(b, vmtest.Init(b), dir, "init")
	})})
	measure(b, "C", vmtest.VM{Kernel: k, Initrd: image(func(dir string) {
		vmtest.Copy(b, vmtest.Program(b, cInit), dir, "init")
	})})
	measure(b, "busybox-script", vmtest.VM{Kernel: k, Initrd: image(func(dir string) {
		vmtest.WriteFile(b, dir, "init", 0o755, busyboxInit)
		vmtest.AddBusybox(b, dir)
	})})
}

// BenchmarkJob2 loads virtio_blk, mounts ext4 and switches to it.
func BenchmarkJob2(b *testing.B) {
	k := vmtest.CloudKernel(b)
	root := b.TempDir()
	vmtest.Copy(b, vmtest.Program(b, payload), root, "sbin/init")
	for _, d := range []string{"dev", "proc", "sys", "run"} {
		mkdir(b, root, d)
	}
	disk := qemu.Disk{Path: vmtest.Ext4(b, root, "16"), ReadOnly: true}
	ours := func(unsigned bool) string {
		dir := b.TempDir()
		vmtest.Copy(b, vmtest.Init(b), dir, "init")
		vmtest.AddModules(b, dir, k, "virtio_pci", "virtio_blk")
		if unsigned {
			unsign(b, dir)
		}
		return vmtest.Archive(b, dir)
	}
	script := func(unsigned bool) string {
		dir := b.TempDir()
		vmtest.AddBusybox(b, dir)
		for _, d := range []string{"dev", "proc", "sys", "newroot"} {
			mkdir(b, dir, d)
		}
		vmtest.AddModules(b, dir, k, "virtio_pci", "virtio_blk")
		if unsigned {
			unsign(b, dir)
		}
		vmtest.WriteFile(b, dir, "init", 0o755, strings.Replace(busyboxRoot, "MODULES", insmods(b, dir, k, "virtio_pci", "virtio_blk"), 1))
		return vmtest.Archive(b, dir)
	}
	disks := []qemu.Disk{disk}
	const line = "root=/dev/vda rootfstype=ext4 ro"
	measure(b, "rambox", vmtest.VM{Kernel: k, Initrd: ours(false), Disks: disks, Append: line})
	measure(b, "busybox-script", vmtest.VM{Kernel: k, Initrd: script(false), Disks: disks})
	measure(b, "rambox-unsigned", vmtest.VM{Kernel: k, Initrd: ours(true), Disks: disks, Append: line})
	measure(b, "busybox-script-unsigned", vmtest.VM{Kernel: k, Initrd: script(true), Disks: disks})
}

func mkdir(b *testing.B, dir, name string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		b.Fatal(err)
	}
}

// unsign cuts the signatures off the modules below dir.
func unsign(b *testing.B, dir string) {
	b.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".ko") {
			return err
		}
		module, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		const magic = "~Module signature appended~\n"
		body, ok := strings.CutSuffix(string(module), magic)
		if !ok {
			return nil
		}
		// The last four bytes before the magic are the signature's length.
		n := len(body)
		length := int(body[n-4])<<24 | int(body[n-3])<<16 | int(body[n-2])<<8 | int(body[n-1])
		return os.WriteFile(p, []byte(body[:n-12-length]), 0o644)
	})
	if err != nil {
		b.Fatal(err)
	}
}

// insmods is the loading order that modprobe would take.
func insmods(b *testing.B, dir string, k kernels.Kernel, modules ...string) string {
	b.Helper()
	var lines strings.Builder
	seen := map[string]bool{}
	for _, m := range modules {
		out := vmtest.Command(b, "modprobe", "-d", dir, "-S", k.Release, "--show-depends", m)
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if len(f) < 2 || f[0] != "insmod" || seen[f[1]] {
				continue
			}
			seen[f[1]] = true
			lines.WriteString("busybox insmod " + strings.TrimPrefix(f[1], dir) + "\n")
		}
	}
	return lines.String()
}

// BenchmarkMemoryFloor finds the least memory, in MB, that a job runs in.
func BenchmarkMemoryFloor(b *testing.B) {
	k := vmtest.CloudKernel(b)
	app := vmtest.Program(b, payload)
	image := func(init string) string {
		dir := b.TempDir()
		vmtest.Copy(b, init, dir, "init")
		vmtest.Copy(b, app, dir, "app")
		mkdir(b, dir, "dev")
		mkdir(b, dir, "proc")
		mkdir(b, dir, "sys")
		return vmtest.Archive(b, dir)
	}
	for _, tc := range []struct{ name, initrd string }{
		{"rambox", image(vmtest.Init(b))},
		{"C", image(vmtest.Program(b, cInit))},
	} {
		b.Run(tc.name, func(b *testing.B) {
			for b.Loop() {
				low, high := int64(32), int64(128) // high boots
				for high-low > 1 {
					mid := (low + high) / 2
					if boots(b, k, tc.initrd, mid) {
						high = mid
					} else {
						low = mid
					}
				}
				b.ReportMetric(float64(high), "MB")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func boots(b *testing.B, k kernels.Kernel, initrd string, megabytes int64) bool {
	g := vmtest.Start(b, vmtest.VM{Kernel: k, Initrd: initrd, Memory: megabytes << 20, Limit: 20 * time.Second, Append: "rambox.payload=/app"})
	g.VM().Wait()
	return strings.Contains(g.Shown(), "PAYLOAD")
}

// BenchmarkRun is the wall time of a whole run beside a QEMU command line
// written by hand with a C init, on the same kernel.
func BenchmarkRun(b *testing.B) {
	b.Run("cloud", func(b *testing.B) { benchmarkRun(b, vmtest.CloudKernel(b)) })
	b.Run("ours", func(b *testing.B) { benchmarkRun(b, vmtest.RunKernel(b)) })
}

func benchmarkRun(b *testing.B, k kernels.Kernel) {
	tool := []string{vmtest.Rambox(b), "run", "--kernel", k.Path, "--accel", "tcg", "--", "true"}
	b.Run("rambox", func(b *testing.B) { wall(b, tool) })

	dir := b.TempDir()
	vmtest.Copy(b, vmtest.Program(b, cInit), dir, "init")
	vmtest.Copy(b, vmtest.Program(b, "int main(void) { return 0; }"), dir, "app")
	for _, d := range []string{"dev", "proc", "sys"} {
		mkdir(b, dir, d)
	}
	hand := []string{"qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-m", "256", "-cpu", "max",
		"-kernel", k.Path, "-initrd", vmtest.Archive(b, dir), "-append", "console=ttyS0 panic=-1 quiet no_timer_check"}
	b.Run("by-hand", func(b *testing.B) { wall(b, hand) })
}

// BenchmarkBuild is the wall time of an image of init and busybox.
func BenchmarkBuild(b *testing.B) {
	file := filepath.Join(b.TempDir(), "image")
	wall(b, []string{vmtest.Rambox(b), "build", "-q", "-o", file, "--kernel", "none"})
	st, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(st.Size())/(1<<20), "MiB")
}

// wall runs a command seven times and reports the median.
func wall(b *testing.B, argv []string) {
	b.Helper()
	for b.Loop() {
		var times []float64
		for range 7 {
			start := time.Now()
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				b.Fatalf("%v: %v\n%s", argv, err, out)
			}
			times = append(times, time.Since(start).Seconds())
		}
		slices.Sort(times)
		b.ReportMetric(times[len(times)/2], "s-wall-median")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSize is what bin/init weighs.
func BenchmarkSize(b *testing.B) {
	for b.Loop() {
		st, err := os.Stat(vmtest.Init(b))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(st.Size())/(1<<20), "MiB")
	}
	b.ReportMetric(0, "ns/op")
}
