//go:build linux

package bench

import (
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rambox/internal/vmtest"
)

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

// exact has the guest's clock count instructions. idle=poll and ioeventfd=off keep
// the clock from jumping while the guest waits for the host.
func exact(vm vmtest.VM) vmtest.VM {
	vm.Append = "idle=poll " + vm.Append
	return counting(vm, "sleep=off")
}

// patient is for a guest that waits for seconds, which take minutes when it polls:
// they pass by the clock on the wall instead, and are counted as well.
func patient(vm vmtest.VM) vmtest.VM { return counting(vm, "sleep=on") }

// counting has a nanosecond for each instruction. qemu64 has no mitigations that
// would be measured along; on the machine type pc the kernel interprets ACPI code
// for 80 ms at the first interrupt.
func counting(vm vmtest.VM, idle string) vmtest.VM {
	vm.Extra = append(slices.Clone(vm.Extra), "-machine", "q35", "-cpu", "qemu64", "-icount", "shift=0,"+idle, "-rtc", "base=2026-01-01,clock=vm",
		"-global", "virtio-blk-pci.ioeventfd=off")
	vm.Append = "printk.time=1 " + vm.Append
	vm.Limit = 10 * time.Minute
	return vm
}

// measure boots vm as a benchmark of its own.
func measure(b *testing.B, name string, vm vmtest.VM) {
	b.Run(name, func(b *testing.B) { toPayload(b, exact(vm)) })
}

// toPayload reports the instructions from init's start to the payload.
func toPayload(b *testing.B, vm vmtest.VM) {
	for b.Loop() {
		g := vmtest.Start(b, vm)
		g.Expect("PAYLOAD")
		g.Expect("\n")
		b.ReportMetric(elapsed(b, g.Shown()), "ms-of-instructions")
		g.Kill()
	}
	b.ReportMetric(0, "ns/op")
}

// wall runs a command seven times and reports the median.
func wall(b *testing.B, argv []string) {
	b.Helper()
	for b.Loop() {
		b.ReportMetric(inTurn(b, 7, argv)[0], "s-wall-median")
	}
	b.ReportMetric(0, "ns/op")
}

// inTurn runs commands one after another, some times over, and returns for each
// the median of what it took, in seconds.
func inTurn(b *testing.B, times int, commands ...[]string) []float64 {
	b.Helper()
	took := make([][]float64, len(commands))
	for range times {
		for i, argv := range commands {
			start := time.Now()
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				b.Fatalf("%v: %v\n%s", argv, err, out)
			}
			took[i] = append(took[i], time.Since(start).Seconds())
		}
	}
	medians := make([]float64, len(commands))
	for i, t := range took {
		slices.Sort(t)
		medians[i] = t[len(t)/2]
	}
	return medians
}

// median calls f some times, and returns the median of what it took, in seconds.
func median(times int, f func()) float64 {
	var took []float64
	for range times {
		start := time.Now()
		f()
		took = append(took, time.Since(start).Seconds())
	}
	slices.Sort(took)
	return took[len(took)/2]
}
