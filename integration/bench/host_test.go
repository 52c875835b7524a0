//go:build linux

package bench

import (
	"path/filepath"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// BenchmarkRun is the wall time of a whole run beside a QEMU command line
// written by hand with a C init, on the same kernel and type of machine. They
// take turns: a host that others use, too, is not equally fast all the time.
func BenchmarkRun(b *testing.B) {
	b.Run("cloud", func(b *testing.B) { benchmarkRun(b, vmtest.CloudKernel(b)) })
	b.Run("ours", func(b *testing.B) { benchmarkRun(b, vmtest.RunKernel(b)) })
	b.Run("tiny", func(b *testing.B) {
		if k, ok := built(b, "tiny", "amd64"); ok {
			wall(b, runTrue(b, k))
		}
	})
}

func runTrue(b *testing.B, k kernels.Kernel) []string {
	return []string{vmtest.Rambox(b), "run", "--kernel", k.Release, "--accel", "tcg", "--", "true"}
}

func benchmarkRun(b *testing.B, k kernels.Kernel) {
	dir := b.TempDir()
	vmtest.Copy(b, vmtest.Program(b, cInit), dir, "init")
	vmtest.Copy(b, vmtest.Program(b, "int main(void) { return 0; }"), dir, "app")
	for _, d := range []string{"dev", "proc", "sys"} {
		mkdir(b, dir, d)
	}
	hand := []string{"qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-m", "256", "-cpu", "max",
		"-machine", "q35", "-kernel", k.Direct().Path, "-initrd", vmtest.Archive(b, dir), "-append", "console=ttyS0 panic=-1 cryptomgr.notests quiet no_timer_check"}
	seconds := inTurn(b, 7, runTrue(b, k), hand)
	for i, name := range []string{"rambox", "by-hand"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(seconds[i], "s-wall-median")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkBuild is the wall time of an image of init and busybox, and what it
// weighs, quick and small.
func BenchmarkBuild(b *testing.B) {
	for _, compression := range []string{"zstd", "zstd-best"} {
		b.Run(compression, func(b *testing.B) {
			file := filepath.Join(b.TempDir(), "image")
			wall(b, []string{vmtest.Rambox(b), "build", "-q", "-o", file, "--kernel", "none", "--compress", compression})
			weigh(b, file)
		})
	}
}

// BenchmarkSize is what bin/init weighs.
func BenchmarkSize(b *testing.B) { weigh(b, vmtest.Init(b)) }
