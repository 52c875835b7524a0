//go:build linux && small

// Package small holds what our own small kernels promise: how large they are, with
// how little memory they run a program, how soon, and that the machine without PCI
// and ACPI, for which they are made, does all that another does.
package small

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// result is what one call of rambox left behind.
type result struct {
	args           []string
	status         int
	stdout, stderr string
}

// rambox runs the tool with a limit that no healthy run comes near.
func rambox(t testing.TB, stdin []byte, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, vmtest.Rambox(t), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%v: %v, %v\n%s", cmd, err, ctx.Err(), errs.String())
	}
	return result{args, cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// want fails the test unless the run ended with a status and printed a text.
func (r result) want(t testing.TB, status int, stdout string) {
	t.Helper()
	if r.status != status || r.stdout != stdout {
		t.Errorf("rambox %q = %d, stdout %q, want %d and %q\n%s", r.args, r.status, r.stdout, status, stdout, r.stderr)
	}
}

// kernel builds a kernel, unless it is there.
func kernel(t testing.TB, profile, arch string) kernels.Kernel {
	t.Helper()
	k, err := kernels.Build(t.Context(), kernels.BuildOptions{Profile: profile, Arch: arch, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		profile string
		most    float64 // MiB
	}{{"tiny", 1.0}, {"micro", 1.6}} {
		k := kernel(t, tc.profile, "amd64")
		info, err := os.Stat(k.Path)
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(info.Size()) / (1 << 20); got > tc.most {
			t.Errorf("%s has %.2f MiB, want at most %.1f", k.Path, got, tc.most)
		}
	}
}

// static is a program without a library, for x86 with 32 or 64 bits.
const static = `
#ifdef __x86_64__
static long call(long n, long a, long b, long c) {
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
}
enum { write = 1, exit = 60 };
#else
static long call(long n, long a, long b, long c) {
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory");
	return r;
}
enum { write = 4, exit = 1 };
#endif
void _start(void) {
	unsigned low, high, us;
	char text[] = "0000000000 us\n";
	int i;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	us = low / 1000;
	for (i = 9; i >= 0; i--) {
		text[i] += us % 10;
		us /= 10;
	}
	call(write, 1, (long)text, sizeof text - 1);
	call(exit, 0, 0, 0);
	for (;;) {}
}`

// payload compiles static for an architecture. It prints the counter of cycles.
func payload(t testing.TB, arch string) string {
	t.Helper()
	bits := map[string]string{"amd64": "-m64", "386": "-m32"}[arch]
	dir := t.TempDir()
	vmtest.WriteFile(t, dir, "main.c", 0o644, static)
	out := filepath.Join(dir, "payload")
	vmtest.Command(t, "gcc", bits, "-Os", "-static", "-nostdlib", "-fno-pie", "-no-pie", "-fno-stack-protector", "-o", out, filepath.Join(dir, "main.c"))
	return out
}

// leased prints what the DHCP client has written about eth0, and the name of the
// process that keeps the lease.
const leased = `
#include <glob.h>
#include <stdio.h>
#include <string.h>
int main(void) {
	char line[256];
	glob_t found;
	FILE *f = fopen("/run/net-eth0.conf", "r");
	if (!f) return 3;
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, "IPV4ADDR", 8)) fputs(line, stdout);
	fclose(f);
	glob("/proc/[0-9]*/cmdline", 0, 0, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		f = fopen(found.gl_pathv[i], "r");
		if (f && fgets(line, sizeof line, f) && !strcmp(line, "rambox-net")) puts(line);
		if (f) fclose(f);
	}
	return 0;
}`

// TestMemory boots with just as much memory as is promised.
func TestMemory(t *testing.T) {
	init386 := filepath.Join(filepath.Dir(vmtest.Rambox(t)), "386", "init")
	micro := []string{"--machine", "microvm", "--net", "user", "--busybox", "none", "--"}
	for _, tc := range []struct {
		name, profile, arch, memory string
		args                        []string
		stdout                      string // an expression
	}{
		{"a program", "tiny", "amd64", "14M", []string{"--busybox", "none", "--", payload(t, "amd64")}, `^\d{10} us\n$`},
		{"a program with 32 bits", "tiny", "386", "10M", []string{"--init", init386, "--busybox", "none", "--", payload(t, "386")}, `^\d{10} us\n$`},
		{"a shell", "tiny", "amd64", "16M", []string{"--", "sh", "-c", "ls -d /proc/1; uname -s"}, "^/proc/1\nLinux\n$"},
		{"a network", "micro", "amd64", "20M", append(micro, vmtest.Program(t, leased)), "^IPV4ADDR='10.0.2.15'\nrambox-net\n$"},
		{"a program on Debian's kernel", "cloud", "amd64", "73M", []string{"--busybox", "none", "--", payload(t, "amd64")}, `^\d{10} us\n$`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := vmtest.CloudKernel(t)
			if tc.profile != "cloud" {
				k = kernel(t, tc.profile, tc.arch)
			}
			got := rambox(t, nil, append([]string{"run", "--kernel", k.Release, "--arch", tc.arch, "--memory", tc.memory}, tc.args...)...)
			if !regexp.MustCompile(tc.stdout).MatchString(got.stdout) {
				t.Errorf("rambox %q = %d, stdout %q, want %q\n%s", got.args, got.status, got.stdout, tc.stdout, got.stderr)
			}
		})
	}
}

// TestPowerOn counts the instructions from power-on to the program: under
// -icount one of them takes one nanosecond of the machine's clock, which is the
// counter of cycles, and a figure repeats to the microsecond.
func TestPowerOn(t *testing.T) {
	img := filepath.Join(t.TempDir(), "image")
	if got := rambox(t, nil, "build", "-o", img, "--kernel", "none", "--no-busybox", "--compress", "none", "--payload", payload(t, "amd64")); got.status != 0 {
		t.Fatal(got.stderr)
	}
	k := kernel(t, "tiny", "amd64").Direct()
	if !strings.HasPrefix(filepath.Base(k.Path), "vmlinux-") {
		t.Errorf("no vmlinux is beside %s", k.Path)
	}
	for _, tc := range []struct {
		machine string
		most    float64 // ms
	}{{"microvm", 30}, {"pc", 60}} {
		console := vmtest.Boot(t, vmtest.VM{
			Kernel: k, Type: tc.machine, Initrd: img, Memory: 64 << 20, Append: "quiet noapictimer reboot=t rambox.nopower=reboot",
			Extra: []string{"-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm"},
		})
		m := regexp.MustCompile(`(\d{10}) us`).FindStringSubmatch(console)
		if m == nil {
			t.Fatalf("the program printed no time; the console:\n%s", console)
		}
		us, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.2f ms", tc.machine, float64(us)/1000)
		if ms := float64(us) / 1000; ms > tc.most {
			t.Errorf("%s: %.2f ms of instructions to the program, want at most %.0f", tc.machine, ms, tc.most)
		}
	}
}
