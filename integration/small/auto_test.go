//go:build linux && small

package small

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"rambox/internal/vmtest"
)

// TestMemoryAuto finds the least memory of a program that reads its input, writes
// to a disk and prints: it is given the same input each time, its output appears
// once, and the disk stays as it was.
func TestMemoryAuto(t *testing.T) {
	k := kernel(t, "micro", "amd64")
	disk := vmtest.Ext4(t, t.TempDir(), "4")
	before, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--kernel", k.Release, "--memory", "auto", "--disk", disk, "--", "sh", "-c",
		`read -r word; test "$word" = input && test "$(dd if=/dev/vda bs=4 count=1 2>/dev/null)" != used && printf used > /dev/vda && sync && echo done`}
	got := rambox(t, []byte("input\nmore\n"), args...)
	got.want(t, 0, "done\n")
	m := regexp.MustCompile(`(?m)^rambox: (\d+) MB is enough, (\d+) MB is not: \S.*\n\z`).FindStringSubmatch(got.stderr)
	if m == nil {
		t.Fatalf("rambox %q printed no answer:\n%s", args, got.stderr)
	}
	enough, _ := strconv.Atoi(m[1])
	short, _ := strconv.Atoi(m[2])
	if short != enough-1 || enough > 32 {
		t.Errorf("rambox %q: %s", args, got.stderr)
	}
	if after, err := os.ReadFile(disk); err != nil || string(after) != string(before) {
		t.Errorf("the disk has changed, %v", err)
	}
	args[4] = m[1] + "M"
	rambox(t, []byte("input\n"), args...).want(t, 0, "done\n")
}

// TestMemoryAutoRefuses what it cannot search for, in one line.
func TestMemoryAutoRefuses(t *testing.T) {
	k := kernel(t, "tiny", "amd64")
	for _, tc := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"a program that fails", []string{"--", "sh", "-c", "exit 7"}, 7, ""},
		{"a debugger", []string{"--gdb", "--", "true"}, 125, "it goes without --gdb"},
		{"a chart", []string{"--timings", "-", "--", "true"}, 125, "it goes without --timings"},
		{"no program", []string{"--", "no-such-program"}, 127, "no-such-program"},
	} {
		got := rambox(t, nil, append([]string{"run", "--kernel", k.Release, "--memory", "auto"}, tc.args...)...)
		if got.status != tc.status || !strings.Contains(got.stderr, tc.want) || strings.Contains(got.stderr, "enough") {
			t.Errorf("%s: rambox %q = %d, want %d and %q\n%s", tc.name, got.args, got.status, tc.status, tc.want, got.stderr)
		}
	}
}
