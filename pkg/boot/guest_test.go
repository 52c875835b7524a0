//go:build linux

package boot

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestActiveConsole(t *testing.T) {
	for _, tc := range []struct {
		active, want string
		ok           bool
	}{
		{"tty0 ttyS0\n", "ttyS0", true},
		{"ttyS1\n", "ttyS1", true},
		{"\n", "", false},
	} {
		got, err := ActiveConsole(fstest.MapFS{"class/tty/console/active": file(tc.active)})
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("ActiveConsole(%q) = %q, %v, want %q", tc.active, got, err, tc.want)
		}
	}
	if _, err := ActiveConsole(fstest.MapFS{}); err == nil {
		t.Error("ActiveConsole of a kernel without consoles: no error")
	}
}

func TestTermType(t *testing.T) {
	for console, want := range map[string]string{
		"tty0": "linux", "tty1": "linux", "ttyS0": "vt220", "ttyAMA0": "vt220", "hvc0": "vt220", "tty": "vt220", "console": "vt220",
	} {
		if got := termType(console); got != want {
			t.Errorf("termType(%q) = %q, want %q", console, got, want)
		}
	}
}

func TestParseUevent(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     uevent
		ok       bool
	}{
		{"add", "add@/devices/virtual/block/loop0\x00ACTION=add\x00SUBSYSTEM=block\x00MODALIAS=a=b\x00",
			uevent{"add", "/devices/virtual/block/loop0", map[string]string{"ACTION": "add", "SUBSYSTEM": "block", "MODALIAS": "a=b"}}, true},
		{"udev's", "libudev\x00\xfe\xed\xca\xfe", uevent{}, false},
		{"empty", "", uevent{}, false},
		{"no path", "add@", uevent{}, false},
		{"no action", "@/devices", uevent{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := parseUevent([]byte(tc.in))
			if ok != tc.ok {
				t.Errorf("parseUevent(%q): %v, want %v", tc.in, ok, tc.ok)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(uevent{})); diff != "" {
				t.Errorf("parseUevent(%q) (-want +got):\n%s", tc.in, diff)
			}
		})
	}
}

func FuzzParseUevent(f *testing.F) {
	f.Add([]byte("add@/devices/x\x00A=b\x00"))
	f.Add([]byte("@\x00=\x00"))
	f.Fuzz(func(t *testing.T, b []byte) { parseUevent(b) })
}

func TestGuardTurnsAPanicIntoAnError(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	m := newPID1([]string{"init"}, nil)
	m.log = Log{fd: int(w.Fd())}
	err = m.guard(func() error { var p *Plan; p.warn("no plan to warn in"); return nil })
	w.Close()
	if err == nil || !strings.Contains(err.Error(), "internal error: ") {
		t.Errorf("guard = %v, want an internal error", err)
	}
	var log bytes.Buffer
	if _, err := log.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "<3>rambox: ") || !strings.Contains(log.String(), "plan.go") {
		t.Errorf("log %q, want the place of the panic", log.String())
	}
}

func TestPowerSignals(t *testing.T) {
	for s, want := range map[unix.Signal]Action{
		unix.SIGTERM: Reboot, unix.SIGINT: Reboot, unix.SIGUSR1: Halt, unix.SIGUSR2: PowerOff, unix.SIGPWR: PowerOff,
		37: Halt, 38: PowerOff, 39: Reboot, unix.SIGHUP: "", unix.SIGCHLD: "",
	} {
		if got, _ := powerSignal(s); got != want {
			t.Errorf("powerSignal(%d) = %q, want %q", s, got, want)
		}
	}
}

func TestPowerRequestEndsEveryWait(t *testing.T) {
	m := newPID1([]string{"init"}, nil)
	m.requestPower(Halt)
	err := m.await("what never comes", WaitForever, func() bool { return false })
	var power powerRequest
	if !errors.As(err, &power) || power.action != Halt {
		t.Errorf("await = %v, want the request", err)
	}
	m.requestPower(Reboot) // the first request counts
	if a, ok := m.powerRequested(); !ok || a != Halt {
		t.Errorf("powerRequested = %v, %v", a, ok)
	}
}

func TestNextArgs(t *testing.T) {
	got := nextArgs([]string{"rambox", "single", "shell", "-s", "ramboxes"})
	if diff := cmp.Diff([]string{"single", "-s", "ramboxes"}, got); diff != "" {
		t.Errorf("nextArgs (-want +got):\n%s", diff)
	}
}

func TestEnvironment(t *testing.T) {
	m := newPID1(nil, []string{"HOME=/", "TERM=linux", "COLOUR=red", "PATH=/mine"})
	m.plan.Environ = []string{"COLOUR=blue", "TERM=xterm"}
	got := strings.Join(m.environment("vt220"), " ")
	for _, want := range []string{"PATH=/mine", "USER=root", "TERM=xterm", "COLOUR=blue"} {
		if !strings.Contains(got+" ", want+" ") {
			t.Errorf("environment %q lacks %q", got, want)
		}
	}
	if strings.Contains(got, "HOME=/ ") || strings.Contains(got, "red") {
		t.Errorf("environment %q", got)
	}
}

func TestExecutable(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("bin/sh", staticELF(), 0o755)
	write("script", "#!/bin/sh -e\n", 0o755)
	write("orphan", "#!/bin/absent\n", 0o755)
	write("text", "text", 0o755)
	write("empty", "", 0o755)
	write("plain", "#!/bin/sh\n", 0o644)
	write("bare", "#!  \n", 0o755)
	write("cut", staticELF()[:70], 0o755)
	if err := os.Symlink("/bin/sh", filepath.Join(dir, "absolute")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../../bin/sh", filepath.Join(dir, "escape")); err != nil {
		t.Fatal(err)
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	for name, want := range map[string]string{
		"/bin/sh": "", "/script": "", "/absolute": "", "/escape": "",
		"/orphan": "/orphan: its interpreter: /bin/absent: no such file", "/text": "neither an ELF", "/empty": "neither an ELF",
		"/plain": "not an executable file", "/bin": "not an executable file", "/absent": "/absent: no such file", "/bare": "neither an ELF",
		"/cut": "read program headers",
	} {
		err := executable(root, name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("executable(%q) = %v, want %q", name, err, want)
		}
	}
}

func TestStoredMountsLeavesTheKernelsOwnOut(t *testing.T) {
	targets, err := storedMounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if target == "/proc" || target == "/sys" {
			t.Errorf("%s is among %q", target, targets)
		}
	}
}

func TestOneLine(t *testing.T) {
	if got := oneLine([]string{"failed", "a\nb\n"}); got != "failed a; b" {
		t.Errorf("oneLine = %q", got)
	}
}

func TestAtTerminal(t *testing.T) {
	for stat, want := range map[string]bool{
		"87 (sh) S 1 87 87 34816 87 4194560 119": true,
		"88 (a) b) 1) R 1 88 88 0 -1 4194560":    false,
		"89 (x":                                  false,
		"":                                       false,
	} {
		if got := atTerminal(stat); got != want {
			t.Errorf("atTerminal(%q) = %v, want %v", stat, got, want)
		}
	}
}
