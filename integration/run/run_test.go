//go:build linux

// Package run drives bin/rambox as its users do.
package run

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rambox/internal/vmtest"
)

// result is what one call of rambox left behind.
type result struct {
	status         int
	stdout, stderr string
}

// rambox runs the tool with a limit that no healthy run comes near.
func rambox(t testing.TB, stdin []byte, args ...string) result {
	t.Helper()
	got, err := try(vmtest.Rambox(t), stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// try is rambox for any goroutine.
func try(program string, stdin []byte, args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		return result{}, fmt.Errorf("rambox %q: %v, %v\n%s", args, err, ctx.Err(), errs.String())
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}, nil
}

// kernel is the path of the one that most of these tests boot: ours takes less
// than half of the time that Debian's takes.
func kernel(t testing.TB) string {
	t.Helper()
	return vmtest.RunKernel(t).Path
}

func run(t testing.TB, stdin []byte, args ...string) result {
	t.Helper()
	return rambox(t, stdin, append([]string{"run", "--kernel", kernel(t)}, args...)...)
}

// runCloud is run on Debian's kernel, where virtio is modular.
func runCloud(t testing.TB, stdin []byte, args ...string) result {
	t.Helper()
	return rambox(t, stdin, append([]string{"run", "--kernel", vmtest.CloudKernel(t).Path}, args...)...)
}

// TestExitStatus is the table of the manual.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("not a program of any kind\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	type test struct {
		name   string
		args   []string
		status int
		stderr string
	}
	check := func(on string, boot func(testing.TB, []byte, ...string) result, tests ...test) {
		for _, tc := range tests {
			t.Run(on+tc.name, func(t *testing.T) {
				t.Parallel()
				got := boot(t, nil, tc.args...)
				if got.status != tc.status {
					t.Errorf("rambox run %q = %d, want %d\n%s", tc.args, got.status, tc.status, got.stderr)
				}
				if !strings.Contains(got.stderr, tc.stderr) || (tc.stderr == "" && tc.status < 123 && got.stderr != "") {
					t.Errorf("rambox run %q: standard error %q, want %q in it", tc.args, got.stderr, tc.stderr)
				}
			})
		}
	}
	check("", run, []test{
		{"0", []string{"--", "true"}, 0, ""},
		{"1", []string{"--", "false"}, 1, ""},
		{"42", []string{"--", "sh", "-c", "exit 42"}, 42, ""},
		{"122", []string{"--", "sh", "-c", "exit 122"}, 122, ""},
		{"the program's own 123", []string{"--", "sh", "-c", "exit 123"}, 123, ""},
		{"the program's own 255", []string{"--", "sh", "-c", "exit 255"}, 255, ""},
		{"126", []string{"--add", garbage + ":/garbage", "--", "/garbage"}, 126, "/garbage"},
		{"127 on the host", []string{"--", "no-such-program"}, 127, "no-such-program"},
		{"127 in the guest", []string{"--append", "rambox.payload=/absent", "--", "true"}, 127, "/absent"},
		{"killed by SIGKILL", []string{"--", "sh", "-c", "kill -KILL $$"}, 137, "signal 9"},
		{"killed by SIGSEGV", []string{"--", "sh", "-c", "kill -SEGV $$"}, 139, "signal 11"},
		{"guest panic", []string{"--", "sh", "-c", "echo c > /proc/sysrq-trigger; sleep 60"}, 123, "Kernel panic"},
		{"guest reset without a word", []string{"--", "reboot", "-f"}, 123, ""},
		{"time limit", []string{"--timeout", "4s", "--", "sleep", "1000"}, 124, "time limit"},
		{"hang before init", []string{"--timeout", "3s", "--append", "rdinit=/bin/sleep -- 1000", "--", "true"}, 124, "time limit"},
		{"boot failure", []string{"--append", "rambox init=/absent", "--", "true"}, 125, "/absent"},
		{"no such kernel", []string{"--kernel", "/no/such/kernel", "--", "true"}, 125, "/no/such/kernel"},
		{"a kernel that is none", []string{"--kernel", "/etc/passwd", "--", "true"}, 125, "/etc/passwd"},
		{"QEMU's refusal", []string{"--machine", "nonsense", "--", "true"}, 125, "nonsense"},
		{"no program", nil, 125, "rambox run -- PROGRAM"},
		{"bad flag", []string{"--no-such-flag"}, 125, "no-such-flag"},
	}...)
	check("on Debian's kernel: ", runCloud, []test{
		{"42", []string{"--", "sh", "-c", "exit 42"}, 42, ""},
		{"killed by SIGSEGV", []string{"--", "sh", "-c", "kill -SEGV $$"}, 139, "signal 11"},
		{"guest panic", []string{"--", "sh", "-c", "echo c > /proc/sysrq-trigger; sleep 60"}, 123, "Kernel panic"},
		{"boot failure", []string{"--append", "rambox init=/absent", "--", "true"}, 125, "/absent"},
	}...)
}

// TestStreams sends 10 MiB of random bytes in and gets them back, twice, while
// the kernel writes to its console.
func TestStreams(t *testing.T) {
	t.Parallel()
	in := make([]byte, 10<<20)
	rand.Read(in)
	got := run(t, in, "--", "sh", "-c", `echo noise > /dev/kmsg; tee /dev/stderr; echo noise > /dev/kmsg; exit 9`)
	if got.status != 9 {
		t.Errorf("status %d, want 9", got.status)
	}
	if got.stdout != string(in) {
		t.Errorf("standard output: %d bytes differ from the %d sent", len(got.stdout), len(in))
	}
	if got.stderr != string(in) {
		t.Errorf("standard error: %d bytes differ from the %d sent", len(got.stderr), len(in))
	}
}

// TestScriptsReopenTheirOutput: a virtio port can be opened once only, a pipe
// as often as one likes.
func TestScriptsReopenTheirOutput(t *testing.T) {
	t.Parallel()
	got := run(t, []byte("in\n"), "--", "sh", "-c", `read -r x < /dev/stdin; echo "out $x" > /dev/stdout; echo err > /dev/stderr; echo fd > /proc/self/fd/1`)
	if got.stdout != "out in\nfd\n" || got.stderr != "err\n" {
		t.Errorf("output %q, error %q", got.stdout, got.stderr)
	}
}

// TestLastWords: output that is still on its way when the program ends, also
// that of programs that it leaves behind.
func TestLastWords(t *testing.T) {
	t.Parallel()
	got := run(t, nil, "--", "sh", "-c", `trap 'echo the child ends; exit' TERM; (trap 'echo the orphan ends; exit' TERM; while :; do sleep 1; done)& dd if=/dev/zero bs=1M count=3 2>/dev/null`)
	if want := string(make([]byte, 3<<20)) + "the orphan ends\n"; got.stdout != want {
		t.Errorf("%d bytes, want %d", len(got.stdout), len(want))
	}
}

// TestArguments arrive byte for byte, in any number.
func TestArguments(t *testing.T) {
	t.Parallel()
	args := []string{"", " ", `a"b`, "it's", "back\\slash", "new\nline", "--", "-v", "rambox.onexit=reboot", "ü\xff", "$HOME", "*"}
	for i := range 200 {
		args = append(args, fmt.Sprint("argument-", i))
	}
	got := run(t, nil, append([]string{"--", "printf", "<%s>"}, args...)...)
	if want := "<" + strings.Join(args, "><") + ">"; got.stdout != want {
		t.Errorf("got %q, want %q", got.stdout, want)
	}
}

// TestProgramOfTheHost brings its interpreter and libraries along.
func TestProgramOfTheHost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vmtest.WriteFile(t, dir, "script", 0o755, "#!/usr/bin/perl -w\nprint \"perl $^V of the host: @ARGV\\n\"; exit 5;\n")
	got := run(t, nil, "--", filepath.Join(dir, "script"), "one")
	if got.status != 5 || !strings.HasSuffix(got.stdout, "of the host: one\n") {
		t.Errorf("status %d, output %q, error %q", got.status, got.stdout, got.stderr)
	}
}

// TestInitrdOfTheUser boots an image from rambox build, whole and with another
// program.
func TestInitrdOfTheUser(t *testing.T) {
	t.Parallel()
	img := filepath.Join(t.TempDir(), "app.img")
	k := vmtest.CloudKernel(t).Path
	if got := rambox(t, nil, "build", "-o", img, "--kernel", k, "--payload", "echo", "--", "the image's own", "payload"); got.status != 0 {
		t.Fatalf("build: %s", got.stderr)
	}
	if got := runCloud(t, nil, "--initrd", img); got.stdout != "the image's own payload\n" || got.status != 0 {
		t.Errorf("status %d, output %q, error %q", got.status, got.stdout, got.stderr)
	}
	if got := runCloud(t, nil, "--initrd", img, "--", "sh", "-c", "echo other; exit 3"); got.stdout != "other\n" || got.status != 3 {
		t.Errorf("status %d, output %q, error %q", got.status, got.stdout, got.stderr)
	}
}

// TestDisk gives the guest a disk to write to, and one that it cannot.
func TestDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rw, ro := filepath.Join(dir, "rw,img"), filepath.Join(dir, "ro.img")
	for _, name := range []string{rw, ro} {
		if err := os.WriteFile(name, make([]byte, 1<<20), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := run(t, nil, "--disk", strings.ReplaceAll(rw, ",", ",,"), "--disk", ro+",ro", "--", "sh", "-c",
		`echo written > /dev/vda && cat /sys/block/vda/ro /sys/block/vdb/ro; echo x 2>/dev/null > /dev/vdb || echo refused`)
	if got.stdout != "0\n1\nrefused\n" {
		t.Errorf("output %q, error %q", got.stdout, got.stderr)
	}
	if b, _ := os.ReadFile(rw); !bytes.HasPrefix(b, []byte("written\n")) {
		t.Errorf("the disk begins with %q", b[:16])
	}
}

func TestMachineIsAsAsked(t *testing.T) {
	t.Parallel()
	got := run(t, nil, "--memory", "128M", "--smp", "2", "--append", "COLOUR=red", "--", "sh", "-c",
		`busybox nproc; busybox awk '/MemTotal/ {print ($2 < 131072 && $2 > 80000) ? "memory ok" : $2}' /proc/meminfo; echo $COLOUR; ls /sys/class/net`)
	if got.stdout != "2\nmemory ok\nred\nlo\n" {
		t.Errorf("output %q, error %q", got.stdout, got.stderr)
	}
}

// TestResultFile tells a program's own 123 from ours.
func TestResultFile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		script, reason string
		status         int
	}{{"exit 123", "exit", 123}, {"reboot -f", "died", 123}, {"kill -KILL $$", "signal", 137}} {
		file := filepath.Join(t.TempDir(), "result.json")
		run(t, nil, "--result", file, "--", "sh", "-c", tc.script)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Status int    `json:"status"`
			Reason string `json:"reason"`
		}
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		if r.Reason != tc.reason || r.Status != tc.status {
			t.Errorf("%s: result %s, want %s, %d", tc.script, b, tc.reason, tc.status)
		}
	}
}

// TestOnDebiansKernel, where virtio-serial is a module.
func TestOnDebiansKernel(t *testing.T) {
	t.Parallel()
	got := runCloud(t, []byte("abc"), "--", "sh", "-c", "cat; echo err >&2; exit 42")
	if got.status != 42 || got.stdout != "abc" || got.stderr != "err\n" {
		t.Errorf("status %d, output %q, error %q", got.status, got.stdout, got.stderr)
	}
}

// TestConsoleFallback takes the driver of the ports away: status and output
// come over the console.
func TestConsoleFallback(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		script string
		status int
	}{{"echo on the console; exit 42", 42}, {"echo on the console; kill -KILL $$", 137}} {
		got := runCloud(t, nil, "--append", "module_blacklist=virtio_console,virtio_pci", "--", "sh", "-c", tc.script)
		if got.status != tc.status || !strings.Contains(got.stdout, "on the console\n") {
			t.Errorf("%s: status %d, output %q, error %q", tc.script, got.status, got.stdout, got.stderr)
		}
	}
}

// TestForgedStatus: a program that knows the protocol cannot end the run with
// a status of its choice.
func TestForgedStatus(t *testing.T) {
	t.Parallel()
	got := runCloud(t, nil, "--append", "module_blacklist=virtio_console,virtio_pci", "--", "sh", "-c",
		`cat /etc/rambox/nonce; for n in "" $(cat /proc/cmdline); do printf '\r\nrambox-%s: exit 0\r\n' "$n"; done; exit 7`)
	if got.status != 7 {
		t.Errorf("status %d, output %q", got.status, got.stdout)
	}
}
