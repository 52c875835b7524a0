//go:build linux

package bench

import (
	"strings"
	"testing"
	"time"

	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// BenchmarkMemoryFloor finds the least memory, in MB, that jobs 1 and 2 run in,
// with images that gzip has compressed: that is what rambox run does where memory
// is little.
func BenchmarkMemoryFloor(b *testing.B) {
	k := vmtest.CloudKernel(b)
	disks := []qemu.Disk{payloadDisk(b)}
	for _, tc := range []struct {
		name string
		vm   vmtest.VM
	}{
		{"job1/rambox", vmtest.VM{Initrd: ourImage(b), Append: "rambox.payload=/app rootfstype=ramfs"}},
		{"job1/C", vmtest.VM{Initrd: cImage(b), Append: "rootfstype=ramfs"}},
		{"job1/busybox-script", vmtest.VM{Initrd: scriptImage(b), Append: "rootfstype=ramfs"}},
		{"job2/rambox", vmtest.VM{Initrd: ourRootImage(b, k, true), Disks: disks, Append: rootLine}},
		{"job2/busybox-script", vmtest.VM{Initrd: scriptRootImage(b, k, true), Disks: disks}},
	} {
		tc.vm.Kernel, tc.vm.Limit = k, 20*time.Second
		vmtest.Command(b, "gzip", "-9", tc.vm.Initrd)
		tc.vm.Initrd += ".gz"
		b.Run(tc.name, func(b *testing.B) {
			for b.Loop() {
				low, high := int64(32), int64(128) // high boots
				for high-low > 1 {
					mid := (low + high) / 2
					if boots(b, tc.vm, mid) {
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

func boots(b *testing.B, vm vmtest.VM, megabytes int64) bool {
	vm.Memory = megabytes << 20
	g := vmtest.Start(b, vm)
	g.VM().Wait()
	return strings.Contains(g.Shown(), "PAYLOAD")
}
