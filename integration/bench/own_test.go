//go:build linux

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
	"rambox/internal/vmtest"
)

// built is a kernel of ours, if it is there. The small ones are not built for
// this, which would take longer than everything else: the report says so.
func built(b *testing.B, profile, arch string) (kernels.Kernel, bool) {
	k, ok := kernels.FindBuilt(profile, arch)
	if !ok {
		b.ReportMetric(1, "not-built")
		b.ReportMetric(0, "ns/op")
	}
	return k, ok
}

// BenchmarkBzImage is what the small kernels weigh.
func BenchmarkBzImage(b *testing.B) {
	for _, profile := range []string{"tiny", "micro"} {
		b.Run(profile, func(b *testing.B) {
			if k, ok := built(b, profile, "amd64"); ok {
				weigh(b, k.Path)
			}
		})
	}
}

// BenchmarkLeastMemory finds the least memory, in MB, with which rambox run does
// what is promised of the small kernels, and of Debian's.
func BenchmarkLeastMemory(b *testing.B) {
	for _, run := range vmtest.LittleRuns(b) {
		b.Run(run.Name, func(b *testing.B) {
			k, ok := vmtest.CloudKernel(b), true
			if run.Profile != "" {
				k, ok = built(b, run.Profile, run.Arch)
			}
			if !ok {
				return
			}
			args := []string{"run", "--kernel", k.Release, "--arch", run.Arch, "--memory", "auto"}
			for b.Loop() {
				b.ReportMetric(leastMemory(b, append(args, run.Args...), run.Stdout), "MB")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

var enough = regexp.MustCompile(`rambox: (\d+) MB is enough`)

// leastMemory returns what rambox run finds out, and checks what the program
// prints.
func leastMemory(b *testing.B, args []string, stdout string) float64 {
	b.Helper()
	var out, errs strings.Builder
	cmd := exec.Command(vmtest.Rambox(b), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	m := enough.FindStringSubmatch(errs.String())
	if err != nil || m == nil || !regexp.MustCompile(stdout).MatchString(out.String()) {
		b.Fatalf("%v: %v, stdout %q, want %q and an answer\n%s", cmd, err, out.String(), stdout, errs.String())
	}
	mb, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return mb
}

// BenchmarkPowerOn counts the instructions from power-on to a program, on the
// kernel tiny without compression.
func BenchmarkPowerOn(b *testing.B) {
	for _, machine := range []string{"microvm", "pc"} {
		b.Run(machine, func(b *testing.B) {
			k, ok := built(b, "tiny", "amd64")
			if !ok {
				return
			}
			for b.Loop() {
				b.ReportMetric(vmtest.PowerOn(b, k.Direct(), machine), "ms-of-instructions")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkISO is an image for any PC, with a shell and DHCP: to make it, and to
// boot it by BIOS from a CD drive to a shell on a configured link.
func BenchmarkISO(b *testing.B) {
	k, ok := built(b, "iso", "amd64")
	if !ok {
		return
	}
	file := filepath.Join(b.TempDir(), "rambox.iso")
	wall(b, []string{vmtest.Rambox(b), "iso", "-q", "-o", file, "--kernel", k.Path, "--compress", "zstd-best"})
	weigh(b, file)
	cd := []string{"-drive", "if=none,id=medium,format=raw,readonly=on,file=" + file, "-device", "ide-cd,drive=medium"}
	b.ReportMetric(median(3, func() {
		g := vmtest.Start(b, vmtest.VM{Extra: slices.Concat(cd, card), Limit: 5 * time.Minute})
		g.Expect("boot:")
		g.Send("dhcp\r") // the menu would wait three seconds
		g.Expect("root@rambox:~# ")
		g.Kill()
	}), "s-boot-median")
}

// weigh reports the size of a file.
func weigh(b *testing.B, file string) {
	b.Helper()
	st, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(st.Size())/(1<<20), "MiB")
	b.ReportMetric(0, "ns/op")
}
