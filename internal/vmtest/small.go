//go:build linux

package vmtest

import (
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"rambox/internal/kernels"
)

// bare is a program without a library, for x86 with 32 or 64 bits.
const bare = `
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

// Bare compiles the least that a program can be, for amd64 or 386. It prints the
// processor's counter of cycles, as BareSays has it.
func Bare(t testing.TB, arch string) string {
	t.Helper()
	bits := map[string]string{"amd64": "-m64", "386": "-m32"}[arch]
	dir := t.TempDir()
	WriteFile(t, dir, "main.c", 0o644, bare)
	out := filepath.Join(dir, "payload")
	Command(t, "gcc", bits, "-Os", "-static", "-nostdlib", "-fno-pie", "-no-pie", "-fno-stack-protector", "-o", out, filepath.Join(dir, "main.c"))
	return out
}

// BareSays is what a run of Bare prints.
const BareSays = `^\d{10} us\n$`

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

// LittleRun is something that rambox run does with little memory.
type LittleRun struct {
	Name    string
	Profile string // of our kernel; "" is Debian's cloud kernel
	Arch    string
	Promise int      // MB with which it works
	Args    []string // of rambox run, after those for the kernel and the memory
	Stdout  string   // an expression
}

// LittleRuns are those that promises are made of.
func LittleRuns(t testing.TB) []LittleRun {
	t.Helper()
	init386 := filepath.Join(filepath.Dir(Rambox(t)), "386", "init")
	micro := []string{"--machine", "microvm", "--net", "user", "--busybox", "none", "--"}
	return []LittleRun{
		{"a program", "tiny", "amd64", 14, []string{"--busybox", "none", "--", Bare(t, "amd64")}, BareSays},
		{"a program with 32 bits", "tiny", "386", 10, []string{"--init", init386, "--busybox", "none", "--", Bare(t, "386")}, BareSays},
		{"a shell", "tiny", "amd64", 16, []string{"--", "sh", "-c", "ls -d /proc/1; uname -s"}, "^/proc/1\nLinux\n$"},
		{"a network", "micro", "amd64", 20, append(micro, Program(t, leased)), "^IPV4ADDR='10.0.2.15'\nrambox-net\n$"},
		{"a program on Debian's kernel", "", "amd64", 73, []string{"--busybox", "none", "--", Bare(t, "amd64")}, BareSays},
	}
}

// PowerOn returns the milliseconds of instructions from power-on to a program on
// a machine of QEMU's: under -icount an instruction takes one nanosecond of the
// machine's clock, which is the counter of cycles, and a figure repeats to the
// microsecond.
func PowerOn(t testing.TB, k kernels.Kernel, machine string) float64 {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	Command(t, Rambox(t), "build", "-q", "-o", image, "--kernel", "none", "--no-busybox", "--compress", "none", "--payload", Bare(t, "amd64"))
	console := Boot(t, VM{
		Kernel: k, Type: machine, Initrd: image, Memory: 64 << 20, Append: "quiet noapictimer reboot=t rambox.nopower=reboot",
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
	return float64(us) / 1000
}
