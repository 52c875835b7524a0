//go:build linux

// Package cmdline asks real kernels what they make of awkward command lines.
package cmdline

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
	"rambox/pkg/cmdline"
)

// witness is an init that writes down, in hex, what the kernel gave it.
const witness = `
#include <stdio.h>
#include <sys/reboot.h>
#include <termios.h>
int main(int argc, char **argv, char **envp) {
	for (int i = 1; i < argc; i++) { printf("arg:"); for (char *c = argv[i]; *c; c++) printf("%02x", *c & 255); puts(";"); }
	for (int i = 0; envp[i]; i++) { printf("env:"); for (char *c = envp[i]; *c; c++) printf("%02x", *c & 255); puts(";"); }
	puts("end;");
	fflush(stdout);
	tcdrain(1); // else the kernel's last words come between ours
	reboot(RB_AUTOBOOT);
	return 0;
}`

// TestParseAgreesWithTheKernel boots every group of awkward lines and compares
// PID 1's arguments and environment with what Parse and Passed say.
func TestParseAgreesWithTheKernel(t *testing.T) {
	dir := t.TempDir()
	vmtest.Copy(t, vmtest.Program(t, witness), dir, "init")
	initrd := vmtest.Archive(t, dir)
	raw, err := os.ReadFile(filepath.Join(vmtest.Root(t), "pkg", "cmdline", "testdata", "awkward.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []kernels.Kernel{vmtest.CloudKernel(t), vmtest.RunKernel(t)} {
		for group := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\n"), "\n\n") {
			line := strings.ReplaceAll(group, "\n", " ")
			out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: initrd, Append: line})
			wantArgs, wantEnv := cmdline.Parse(strings.Join(append(qemu.Machine{Arch: k.Arch}.BootArgs(), line), " ")).Passed(taken)
			if diff := cmp.Diff(wantArgs, reported(t, out, "arg:")); diff != "" {
				t.Errorf("%s, %q: arguments (-ours +the kernel's):\n%s", k.Release, line, diff)
			}
			if diff := cmp.Diff(wantEnv, reported(t, out, "env:")); diff != "" {
				t.Errorf("%s, %q: environment (-ours +the kernel's):\n%s", k.Release, line, diff)
			}
		}
	}
}

// taken are the words of the lines that the kernel keeps for itself.
func taken(a cmdline.Arg) bool {
	switch a.Name {
	case "console", "panic":
		return a.HasValue
	case "no_timer_check":
		return !a.HasValue
	}
	return false
}

func reported(t *testing.T, console, kind string) []string {
	t.Helper()
	if !strings.Contains(console, "end;") {
		t.Fatalf("the witness did not come to its end:\n%s", console)
	}
	var words []string
	for line := range strings.Lines(console) {
		digits, ok := strings.CutPrefix(strings.TrimSpace(line), kind)
		if !ok {
			continue
		}
		digits, _, _ = strings.Cut(digits, ";")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		words = append(words, string(b))
	}
	return words
}
